//! The query language: what is read, and what is said where it cannot be.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::{at, now};
use crate::index::query::{
    Expression, Field, Joins, Keyword, MAX_CLAUSES, MAX_DEPTH, MAX_QUERY_BYTES, Number, Piece, Shape, Text, parse, parse_joined,
};

fn text(words: &[&str]) -> Expression {
    Expression::Text {
        field: None,
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        prefix: false,
    }
}

fn keyword(field: Keyword, value: &str) -> Expression {
    Expression::Keyword {
        field,
        value: value.into(),
        prefix: false,
    }
}

fn attribute(path: &str, value: &str) -> Expression {
    Expression::Attribute {
        path: path.into(),
        value: value.into(),
    }
}

fn fits(field: Option<Field>, pieces: &[&str]) -> Expression {
    let piece = |text: &&str| match *text {
        "*" => Piece::Any,
        text => Piece::Text(text.into()),
    };
    let shape = Shape::new(pieces.iter().map(piece).collect()).unwrap();
    Expression::Fits { field, shape }
}

#[test]
fn where_one_word_is_enough_signs_say_which_have_to_be_there() {
    let parsed = |query: &str| parse_joined(query, Joins::Or, now());
    let word = |word: &str| text(&[word]);
    for (query, expected) in [
        ("a b", Expression::Or(vec![word("a"), word("b")])),
        ("a OR b", Expression::Or(vec![word("a"), word("b")])),
        (
            "a AND b c",
            Expression::Or(vec![Expression::And(vec![word("a"), word("b")]), word("c")]),
        ),
        ("a -b", Expression::And(vec![not(word("b")), word("a")])),
        (
            "a b NOT c",
            Expression::And(vec![not(word("c")), Expression::Or(vec![word("a"), word("b")])]),
        ),
        ("+a b", word("a")),
        ("+a +b c", Expression::And(vec![word("a"), word("b")])),
        ("+a -b", Expression::And(vec![word("a"), not(word("b"))])),
        (
            "(a b) AND c",
            Expression::And(vec![Expression::Or(vec![word("a"), word("b")]), word("c")]),
        ),
        (
            "service:(x y)",
            Expression::Or(vec![keyword(Keyword::Service, "x"), keyword(Keyword::Service, "y")]),
        ),
        ("_exists_:trace_id", Expression::HasKeyword(Keyword::TraceId)),
        ("_exists_:http.route", Expression::HasAttribute("http.route".into())),
        ("", Expression::All),
    ] {
        assert_eq!(parsed(query), Ok(expected), "{query}");
    }
    // In the search box all words have to be there anyway.
    assert_eq!(parse("+a b", now()), parse("a b", now()));
    for wrong in ["a OR", "+", "(a", "a)", "_exists_:(a)"] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}

fn not(inner: Expression) -> Expression {
    Expression::Not(Box::new(inner))
}

#[test]
fn queries_mean_what_they_say() {
    use Expression::{All, And, HasAttribute, HasKeyword, Numbers, Or, Time};
    for (query, expected) in [
        ("", All),
        ("  ", All),
        ("*", All),
        ("Timeout", text(&["timeout"])),
        ("\"connection refused\"", text(&["connection", "refused"])),
        ("\"say \\\"no\\\"\"", text(&["say", "no"])),
        ("a b", And(vec![text(&["a"]), text(&["b"])])),
        ("a AND b", And(vec![text(&["a"]), text(&["b"])])),
        ("a OR b c", Or(vec![text(&["a"]), And(vec![text(&["b"]), text(&["c"])])])),
        ("(a OR b) c", And(vec![Or(vec![text(&["a"]), text(&["b"])]), text(&["c"])])),
        ("-a", not(text(&["a"]))),
        ("NOT a", not(text(&["a"]))),
        ("!\"a b\"", not(text(&["a", "b"]))),
        ("NOT NOT a", text(&["a"])),
        ("and or not", And(vec![text(&["and"]), text(&["or"]), text(&["not"])])),
        ("service:scorer", keyword(Keyword::Service, "scorer")),
        ("service.name:\"my service\"", keyword(Keyword::Service, "my service")),
        ("severity:error", keyword(Keyword::Severity, "ERROR")),
        ("environment:\"\"", keyword(Keyword::Environment, "")),
        (
            "version:(1.0 OR 1.1)",
            Or(vec![keyword(Keyword::Version, "1.0"), keyword(Keyword::Version, "1.1")]),
        ),
        (
            "service:sco*",
            Expression::Keyword {
                field: Keyword::Service,
                value: "sco".into(),
                prefix: true,
            },
        ),
        ("model:*", HasKeyword(Keyword::Model)),
        (
            "message:Conn*",
            Expression::Text {
                field: Some(Text::Message),
                words: vec!["conn".into()],
                prefix: true,
            },
        ),
        ("http.route:\"/a b\"", attribute("http.route", "/a b")),
        ("attributes.http.status:500", attribute("http.status", "500")),
        ("delta:-5", attribute("delta", "-5")),
        ("retry:*", HasAttribute("retry".into())),
        (
            "status:>=500",
            Numbers {
                path: "status".into(),
                lower: Included(Number::Whole(500)),
                upper: Unbounded,
            },
        ),
        (
            "status:[400 TO 499.5}",
            Numbers {
                path: "status".into(),
                lower: Included(Number::Whole(400)),
                upper: Excluded(Number::Real(499.5)),
            },
        ),
        ("time:[* TO *]", All),
        ("time:>now-1h", Time(Excluded(at("2026-10-20T11:00:00Z")), Unbounded)),
        ("time:[now-1d TO now]", Time(Included(at("2026-10-19T12:00:00Z")), Included(now()))),
        ("a-b*c", And(vec![text(&["a", "b"]), text(&["c"])])),
        (
            "user <*> lost code=<*>",
            And(vec![text(&["user"]), text(&["lost"]), text(&["code"])]),
        ),
        ("time**out", fits(None, &["time", "*", "out"])),
        ("*Out*", fits(None, &["*", "out", "*"])),
        ("stack:*py", fits(Some(Field::Text(Text::Stack)), &["*", "py"])),
        (
            "error_type:*.Time*Error",
            fits(Some(Field::Keyword(Keyword::ErrorType)), &["*", ".Time", "*", "Error"]),
        ),
        ("severity:*tal", fits(Some(Field::Keyword(Keyword::Severity)), &["*", "TAL"])),
        (
            "host.name:Serve*",
            fits(Some(Field::Attribute("host.name".into())), &["serve", "*"]),
        ),
        ("a\\*b", text(&["a", "b"])),
        ("time:>2026-10-05", Time(Excluded(at("2026-10-05")), Unbounded)),
        (
            "time:[2026-10-05T14:00:00Z TO 2026-10-06}",
            Time(Included(at("2026-10-05T14:00:00Z")), Excluded(at("2026-10-06"))),
        ),
        // Pasted texts.
        (
            "ValueError: bad input",
            And(vec![text(&["valueerror"]), text(&["bad"]), text(&["input"])]),
        ),
        ("http://a/b", text(&["http", "a", "b"])),
        ("a => b", And(vec![text(&["a"]), text(&["b"])])),
        ("foo-bar", text(&["foo", "bar"])),
        ("std::io::Error", text(&["std", "io", "error"])),
        ("a - b", And(vec![text(&["a"]), text(&["b"])])),
        ("\\-a", text(&["a"])),
        ("[ERROR]", text(&["error"])),
    ] {
        assert_eq!(parse(query, now()).as_ref(), Ok(&expected), "{query:?}");
    }
}

