//! What queries mean, and what is refused.

use std::ops::Bound::{Excluded, Included, Unbounded};

use driftlead_store::index::query::{Field, Keyword, Number, Piece, Shape, Text};
use serde_json::json;

use super::*;

fn now() -> UnixNanos {
    UnixNanos::parse("2026-10-20T12:00:00Z").unwrap()
}

fn read(query: Value) -> Result<Expression, EsError> {
    expression(&query, now())
}

fn words(field: Option<Text>, words: &[&str]) -> Expression {
    Expression::Text {
        field,
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        prefix: false,
    }
}

fn keyword(field: Keyword, value: &str, prefix: bool) -> Expression {
    Expression::Keyword {
        field,
        value: value.into(),
        prefix,
    }
}

fn shape(pieces: &[Piece]) -> Shape {
    Shape::new(pieces.to_vec()).unwrap()
}

fn whole(path: &str, pieces: &[Piece]) -> Expression {
    Expression::Whole {
        path: path.into(),
        shape: shape(pieces),
    }
}

fn exactly(path: &str, number: Number) -> Expression {
    Expression::Numbers {
        path: path.into(),
        lower: Included(number),
        upper: Included(number),
    }
}

fn not(inner: Expression) -> Expression {
    Expression::Not(Box::new(inner))
}

fn piece(text: &str) -> Piece {
    Piece::Text(text.into())
}

#[test]
fn queries_of_one_field_mean_what_they_mean_in_elasticsearch() {
    let message = Some(Text::Message);
    let either = |a, b| Expression::Or(vec![a, b]);
    let attribute = |value: &str| Expression::Attribute {
        path: "http.route".into(),
        value: value.into(),
    };
    for (query, expected) in [
        (json!({"match_all": {}}), Expression::All),
        (json!({"match_none": {}}), not(Expression::All)),
        (json!({"term": {"severity": "error"}}), keyword(Keyword::Severity, "ERROR", false)),
        (
            json!({"term": {"service.name": {"value": "api", "boost": 2}}}),
            keyword(Keyword::Service, "api", false),
        ),
        (
            json!({"term": {"service.name.keyword": "api"}}),
            keyword(Keyword::Service, "api", false),
        ),
        (json!({"term": {"message": "Timeout"}}), not(Expression::All)),
        (json!({"term": {"message": "timeout"}}), words(message, &["timeout"])),
        (json!({"term": {"attributes.n": 5}}), exactly("n", Number::Whole(5))),
        (
            json!({"term": {"attributes.n": "5"}}),
            either(whole("n", &[piece("5")]), exactly("n", Number::Whole(5))),
        ),
        (
            json!({"term": {"attributes.http.route": "/a b"}}),
            whole("http.route", &[piece("/a b")]),
        ),
        (
            json!({"terms": {"ml.model.version": ["1.0", "1.1"]}}),
            either(keyword(Keyword::Version, "1.0", false), keyword(Keyword::Version, "1.1", false)),
        ),
        (json!({"terms": {"severity": []}}), not(Expression::All)),
        (
            json!({"match": {"message": "Connection refused"}}),
            either(words(message, &["connection"]), words(message, &["refused"])),
        ),
        (
            json!({"match": {"message": {"query": "a b", "operator": "AND"}}}),
            Expression::And(vec![words(message, &["a"]), words(message, &["b"])]),
        ),
        (
            json!({"match": {"message": {"query": "a b c", "minimum_should_match": "67%"}}}),
            Expression::AtLeast(2, vec![words(message, &["a"]), words(message, &["b"]), words(message, &["c"])]),
        ),
        (json!({"match": {"message": "!"}}), not(Expression::All)),
        (
            json!({"match": {"attributes.http.route": "/a/b"}}),
            either(attribute("a"), attribute("b")),
        ),
        (json!({"match": {"error.type": "A B"}}), keyword(Keyword::ErrorType, "A B", false)),
        (json!({"match_phrase": {"message": "timed out"}}), words(message, &["timed", "out"])),
        (json!({"match_phrase": {"attributes.http.route": "/a"}}), attribute("/a")),
        (
            json!({"multi_match": {"query": "a", "fields": ["message^3", "error.stack_trace"]}}),
            either(words(message, &["a"]), words(Some(Text::Stack), &["a"])),
        ),
        (json!({"exists": {"field": "trace.id"}}), Expression::HasKeyword(Keyword::TraceId)),
        (
            json!({"exists": {"field": "latency_ms"}}),
            Expression::HasAttribute("latency_ms".into()),
        ),
        (json!({"exists": {"field": "@timestamp"}}), Expression::All),
        (json!({"prefix": {"ml.model.name": "fra"}}), keyword(Keyword::Model, "fra", true)),
        (
            json!({"prefix": {"attributes.http.route": {"value": "/pre"}}}),
            whole("http.route", &[piece("/pre"), Piece::Any]),
        ),
        (
            json!({"wildcard": {"error.type": {"value": "Val?e*\\*"}}}),
            Expression::Fits {
                field: Some(Field::Keyword(Keyword::ErrorType)),
                shape: shape(&[piece("Val"), Piece::One, piece("e"), Piece::Any, piece("*")]),
            },
        ),
        (json!({"wildcard": {"attributes.a": "*x"}}), whole("a", &[Piece::Any, piece("x")])),
        (
            json!({"range": {"latency_ms": {"gte": 5, "lt": "7.5"}}}),
            Expression::Numbers {
                path: "latency_ms".into(),
                lower: Included(Number::Whole(5)),
                upper: Excluded(Number::Real(7.5)),
            },
        ),
        (
            json!({"ids": {"values": ["00000000000000050000000000000007", "unknown"]}}),
            either(Expression::One(UnixNanos(5), 7), not(Expression::All)),
        ),
    ] {
        assert_eq!(read(query.clone()), Ok(expected), "{query}");
    }
}

