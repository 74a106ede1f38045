//! Searches against brute force over the same errors, paging, ids, retention, and days that cannot be read.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::index::query::{matches, parse};
use crate::index::{MAX_LIMIT, SearchError, Shelf};

const QUERIES: &[&str] = &[
    "",
    "refused",
    "REFUSED connection",
    "\"connection refused\"",
    "\"refused connection\"",
    "db-1",
    "zeitüberschreitung",
    "conn*",
    "c*n",
    "*error*",
    "message:*fused",
    "service:*o*r",
    "error_type:*Error",
    "-error_type:*e*E*",
    "host.name:s*2",
    "time:>now-1d",
    "\"connection lo\"",
    "convert-str*",
    "message:could.not.conv*",
    "stack:line-1*",
    "b",
    "valueerror",
    "builtins.ValueError",
    "scorer",
    "employment",
    "0af7651916cd43dd8448eb211c80319c",
    "0AF7651916CD43DD8448EB211C80319C",
    "b7ad6b7169203331",
    "trace_id:0AF7651916CD43DD8448EB211C80319C",
    "trace_id:0af765*",
    "trace_id:0af766*",
    "trace_id:*319?",
    "trace_id:0af7651916cd43dd8448eb211c80319d",
    "span_id:b7ad6b716920333*",
    "-span_id:b7ad6b7169203331",
    "message:scorer",
    "stack:traceback",
    "stack:\"line 12\"",
    "service:scorer",
    "service:scor",
    "service:scor*",
    "service:(scorer OR gateway)",
    "severity:fatal",
    "severity:(ERROR OR FATAL)",
    "model:*",
    "-model:*",
    "environment:\"\"",
    "environment:production OR environment:staging",
    "version:1.1",
    "error_type:TimeoutError",
    "error.type:Timeout*",
    "http.status:500",
    "http.status:504",
    "http.status:>500",
    "http.status:>=500",
    "http.status:[* TO 503}",
    "http.status:[500 TO 503]",
    "http.status:[499.5 TO 503]",
    "ratio:[0 TO 0.75]",
    "big:[0.5 TO 18446744073709551615]",
    "ratio:0.5",
    "ratio:>0.25",
    "ratio:<0.5",
    "big:18446744073709551615",
    "big:>1",
    "big:<1",
    "retry:true",
    "retry:false",
    "retry:*",
    "peer:*",
    "peer.name:\"db 1\"",
    "attributes.peer.name:1",
    "tags:b",
    "tags:\"a b\"",
    "region:eu",
    "when:\"2026-10-18T00:00:00Z\"",
    "missing:*",
    "missing:1",
    "missing:>1",
    "time:>2026-10-19",
    "time:[2026-10-18T09:00:00.000000001Z TO 2026-10-19T10:00:00Z]",
    "time:{2026-10-18T09:00:00.000000001Z TO 2026-10-19T10:00:00Z}",
    "-refused -convert",
    "-refused OR -convert",
    "NOT (refused OR convert)",
    "service:scorer refused http.status:>1",
    "nothing_like_it",
];

async fn check(index: &ErrorIndex, errors: &[ErrorDocument], query: &str) {
    let expression = parse(query, now()).unwrap();
    let mut expected: Vec<&ErrorDocument> = errors.iter().filter(|error| matches(&expression, 0, error)).collect();
    expected.sort_by_key(|error| std::cmp::Reverse(error.time));
    let found = search(index, query).await;
    let times = |errors: Vec<&ErrorDocument>| errors.iter().map(|error| error.time).collect::<Vec<_>>();
    assert_eq!(
        times(found.hits.iter().map(|hit| &hit.error).collect()),
        times(expected.iter().take(100).copied().collect()),
        "{query}"
    );
    assert_eq!(found.total, expected.len() as u64, "{query}");
    for hit in &found.hits {
        let came = ErrorDocument {
            pattern: None,
            ..hit.error.clone()
        };
        assert!(errors.contains(&came), "{query}: what is shown is what came");
    }
    assert_eq!(found.histogram.counts.iter().sum::<u64>(), found.total, "{query}");
    let mut services: HashMap<&str, u64> = HashMap::new();
    for error in expected.iter().filter(|error| !error.service.is_empty()) {
        *services.entry(&error.service).or_default() += 1;
    }
    let facet = found.facets.iter().find(|facet| facet.field == "service").unwrap();
    assert_eq!(
        facet.other + facet.values.iter().map(|(_, count)| count).sum::<u64>(),
        services.values().sum::<u64>()
    );
    for (value, count) in &facet.values {
        assert_eq!(services.get(value.as_str()), Some(count), "{query}");
    }
}

