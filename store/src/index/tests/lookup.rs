//! Lookups against brute force: expressions that no search box makes, both orders, pages, aggregations, points in time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::searching::any_error;
use super::*;
use crate::index::query::{Expression, Field, Keyword, Number, Piece, Shape, Text, matches, words};
use crate::index::{Day, Hit, HitKey, LookupError, LookupRequest, LookupResponse, MAX_WINDOW, Order, column_of, place_of};

fn lookup(expression: Expression) -> LookupRequest {
    LookupRequest {
        expression,
        environments: Vec::new(),
        days: None,
        point: None,
        order: Order::NewestFirst,
        after: None,
        skip: 0,
        limit: 100,
        aggregations: Value::Null,
    }
}

/// Every error of the index with its place.
async fn all(index: &ErrorIndex) -> Vec<(HitKey, ErrorDocument)> {
    let found = index.lookup(lookup(Expression::All)).await.unwrap();
    found.hits.into_iter().map(|hit| (place_of(&hit.id).unwrap(), hit.error)).collect()
}

fn places(hits: &[Hit]) -> Vec<HitKey> {
    hits.iter().map(|hit| place_of(&hit.id).unwrap()).collect()
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let piece = prop_oneof![
        Just(Piece::Any),
        Just(Piece::One),
        prop::sample::select(vec!["a", "al", "m", "alpha", "beta", " "]).prop_map(|text| Piece::Text(text.to_owned())),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| Shape::new(pieces).unwrap())
}