#[test]
fn times_are_ranges_with_the_ends_of_elasticsearch() {
    let at = |text: &str| UnixNanos::parse(text).unwrap();
    for (range, lower, upper) in [
        (
            json!({"gte": "2026-10-05", "lte": "2026-10-05"}),
            Included(at("2026-10-05")),
            Excluded(at("2026-10-06")),
        ),
        (
            json!({"gt": "2026-10-05", "lt": "2026-10-07"}),
            Included(at("2026-10-06")),
            Excluded(at("2026-10-07")),
        ),
        (json!({"gte": "now-1d/d"}), Included(at("2026-10-19")), Unbounded),
        (
            json!({"gte": 1_791_208_800_000_i64, "lte": 1_791_208_800_000_i64, "format": "epoch_millis"}),
            Included(at("2026-10-05T14:00:00Z")),
            Excluded(at("2026-10-05T14:00:00.001Z")),
        ),
        (
            json!({"from": "2026-10-05", "to": "2026-10-06", "include_upper": false}),
            Included(at("2026-10-05")),
            Excluded(at("2026-10-06")),
        ),
        (
            json!({"gte": "2026-10-05", "time_zone": "-01:00"}),
            Included(at("2026-10-05T01:00:00Z")),
            Unbounded,
        ),
    ] {
        let found = read(json!({"range": {"@timestamp": range.clone()}}));
        assert_eq!(found, Ok(Expression::Time(lower, upper)), "{range}");
    }
}