#[tokio::test]
async fn searches_find_what_brute_force_finds() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    for query in QUERIES {
        check(&index, &sample(), query).await;
    }
    // The table itself must be able to fail: these find something, and not everything.
    for (query, total) in [
        ("conn*", 2),
        ("http.status:>=500", 2),
        ("-model:*", 1),
        ("tags:b", 1),
        ("big:>1", 1),
    ] {
        assert_eq!(search(&index, query).await.total, total, "{query}");
    }
}

pub(super) fn any_error() -> impl Strategy<Value = ErrorDocument> {
    let word = prop::sample::select(vec!["alpha", "beta", "Gamma", "gam", "1"]);
    let text = prop::collection::vec(word, 0..4).prop_map(|words| words.join(" "));
    let name = prop::sample::select(vec!["", "alpha", "beta", "gamma"]);
    let id = prop::sample::select(vec!["", "alpha", "alphabet", "beta", "\u{10ffff}"]);
    (0_i64..5, 0_i64..86_400, text.clone(), text, name.clone(), name, id, -2_i64..3).prop_map(
        |(day, second, message, stack, service, model, trace_id, n)| ErrorDocument {
            time: now().floor_to(86_400).plus_seconds(-86_400 * day + second),
            severity: if n > 0 { "ERROR" } else { "FATAL" }.into(),
            service: service.into(),
            model: model.into(),
            trace_id: trace_id.into(),
            attributes: attributes(json!({"n": n, "s": stack, "x": {"y": n as f64 / 2.0}})),
            message,
            stack,
            ..ErrorDocument::default()
        },
    )
}

fn any_query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "alpha",
        "beta",
        "gam*",
        "\"alpha beta\"",
        "message:gamma",
        "stack:\"beta gamma\"",
        "service:alpha",
        "service:*",
        "trace_id:alpha",
        "trace_id:alpha*",
        "trace_id:*a",
        "trace_id:*",
        "model:\"\"",
        "severity:fatal",
        "n:>0",
        "n:[-1 TO 1}",
        "n:1",
        "s:alpha",
        "s:\"alpha beta\"",
        "x.y:0.5",
        "x.y:<=0",
        "x:*",
        "time:>2026-10-18",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} {b})")),
            inner.prop_map(|a| format!("NOT {a}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]
    #[test]
    fn random_queries_find_what_brute_force_finds(
        errors in prop::collection::vec(any_error(), 1..60),
        queries in prop::collection::vec(any_query(), 20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let index = filled(folder.path(), errors.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for query in &queries {
            runtime.block_on(check(&index, &errors, query));
        }
    }
}

#[tokio::test]
async fn pages_hold_every_error_once_in_order_even_at_one_instant() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writers = writers(&index);
    for number in 0..6 {
        let day = if number % 2 == 0 { "2026-10-19" } else { "2026-10-18" };
        let errors = (0..11)
            .map(|n| error(&format!("{day}T10:00:00Z"), &format!("{number}.{n}")))
            .collect();
        writers.feed(frame(number, errors), now()).unwrap();
        // Commits in between leave segments that are merged at any time.
        writers.commit(now()).unwrap();
    }
    for limit in [1, 7, 66, 100] {
        let mut seen = Vec::new();
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let page = SearchRequest {
                limit,
                cursor: cursor.take(),
                ..request("")
            };
            let page = index.search(&page).await.unwrap();
            assert_eq!(page.total, 66);
            assert!(page.hits.len() <= limit);
            ids.extend(page.hits.iter().map(|hit| hit.id.clone()));
            seen.extend(page.hits.into_iter().map(|hit| hit.error.message));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((seen.len(), sorted.len()), (66, 66), "limit {limit}");
        assert!(ids.is_sorted_by(|a, b| a > b), "limit {limit}");
    }
}

#[tokio::test]
async fn an_id_finds_its_error_for_as_long_as_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    for hit in search(&index, "").await.hits {
        let found = index.error(&hit.id, &[]).await.unwrap().unwrap();
        assert_eq!((found.id, found.error), (hit.id, hit.error));
    }
    assert_eq!(index.error(&"0".repeat(32), &[]).await.unwrap(), None);
    for wrong in ["", "x", &"g".repeat(32), &"é".repeat(16)] {
        assert!(matches!(index.error(wrong, &[]).await, Err(SearchError::Cursor(_))), "{wrong}");
    }
}

#[tokio::test]
async fn a_search_sees_only_the_environments_and_the_range_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    for (environments, total) in [
        (vec!["production"], 1),
        (vec!["production", "staging"], 2),
        (vec![""], 1),
        (vec!["x"], 0),
    ] {
        let environments: Vec<String> = environments.into_iter().map(Into::into).collect();
        let request = SearchRequest {
            environments: environments.clone(),
            ..request("")
        };
        let found = index.search(&request).await.unwrap();
        assert_eq!(found.total, total, "{environments:?}");
        for hit in found.hits {
            assert!(index.error(&hit.id, &environments).await.unwrap().is_some());
            assert!(index.error(&hit.id, &["other".into()]).await.unwrap().is_none());
        }
    }
    for (from, to, total) in [
        (Some("2026-10-19T10:00:00Z"), None, 2),
        (None, Some("2026-10-19T10:00:00Z"), 1),
        (Some("2026-10-18"), Some("2026-10-19"), 1),
        (Some("2026-10-19T10:00:00Z"), Some("2026-10-19T10:00:00.000000001Z"), 1),
        (Some("2020-01-01"), Some("2020-01-02"), 0),
    ] {
        let request = SearchRequest {
            from: from.map(at),
            to: to.map(at),
            ..request("")
        };
        let found = index.search(&request).await.unwrap();
        assert_eq!(found.total, total, "{from:?} {to:?}");
        if let Some(from) = from {
            assert!(found.histogram.from_seconds <= at(from).seconds());
        }
        assert!(found.histogram.counts.len() <= 120);
        assert_eq!(found.histogram.counts.iter().sum::<u64>(), total);
    }
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), sample());
    let too_many = SearchRequest {
        limit: MAX_LIMIT + 1,
        ..request("")
    };
    assert!(matches!(index.search(&too_many).await, Err(SearchError::Limit(_))));
    let empty_range = SearchRequest {
        from: Some(now()),
        to: Some(now()),
        ..request("")
    };
    assert!(matches!(index.search(&empty_range).await, Err(SearchError::Range)));
    let bad_cursor = SearchRequest {
        cursor: Some("x".into()),
        ..request("")
    };
    assert!(matches!(index.search(&bad_cursor).await, Err(SearchError::Cursor(_))));
    assert!(matches!(index.search(&request("\"")).await, Err(SearchError::Query(_))));
}