#[test]
fn an_error_says_where_it_is_and_what_to_write() {
    for (query, at, part) in [
        ("a \"b c", 2, "quote is not closed"),
        ("ü (a OR b", 2, "bracket is not closed"),
        ("a) b", 1, "no ( that this ) closes"),
        ("a OR", 4, "has to follow"),
        ("OR a", 0, "before this"),
        ("a AND AND b", 6, "before this"),
        ("()", 1, "before this"),
        ("a time:yesterday", 7, "time takes a range"),
        ("time:>yesterday", 5, "is not a time"),
        ("service:>5", 8, "not on this field"),
        ("message:[a TO b]", 8, "not on this field"),
        ("status:>abc", 7, "is not a number"),
        ("status:>inf", 7, "is not a number"),
        ("status:[1 TO", 7, "range is not closed"),
        ("status:[1 2]", 7, "written as [from TO to]"),
        ("status:> 5", 7, "has to follow"),
        ("time:>now-1y", 5, "is not a time"),
        ("http.route:/a*", 11, "within one word"),
        ("time:20*6", 5, "takes a range"),
        ("a*b*c*d*e*f*g*h*i*j", 0, "at most"),
        ("stack:*", 6, "stack:* is not possible"),
        ("service:(a OR model:b)", 14, "inside of field"),
        ("attributes.:x", 0, "name an attribute"),
        ("=> --", 0, "nothing to search for"),
    ] {
        let error = parse(query, now()).expect_err(query);
        assert_eq!(error.at, at, "{query:?}: {error}");
        assert!(error.message.contains(part), "{query:?}: {error}");
        assert!(
            error.length >= 1 && error.at + error.length <= query.chars().count().max(error.at + 1),
            "{query:?}"
        );
    }
}

#[test]
fn a_query_is_bounded() {
    let too_long = "a".repeat(MAX_QUERY_BYTES + 1);
    let too_many = "a ".repeat(MAX_CLAUSES + 1);
    let too_deep = format!("{}a{}", "(".repeat(MAX_DEPTH + 1), ")".repeat(MAX_DEPTH + 1));
    for (query, part) in [(too_long, "longer than"), (too_many, "more than"), (too_deep, "nested")] {
        assert!(parse(&query, now()).unwrap_err().message.contains(part));
    }
    assert!(parse(&"a ".repeat(MAX_CLAUSES), now()).is_ok());
    assert!(parse(&format!("{}a{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH)), now()).is_ok());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_panics(query in "\\PC{0,60}") {
        let _read_or_refused = parse(&query, now());
    }

    #[test]
    fn any_text_of_the_language_is_read_or_refused(query in "[ab \"():*<>=\\[\\]{}\\\\!-]{0,40}( TO | AND | OR )?[ab \"():*<>=\\[\\]{}\\\\!-]{0,40}") {
        let _read_or_refused = parse(&query, now());
    }
}