#[test]
fn bool_joins_as_elasticsearch_does() {
    let word = |text: &str| words(None, &[text]);
    let matching = |text: &str| json!({"match": {"*": text}});
    let bool = |parts: Value| read(json!({"bool": parts})).unwrap();
    let either = Expression::Or(vec![word("a"), word("b")]);
    assert_eq!(bool(json!({})), Expression::All);
    assert_eq!(bool(json!({"should": [matching("a"), matching("b")]})), either);
    assert_eq!(
        bool(json!({"must": matching("c"), "should": [matching("a"), matching("b")]})),
        word("c")
    );
    assert_eq!(
        bool(json!({"filter": [matching("c")], "should": [matching("a"), matching("b")], "minimum_should_match": 1})),
        Expression::And(vec![word("c"), either])
    );
    assert_eq!(
        bool(json!({"should": [matching("a"), matching("b")], "minimum_should_match": 2})),
        Expression::AtLeast(2, vec![word("a"), word("b")])
    );
    assert_eq!(bool(json!({"must_not": [matching("a")]})), not(word("a")));
    assert_eq!(read(json!({"constant_score": {"filter": matching("a")}})), Ok(word("a")));
    assert_eq!(
        read(json!({"dis_max": {"queries": [matching("a"), matching("b")]}})),
        Ok(Expression::Or(vec![word("a"), word("b")]))
    );
}

#[test]
fn query_strings_are_read_as_lucene_reads_them() {
    let word = |text: &str| words(None, &[text]);
    let read = |query: &str| read(json!({"query_string": {"query": query, "analyze_wildcard": true}}));
    assert_eq!(read("*"), Ok(Expression::All));
    assert_eq!(read("a b"), Ok(Expression::Or(vec![word("a"), word("b")])));
    assert_eq!(read("a && b"), Ok(Expression::And(vec![word("a"), word("b")])));
    assert_eq!(read("a || b"), Ok(Expression::Or(vec![word("a"), word("b")])));
    assert_eq!(read("\"a && b\""), Ok(words(None, &["a", "b"])));
    assert_eq!(read("service.name:\"api\""), Ok(keyword(Keyword::Service, "api", false)));
    for refused in ["a^2", "a~", "\"a b\"~3", "message:/x/", "(a", "a AND"] {
        assert!(read(refused).is_err(), "{refused}");
    }
    let in_message = json!({"query_string": {"query": "a -service.name:x", "default_field": "message"}});
    assert_eq!(
        super::expression(&in_message, now()),
        Ok(Expression::And(vec![
            not(keyword(Keyword::Service, "x", false)),
            words(Some(Text::Message), &["a"]),
        ]))
    );
}

#[test]
fn what_is_unknown_or_too_much_is_refused() {
    let mut deep = json!({"match_all": {}});
    for _ in 0..MAX_DEPTH {
        deep = json!({"bool": {"must": [deep]}});
    }
    let many: Vec<String> = (0..MAX_QUERIES).map(|n| n.to_string()).collect();
    for query in [
        json!([]),
        json!({}),
        json!({"match_all": {}, "match_none": {}}),
        json!({"no_such_query": {}}),
        json!({"regexp": {"message": "a.*"}}),
        json!({"script": {}}),
        json!({"term": {}}),
        json!({"term": {"severity": ["a"]}}),
        json!({"term": {"severity": {"value": "a", "case_insensitive": true}}}),
        json!({"terms": {"severity": "a"}}),
        json!({"terms": {"severity": many}}),
        json!({"match": {"message": {"query": "a", "fuzziness": "AUTO"}}}),
        json!({"match_phrase": {"message": {"query": "a b", "slop": 2}}}),
        json!({"range": {"severity": {"gte": "a"}}}),
        json!({"range": {"latency_ms": {"gte": "x"}}}),
        json!({"range": {"@timestamp": {"gte": "yesterday"}}}),
        json!({"range": {"@timestamp": {"above": 5}}}),
        json!({"exists": {}}),
        json!({"wildcard": {"message": {"value": "*".repeat(100)}}}),
        json!({"bool": {"must": [], "maybe": []}}),
        json!({"bool": {"should": [], "minimum_should_match": "many"}}),
        json!({"ids": {}}),
        deep,
    ] {
        assert!(read(query.clone()).is_err(), "{query}");
    }
}
