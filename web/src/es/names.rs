//! Names: of fields as documents have them here, and of indexes, one a day.

use std::collections::BTreeSet;

use driftlead_store::index::query::Field;
use driftlead_store::index::{AttributeKind, Day};

use super::error::EsError;

/// All days together.
pub(super) const ALIAS: &str = "errors";
/// Field of the inference's or span's duration.
pub(super) const LATENCY: &str = "latency_ms";
/// Before the names of attributes.
pub(super) const ATTRIBUTES: &str = "attributes.";

/// Fields that every document may have, with their Elasticsearch types.
pub(super) const FIELDS: [(&str, &str); 13] = [
    ("@timestamp", "date"),
    ("message", "text"),
    ("severity", "keyword"),
    ("service.name", "keyword"),
    ("ml.model.name", "keyword"),
    ("ml.model.version", "keyword"),
    ("deployment.environment.name", "keyword"),
    ("error.type", "keyword"),
    ("error.stack_trace", "text"),
    ("trace.id", "keyword"),
    ("span.id", "keyword"),
    ("pattern_id", "keyword"),
    (LATENCY, "double"),
];

/// The Elasticsearch type of an attribute's values.
pub(super) fn type_of(kind: AttributeKind) -> &'static str {
    match kind {
        AttributeKind::Text => "keyword",
        AttributeKind::Whole => "long",
        AttributeKind::Real => "double",
        AttributeKind::Flag => "boolean",
    }
}

/// The field that a client means. Texts have no separate `.keyword` here: names and attributes are kept whole anyway.
pub(super) fn field(name: &str) -> Field {
    match Field::named(name) {
        Field::Attribute(path) => match path.strip_suffix(".keyword") {
            Some(whole) => Field::named(whole),
            None => Field::Attribute(path),
        },
        own => own,
    }
}

/// The index of a day.
pub(super) fn index_name(day: Day) -> String {
    format!("{ALIAS}-{}", day.to_string().replace('-', "."))
}

/// Which of the days a list of index names and patterns means; `None`: all, also those to come.
///
/// # Errors
/// A name that has no `*` is of no index.
pub(super) fn days(names: &str, existing: &[Day], ignore_unavailable: bool) -> Result<Option<BTreeSet<Day>>, EsError> {
    let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() || names.iter().all(|name| matches!(*name, ALIAS | "_all" | "*")) {
        return Ok(None);
    }
    let mut wanted = BTreeSet::new();
    for name in names {
        let (name, is_left_out) = match name.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let means_all = matches!(name, "_all" | ALIAS) || (name.contains('*') && is_like(name, ALIAS));
        let fits = |day: &&Day| means_all || is_like(name, &index_name(**day));
        let fitting: Vec<Day> = existing.iter().filter(fits).copied().collect();
        if fitting.is_empty() && !means_all && !name.contains('*') && !ignore_unavailable {
            return Err(EsError::no_index(name));
        }
        for day in fitting {
            match is_left_out {
                true => wanted.remove(&day),
                false => wanted.insert(day),
            };
        }
    }
    Ok(Some(wanted))
}

/// Whether a text is of a pattern in which `*` stands for anything.
pub(super) fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use driftlead_store::index::query::Keyword;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn names_and_patterns_mean_days() {
        let existing = [day("2026-10-04"), day("2026-10-05"), day("2026-11-01")];
        let of = |names: &str| days(names, &existing, false).unwrap().map(|days| days.len());
        assert_eq!(index_name(existing[1]), "errors-2026.10.05");
        for (names, expected) in [
            ("", None),
            ("_all", None),
            ("errors", None),
            ("*", None),
            ("err*", Some(3)),
            ("errors-*", Some(3)),
            ("errors-2026.10.*", Some(2)),
            ("errors-2026.10.05", Some(1)),
            ("errors-2026.10.05,errors-2026.11.01", Some(2)),
            ("errors-*,-errors-2026.10.05", Some(2)),
            ("logs-*", Some(0)),
            (".kibana*", Some(0)),
        ] {
            assert_eq!(of(names), expected, "{names}");
        }
        assert!(days("errors-2026.10.06", &existing, false).is_err());
        assert_eq!(days("errors-2026.10.06", &existing, true).unwrap().unwrap().len(), 0);
        assert!(days("logs", &existing, false).is_err());
    }

    #[test]
    fn patterns_fit_as_globs_do() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("*", "", true),
            ("*b*", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("*bc", "abcbc", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn fields_are_found_by_the_names_of_documents() {
        assert_eq!(field("service.name"), Field::Keyword(Keyword::Service));
        assert_eq!(field("service.name.keyword"), Field::Keyword(Keyword::Service));
        assert_eq!(field("attributes.http.route"), Field::Attribute("http.route".into()));
        assert_eq!(field("attributes.http.route.keyword"), Field::Attribute("http.route".into()));
        assert_eq!(field("trace.id"), Field::Keyword(Keyword::TraceId));
        assert_eq!(field(LATENCY), Field::Attribute(LATENCY.into()));
        for (name, kind) in FIELDS {
            let is_own = !matches!(field(name), Field::Attribute(_));
            assert_eq!(is_own, name != LATENCY, "{name} {kind}");
        }
    }
}
