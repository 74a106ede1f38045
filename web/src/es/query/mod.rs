//! From Elasticsearch's query language to an [`Expression`]. What is not understood is refused, never guessed.

mod compound;
mod instant;
mod leaf;
mod query_string;

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::Expression;
use serde_json::{Map, Value};

use super::error::EsError;
pub(super) use instant::Reading;

/// Most queries of one request, each inside of others counted too: as many as words are looked up.
const MAX_QUERIES: usize = 1_024;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// Translates the value of `query`; `Null` finds everything.
///
/// # Errors
/// It is no query, or one that is not supported.
pub(super) fn expression(query: &Value, now: UnixNanos) -> Result<Expression, EsError> {
    match query {
        Value::Null => Ok(Expression::All),
        query => Translator { now, queries: 0 }.query(query, 0),
    }
}

/// Translates the text of `q` in an address.
///
/// # Errors
/// It is no query.
pub(super) fn text(q: &str, default_operator: Option<&str>, now: UnixNanos) -> Result<Expression, EsError> {
    query_string::parsed(q, default_operator, &[], now)
}

struct Translator {
    now: UnixNanos,
    queries: usize,
}

type Translated = Result<Expression, EsError>;

impl Translator {
    fn query(&mut self, query: &Value, depth: usize) -> Translated {
        let Some(parts) = query.as_object() else {
            return Err(EsError::parsing("[query] malformed query, expected an object"));
        };
        if depth == MAX_DEPTH {
            return Err(EsError::illegal(format!("queries are nested more than {MAX_DEPTH} deep")));
        }
        let mut entries = parts.iter();
        let (Some((kind, body)), None) = (entries.next(), entries.next()) else {
            return Err(EsError::parsing(format!(
                "[query] has to hold exactly one query, here are {}: put several into a [bool]",
                parts.len()
            )));
        };
        self.count(1)?;
        match kind.as_str() {
            "bool" => self.bool(body, depth),
            "constant_score" => self.constant_score(body, depth),
            "dis_max" => self.dis_max(body, depth),
            "match_all" => Ok(Expression::All),
            "match_none" => Ok(nothing()),
            "ids" => leaf::ids(body),
            "term" => leaf::term(body),
            "terms" => self.terms(body),
            "match" => leaf::matched(body),
            "match_phrase" => leaf::phrase(body, false),
            "match_phrase_prefix" => leaf::phrase(body, true),
            "multi_match" => leaf::multi_match(body),
            "range" => leaf::range(body, self.now),
            "exists" => leaf::exists(body),
            "prefix" => leaf::prefix(body),
            "wildcard" => leaf::wildcard(body),
            "query_string" => query_string::query_string(body, self.now),
            known if KNOWN.contains(&known) => Err(EsError::unsupported(format!("the query [{known}]"))),
            other => Err(EsError::parsing(format!("unknown query [{other}]"))),
        }
    }

    fn count(&mut self, queries: usize) -> Result<(), EsError> {
        self.queries += queries;
        match self.queries > MAX_QUERIES {
            true => Err(EsError::illegal(format!("there are more than {MAX_QUERIES} queries and values"))),
            false => Ok(()),
        }
    }
}

/// Queries of Elasticsearch that are not understood here.
const KNOWN: [&str; 17] = [
    "boosting",
    "distance_feature",
    "function_score",
    "fuzzy",
    "geo_bounding_box",
    "geo_distance",
    "has_child",
    "has_parent",
    "intervals",
    "match_bool_prefix",
    "more_like_this",
    "nested",
    "regexp",
    "script",
    "script_score",
    "simple_query_string",
    "terms_set",
];

/// Finds no error.
fn nothing() -> Expression {
    Expression::Not(Box::new(Expression::All))
}

fn all_of(mut parts: Vec<Expression>) -> Expression {
    match parts.len() {
        0 => Expression::All,
        1 => parts.swap_remove(0),
        _ => Expression::And(parts),
    }
}

fn any_of(mut parts: Vec<Expression>) -> Expression {
    match parts.len() {
        0 => nothing(),
        1 => parts.swap_remove(0),
        _ => Expression::Or(parts),
    }
}

/// The one field of a query such as `{"term": {"severity": …}}`, and what is said of it.
fn single<'a>(kind: &str, body: &'a Value) -> Result<(&'a str, &'a Value), EsError> {
    let wrong = || EsError::parsing(format!("[{kind}] takes an object with one field"));
    let mut entries = body.as_object().ok_or_else(wrong)?.iter().filter(|(name, _)| !is_harmless(name));
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(wrong()),
    }
}

/// What has no meaning where nothing is scored.
fn is_harmless(parameter: &str) -> bool {
    matches!(parameter, "boost" | "_name")
}

/// Refuses parameters that would change what is found.
fn only(kind: &str, parameters: &Map<String, Value>, known: &[&str]) -> Result<(), EsError> {
    let is_strange = |name: &&String| !is_harmless(name) && !known.contains(&name.as_str());
    match parameters.keys().find(is_strange) {
        Some(name) => Err(EsError::unsupported(format!("[{name}] in [{kind}]"))),
        None => Ok(()),
    }
}

/// A value as text: `term` takes numbers and flags too.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