fn any_leaf() -> impl Strategy<Value = Expression> {
    let word = prop::sample::select(vec!["alpha", "beta", "gamma", "gam", "1"]).prop_map(str::to_owned);
    let text = prop::sample::select(vec![None, Some(Text::Message), Some(Text::Stack)]);
    let name = prop::sample::select(vec![Keyword::Service, Keyword::Model, Keyword::Severity, Keyword::TraceId]);
    let path = prop::sample::select(vec!["n", "s", "x.y"]).prop_map(str::to_owned);
    let number = |number: f64| {
        if number.fract() == 0.0 {
            Number::Whole(number as i64)
        } else {
            Number::Real(number)
        }
    };
    let bound = prop_oneof![
        Just(Bound::Unbounded),
        (-4_i32..5).prop_map(move |half| Bound::Included(number(f64::from(half) / 2.0))),
        (-4_i32..5).prop_map(move |half| Bound::Excluded(number(f64::from(half) / 2.0))),
    ];
    prop_oneof![
        Just(Expression::All),
        (text.clone(), prop::collection::vec(word.clone(), 1..3), any::<bool>()).prop_map(|(field, words, prefix)| Expression::Text {
            field,
            words,
            prefix
        }),
        (name.clone(), word.clone(), any::<bool>()).prop_map(|(field, value, prefix)| Expression::Keyword {
            field,
            value: field.normal(&value),
            prefix
        }),
        name.clone().prop_map(Expression::HasKeyword),
        (name, any_shape()).prop_map(|(field, shape)| Expression::Fits {
            field: Some(Field::Keyword(field)),
            shape
        }),
        (text, any_shape()).prop_map(|(field, shape)| Expression::Fits {
            field: field.map(Field::Text),
            shape
        }),
        any_shape().prop_map(|shape| Expression::Whole { path: "s".into(), shape }),
        path.clone().prop_map(Expression::HasAttribute),
        (path.clone(), word).prop_map(|(path, value)| Expression::Attribute { path, value }),
        (path, bound.clone(), bound).prop_map(|(path, lower, upper)| Expression::Numbers { path, lower, upper }),
        (0_i64..5, 0_i64..5).prop_map(|(from, to)| {
            let day = |days: i64| now().floor_to(86_400).plus_seconds(-86_400 * days);
            Expression::Time(Bound::Included(day(from)), Bound::Excluded(day(to)))
        }),
    ]
    .prop_filter("a range of numbers has an end", |expression| {
        !matches!(
            expression,
            Expression::Numbers {
                lower: Bound::Unbounded,
                upper: Bound::Unbounded,
                ..
            }
        )
    })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    any_leaf().prop_recursive(3, 16, 4, |inner| {
        let many = prop::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            many.clone().prop_map(Expression::And),
            many.clone().prop_map(Expression::Or),
            (0_usize..6, many).prop_map(|(least, parts)| Expression::AtLeast(least, parts)),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

/// Counts by service, and by day: what the aggregations have to give.
fn expected_counts(found: &[&(HitKey, ErrorDocument)]) -> (BTreeMap<String, u64>, BTreeMap<i64, u64>) {
    let (mut services, mut days) = (BTreeMap::new(), BTreeMap::new());
    for (_, error) in found {
        if !error.service.is_empty() {
            *services.entry(error.service.clone()).or_default() += 1;
        }
        *days.entry(error.time.floor_to(86_400).millis()).or_default() += 1;
    }
    (services, days)
}

fn counts<K: Ord>(buckets: &Value, key: impl Fn(&Value) -> K) -> BTreeMap<K, u64> {
    let buckets = buckets["buckets"].as_array().unwrap().iter();
    let count = |bucket: &Value| bucket["doc_count"].as_u64().unwrap();
    buckets
        .map(|bucket| (key(&bucket["key"]), count(bucket)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

async fn check(index: &ErrorIndex, errors: &[(HitKey, ErrorDocument)], expression: Expression) {
    let expected: Vec<_> = errors
        .iter()
        .filter(|(place, error)| matches(&expression, place.1, error))
        .collect();
    let newest_first: Vec<HitKey> = expected.iter().map(|(place, _)| *place).collect();
    let request = LookupRequest {
        aggregations: json!({
            "services": {"terms": {"field": "service", "size": 100, "segment_size": 100}},
            "days": {"date_histogram": {"field": "ts", "fixed_interval": "1d"}, "aggs": {"n": {"sum": {"field": "attributes.n"}}}},
        }),
        ..lookup(expression.clone())
    };
    let found = index.lookup(request).await.unwrap();
    assert_eq!(found.total, expected.len() as u64, "{expression:?}");
    assert_eq!(places(&found.hits), newest_first, "{expression:?}");
    let (services, days) = expected_counts(&expected);
    let aggregated = found.aggregations.unwrap();
    assert_eq!(counts(&aggregated["services"], |key| key.as_str().unwrap().to_owned()), services);
    assert_eq!(counts(&aggregated["days"], |key| key.as_f64().unwrap() as i64), days);
    let sums = aggregated["days"]["buckets"].as_array().unwrap().iter();
    let sum: f64 = sums.filter_map(|bucket| bucket["n"]["value"].as_f64()).sum();
    let wanted: f64 = expected.iter().filter_map(|(_, error)| error.attributes["n"].as_f64()).sum();
    assert!((sum - wanted).abs() < 1e-9, "{expression:?}");

    // In the other order, page by page.
    let mut oldest_first = Vec::new();
    let mut after = None;
    loop {
        let page = LookupRequest {
            order: Order::OldestFirst,
            after,
            limit: 7,
            ..lookup(expression.clone())
        };
        let page: LookupResponse = index.lookup(page).await.unwrap();
        assert_eq!(page.total, expected.len() as u64);
        let Some(last) = page.hits.last() else { break };
        after = Some(place_of(&last.id).unwrap());
        oldest_first.extend(places(&page.hits));
    }
    oldest_first.reverse();
    assert_eq!(oldest_first, newest_first, "{expression:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]
    #[test]
    fn random_expressions_find_what_brute_force_finds(
        errors in prop::collection::vec(any_error(), 1..60),
        expressions in prop::collection::vec(any_expression(), 20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let index = filled(folder.path(), errors);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let errors = all(&index).await;
            for expression in expressions {
                check(&index, &errors, expression).await;
            }
        });
    }
}

#[tokio::test]
async fn an_id_a_page_and_days_are_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    let errors = all(&index).await;
    for (place, error) in &errors {
        let one = Expression::One(UnixNanos(place.0), place.1);
        assert!(matches(&one, place.1, error) && !matches(&one, place.1 ^ 1, error));
        let found = index.lookup(lookup(one)).await.unwrap();
        assert_eq!(places(&found.hits), [*place]);
    }
    let page = LookupRequest {
        skip: 1,
        limit: 1,
        ..lookup(Expression::All)
    };
    let page = index.lookup(page).await.unwrap();
    assert_eq!((page.total, places(&page.hits)), (3, vec![errors[1].0]));
    let day = |text: &str| text.parse::<Day>().unwrap();
    for (days, total) in [(vec![], 0), (vec!["2026-10-19"], 2), (vec!["2026-10-18", "2026-10-01"], 1)] {
        let days: BTreeSet<Day> = days.into_iter().map(day).collect();
        let within = LookupRequest {
            days: Some(days),
            ..lookup(Expression::All)
        };
        assert_eq!(index.lookup(within).await.unwrap().total, total);
    }
    let own = LookupRequest {
        environments: vec!["staging".into()],
        ..lookup(Expression::All)
    };
    assert_eq!(index.lookup(own).await.unwrap().total, 1);
    let too_far = LookupRequest {
        skip: MAX_WINDOW,
        limit: 1,
        ..lookup(Expression::All)
    };
    assert!(matches!(index.lookup(too_far).await, Err(LookupError::Window(_))));
}

#[tokio::test]
async fn aggregations_of_all_kinds_are_computed_over_days_and_wrong_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    let aggregations = json!({
        "kinds": {"terms": {"field": "error_type"}},
        "many": {"cardinality": {"field": "service"}},
        "first": {"min": {"field": "ts"}},
        "status": {"stats": {"field": "attributes.http.status"}},
        "classes": {"range": {"field": "attributes.http.status", "ranges": [{"to": 501}, {"from": 501}]}},
        "steps": {"histogram": {"field": "attributes.http.status", "interval": 2}},
        "middle": {"percentiles": {"field": "attributes.http.status", "percents": [50]}},
    });
    let request = |aggregations: Value| LookupRequest {
        aggregations,
        limit: 0,
        ..lookup(Expression::All)
    };
    let found = index.lookup(request(aggregations.clone())).await.unwrap();
    assert!(found.hits.is_empty());
    let found = found.aggregations.unwrap();
    assert_eq!(found["many"]["value"], 2.0);
    assert_eq!(
        found["first"]["value"].as_f64().unwrap() as i64 / 1_000_000_000,
        at("2026-10-18T09:00:00Z").seconds()
    );
    assert_eq!(
        (&found["status"]["min"], &found["status"]["max"], &found["status"]["count"]),
        (&json!(500.0), &json!(503.0), &json!(2))
    );
    let counts = |name: &str| -> Vec<u64> {
        let buckets = found[name]["buckets"].as_array().unwrap().iter();
        buckets.map(|bucket| bucket["doc_count"].as_u64().unwrap()).collect()
    };
    assert_eq!((counts("classes"), counts("steps")), (vec![1, 1], vec![1, 1]));
    assert_eq!(counts("kinds"), [1, 1]);
    assert!(found["middle"]["values"]["50.0"].is_number());
    let empty = tempfile::tempdir().unwrap();
    let nothing = open(empty.path())
        .lookup(request(aggregations))
        .await
        .unwrap()
        .aggregations
        .unwrap();
    assert_eq!(nothing["kinds"]["buckets"], json!([]));
    for wrong in [
        json!({"a": {"no_such": {}}}),
        json!({"a": {"histogram": {"field": "attributes.n", "interval": -1}}}),
    ] {
        assert!(
            matches!(index.lookup(request(wrong.clone())).await, Err(LookupError::Aggregation(_))),
            "{wrong}"
        );
    }
    let too_many = json!({"a": {"date_histogram": {"field": "ts", "fixed_interval": "1ms"}}});
    assert!(matches!(index.lookup(request(too_many)).await, Err(LookupError::TooManyBuckets(_))));
    assert_eq!(column_of(&Field::Text(Text::Message)), None);
    assert_eq!(words("A b-C"), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_point_in_time_does_not_change_with_what_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    let point = index.open_point(None, Duration::from_secs(60)).unwrap();
    let mut writers = writers(&index);
    writers
        .feed(frame(50, vec![error("2026-10-19T12:00:00Z", "later")]), now())
        .unwrap();
    writers.commit(now()).unwrap();
    index.shelf.delete("2026-10-18".parse().unwrap()).unwrap();
    let at_point = || LookupRequest {
        point: Some(point.clone()),
        ..lookup(Expression::All)
    };
    assert_eq!(index.lookup(at_point()).await.unwrap().total, 3);
    assert_eq!(index.lookup(lookup(Expression::All)).await.unwrap().total, 3, "one came, one went");
    assert_eq!(messages(&index, "later").await, ["later"]);
    let found = index.lookup(at_point()).await.unwrap();
    assert!(found.hits.iter().all(|hit| hit.error.message != "later"));
    assert!(index.close_point(&point) && !index.close_point(&point));
    assert!(matches!(index.lookup(at_point()).await, Err(LookupError::NoPoint)));
}

#[tokio::test]
async fn what_days_hold_and_which_attributes_there_are_is_told() {
    use crate::index::AttributeKind::{Flag, Real, Text, Whole};
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    let days = index.days().await.unwrap();
    let documents: Vec<(String, u64)> = days.iter().map(|status| (status.day.to_string(), status.documents)).collect();
    assert_eq!(documents, [("2026-10-19".to_owned(), 2), ("2026-10-18".to_owned(), 1)]);
    assert!(days.iter().all(|status| status.bytes > 0));
    let attributes = index.attributes(Vec::new()).await.unwrap();
    assert_eq!(attributes["http.status"], BTreeSet::from([Text, Whole]));
    assert_eq!(
        (&attributes["ratio"], &attributes["retry"]),
        (&BTreeSet::from([Real]), &BTreeSet::from([Flag]))
    );
    assert!(attributes.contains_key("peer.name"));
    let own = index.attributes(vec!["staging".into()]).await.unwrap();
    assert!(
        own.contains_key("when") && !own.contains_key("region"),
        "of other environments nothing is told"
    );
}