#[tokio::test]
async fn a_last_word_that_stands_for_too_many_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let words: Vec<String> = (0..6_000).map(|n| format!("begin-w{n}")).collect();
    let index = filled(folder.path(), vec![error("2026-10-19", &words.join(" "))]);
    assert_eq!(search(&index, "begin-w59*").await.total, 1);
    let refused = index.search(&request("begin-w*")).await.unwrap_err();
    assert!(
        matches!(&refused, SearchError::TooWide(message) if message.contains("begin with \"w\"")),
        "{refused}"
    );
    assert_eq!(search(&index, "w*").await.total, 1, "alone it stands for any number");
}

#[tokio::test]
async fn an_empty_index_answers() {
    let folder = tempfile::tempdir().unwrap();
    let found = search(&open(folder.path()), "x").await;
    assert_eq!(
        (found.total, found.hits.len(), found.next, found.histogram.counts.len()),
        (0, 0, None, 0)
    );
}

#[tokio::test]
async fn days_past_the_retention_go() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writers = writers(&index);
    let errors = vec![
        error("2026-09-19T23:59:59Z", "too old"),
        error("2026-09-20", "kept"),
        error("2026-10-20", "new"),
    ];
    writers.feed(frame(0, errors), now()).unwrap();
    writers.commit(now()).unwrap();
    assert_eq!(messages(&index, "").await, ["new", "kept"]);
    let tomorrow = now().plus_seconds(86_400);
    writers.delete_expired(tomorrow).unwrap();
    assert_eq!(messages(&index, "").await, ["new"]);
    drop((writers, index));
    assert_eq!(messages(&open(folder.path()), "").await, ["new"]);
}

#[tokio::test]
async fn a_day_that_cannot_be_read_is_put_aside_and_the_rest_is_found() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), sample()));
    std::fs::write(folder.path().join("2026-10-19/meta.json"), b"{ torn").unwrap();
    let index = open(folder.path());
    assert_eq!(search(&index, "").await.total, 1);
    assert!(folder.path().join("2026-10-19.broken-1/meta.json").exists());
    let mut writers = writers(&index);
    writers.feed(frame(9, vec![error("2026-10-19", "again")]), now()).unwrap();
    writers.commit(now()).unwrap();
    assert_eq!(messages(&index, "again").await, ["again"]);
}

#[test]
fn a_half_deleted_day_is_deleted_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path(), sample()));
    std::fs::rename(folder.path().join("2026-10-19"), folder.path().join("2026-10-19.deleted")).unwrap();
    let shelf = Shelf::open(folder.path(), 30).unwrap();
    assert_eq!(shelf.documents(), 1);
    assert!(!folder.path().join("2026-10-19.deleted").exists());
}
