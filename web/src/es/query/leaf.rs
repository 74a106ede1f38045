//! Queries of one field.

use std::ops::Bound;

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::place_of;
use driftlead_store::index::query::{Expression, Field, Keyword, Number, Piece, Shape, Text, words};
use serde_json::{Map, Value};

use super::compound::at_least;
use super::instant::{Period, Reading};
use super::{Translated, Translator, all_of, any_of, nothing, only, single, text_of};
use crate::es::error::EsError;
use crate::es::names;

/// Parameters of `match` that say how fuzzy words are looked for; without `fuzziness` they mean nothing.
const FUZZY: [&str; 4] = ["prefix_length", "max_expansions", "fuzzy_transpositions", "fuzzy_rewrite"];

impl Translator {
    pub(super) fn terms(&mut self, body: &Value) -> Translated {
        let (name, values) = single("terms", body)?;
        let Some(values) = values.as_array() else {
            return Err(EsError::parsing(format!("[terms] takes a list of values for [{name}]")));
        };
        self.count(values.len())?;
        let parts: Result<Vec<Expression>, EsError> = values.iter().map(|value| is(name, value)).collect();
        Ok(any_of(parts?))
    }
}

pub(super) fn term(body: &Value) -> Translated {
    let (name, value) = valued("term", body, "value")?;
    is(name, value)
}

/// The field and the value of `{"field": value}` or `{"field": {"value": …}}`.
fn valued<'a>(kind: &str, body: &'a Value, key: &str) -> Result<(&'a str, &'a Value), EsError> {
    let (name, value) = single(kind, body)?;
    let Some(parameters) = value.as_object() else {
        return Ok((name, value));
    };
    only(kind, parameters, &[key, "case_insensitive", "rewrite"])?;
    if parameters.get("case_insensitive") == Some(&Value::Bool(true)) {
        return Err(EsError::unsupported(format!("[case_insensitive] in [{kind}]")));
    }
    let value = parameters.get(key);
    value
        .map(|value| (name, value))
        .ok_or_else(|| EsError::parsing(format!("[{kind}] needs a [{key}] for [{name}]")))
}

fn wrong_value(kind: &str, name: &str, value: &Value) -> EsError {
    EsError::parsing(format!("[{kind}] cannot compare [{name}] with {value}"))
}

/// The field has exactly this value.
fn is(name: &str, value: &Value) -> Translated {
    let text = text_of(value).ok_or_else(|| wrong_value("term", name, value))?;
    match name {
        "_id" => return Ok(with_id(&text)),
        "_index" => return Err(EsError::unsupported("a [term] on [_index]")),
        _ => {}
    }
    match names::field(name) {
        Field::Keyword(field) => Ok(keyword(field, &text, false)),
        // A text holds words in lower case; anything else is none of them.
        Field::Text(field) => Ok(match words(&text) == [text.clone()] {
            true => in_order(Some(field), vec![text], false),
            false => nothing(),
        }),
        Field::Attribute(path) => {
            let number = Number::parse(&text).map(|number| Expression::Numbers {
                path: path.clone(),
                lower: Bound::Included(number),
                upper: Bound::Included(number),
            });
            if let (Value::Number(_), Some(number)) = (value, number.clone()) {
                return Ok(number);
            }
            if value.is_boolean() {
                return Ok(Expression::Attribute { path, value: text });
            }
            let whole = whole(&path, vec![Piece::Text(text)])?;
            Ok(any_of([Some(whole), number].into_iter().flatten().collect()))
        }
        Field::Time => {
            let period = Reading::new(UnixNanos::default(), None, None)?.read(value)?;
            Ok(Expression::Time(Bound::Included(period.start), Bound::Excluded(period.end)))
        }
    }
}

/// An id that no hit has finds nothing.
fn with_id(id: &str) -> Expression {
    place_of(id).map_or_else(|_| nothing(), |(time, sequence)| Expression::One(UnixNanos(time), sequence))
}

pub(super) fn ids(body: &Value) -> Translated {
    let values = match body.get("values") {
        Some(Value::Array(values)) => values.as_slice(),
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        _ => return Err(EsError::parsing("[ids] needs a list of [values]")),
    };
    Ok(any_of(values.iter().filter_map(Value::as_str).map(with_id).collect()))
}

fn keyword(field: Keyword, value: &str, prefix: bool) -> Expression {
    Expression::Keyword {
        field,
        value: field.normal(value),
        prefix,
    }
}

fn in_order(field: Option<Text>, words: Vec<String>, prefix: bool) -> Expression {
    match words.is_empty() {
        true => nothing(),
        false => Expression::Text { field, words, prefix },
    }
}

fn shape(pieces: Vec<Piece>) -> Result<Shape, EsError> {
    Shape::new(pieces).map_err(EsError::illegal)
}

fn whole(path: &str, pieces: Vec<Piece>) -> Translated {
    Ok(Expression::Whole {
        path: path.to_owned(),
        shape: shape(pieces)?,
    })
}

/// What `match` looks for.
struct Match<'a> {
    text: String,
    parameters: Option<&'a Map<String, Value>>,
}

impl<'a> Match<'a> {
    fn read(kind: &str, name: &str, value: &'a Value) -> Result<Self, EsError> {
        let (value, parameters) = match value {
            Value::Object(parameters) => (parameters.get("query").unwrap_or(&Value::Null), Some(parameters)),
            value => (value, None),
        };
        let text = text_of(value).ok_or_else(|| EsError::parsing(format!("[{kind}] needs a [query] for [{name}]")))?;
        Ok(Self { text, parameters })
    }

    fn parameter(&self, name: &str) -> Option<&'a Value> {
        self.parameters.and_then(|parameters| parameters.get(name))
    }

    /// Words that have to be there: all, one, or so many.
    fn join(&self, parts: Vec<Expression>) -> Translated {
        if parts.is_empty() {
            let finds_all = self.parameter("zero_terms_query").and_then(Value::as_str) == Some("all");
            return Ok(if finds_all { Expression::All } else { nothing() });
        }
        let operator = self.parameter("operator").and_then(Value::as_str).unwrap_or("or");
        if operator.eq_ignore_ascii_case("and") {
            return Ok(all_of(parts));
        }
        Ok(match self.parameter("minimum_should_match") {
            None => any_of(parts),
            Some(value) => match at_least(value, parts.len())? {
                0 | 1 => any_of(parts),
                least => Expression::AtLeast(least, parts),
            },
        })
    }
}

pub(super) fn matched(body: &Value) -> Translated {
    let (name, value) = single("match", body)?;
    let wanted = Match::read("match", name, value)?;
    if let Some(parameters) = wanted.parameters {
        let known = [
            "query",
            "operator",
            "minimum_should_match",
            "lenient",
            "zero_terms_query",
            "auto_generate_synonyms_phrase_query",
        ];
        only("match", parameters, &[&known[..], &FUZZY[..]].concat())?;
    }
    match_words(name, value, &wanted)
}

fn match_words(name: &str, value: &Value, wanted: &Match<'_>) -> Translated {
    match field_or_all(name) {
        None => wanted.join(
            words(&wanted.text)
                .into_iter()
                .map(|word| in_order(None, vec![word], false))
                .collect(),
        ),
        Some(Field::Text(field)) => wanted.join(
            words(&wanted.text)
                .into_iter()
                .map(|word| in_order(Some(field), vec![word], false))
                .collect(),
        ),
        Some(Field::Attribute(path)) => {
            let plain = value.as_object().and_then(|parameters| parameters.get("query")).unwrap_or(value);
            if !plain.is_string() || Number::parse(&wanted.text).is_some() {
                return is(name, plain);
            }
            let word = |value: String| Expression::Attribute { path: path.clone(), value };
            wanted.join(words(&wanted.text).into_iter().map(word).collect())
        }
        Some(Field::Keyword(_) | Field::Time) => is(name, &Value::String(wanted.text.clone())),
    }
}

/// `*` and `_all` mean wherever people look.
fn field_or_all(name: &str) -> Option<Field> {
    match name {
        "*" | "_all" => None,
        name => Some(names::field(name)),
    }
}

pub(super) fn phrase(body: &Value, prefix: bool) -> Translated {
    let kind = if prefix { "match_phrase_prefix" } else { "match_phrase" };
    let (name, value) = single(kind, body)?;
    let wanted = Match::read(kind, name, value)?;
    if let Some(parameters) = wanted.parameters {
        only(kind, parameters, &["query", "slop", "max_expansions", "zero_terms_query"])?;
        if parameters.get("slop").and_then(Value::as_i64).unwrap_or(0) != 0 {
            return Err(EsError::unsupported(format!("[slop] in [{kind}]")));
        }
    }
    match_phrase(name, &wanted, prefix)
}

fn match_phrase(name: &str, wanted: &Match<'_>, prefix: bool) -> Translated {
    let text = &wanted.text;
    match field_or_all(name) {
        None => Ok(in_order(None, words(text), prefix)),
        Some(Field::Text(field)) => Ok(in_order(Some(field), words(text), prefix)),
        Some(Field::Keyword(field)) => Ok(keyword(field, text, prefix)),
        Some(Field::Attribute(path)) if prefix => whole(&path, vec![Piece::Text(text.clone()), Piece::Any]),
        Some(Field::Attribute(path)) => Ok(Expression::Attribute { path, value: text.clone() }),
        Some(Field::Time) => is(name, &Value::String(text.clone())),
    }
}

pub(super) fn multi_match(body: &Value) -> Translated {
    let parameters = body.as_object().ok_or_else(|| EsError::parsing("[multi_match] takes an object"))?;
    let known = [
        "query",
        "fields",
        "type",
        "operator",
        "minimum_should_match",
        "lenient",
        "tie_breaker",
        "zero_terms_query",
    ];
    only("multi_match", parameters, &known)?;
    let fields: Vec<&str> = match parameters.get("fields") {
        None => vec!["*"],
        Some(Value::Array(fields)) => fields.iter().filter_map(Value::as_str).collect(),
        Some(field) => field.as_str().into_iter().collect(),
    };
    let kind = parameters.get("type").and_then(Value::as_str).unwrap_or("best_fields");
    let wanted = Match::read("multi_match", "fields", body)?;
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        // A boost such as `message^3` orders hits elsewhere; here time does.
        let name = field.split('^').next().unwrap_or(field);
        parts.push(match kind {
            "best_fields" | "most_fields" => match_words(name, &Value::String(wanted.text.clone()), &wanted)?,
            "phrase" => match_phrase(name, &wanted, false)?,
            "phrase_prefix" => match_phrase(name, &wanted, true)?,
            other => return Err(EsError::unsupported(format!("[type] {other} in [multi_match]"))),
        });
    }
    Ok(any_of(parts))
}

pub(super) fn exists(body: &Value) -> Translated {
    let name = body.get("field").and_then(Value::as_str);
    let name = name.ok_or_else(|| EsError::parsing("[exists] needs a [field]"))?;
    Ok(match names::field(name) {
        Field::Time | Field::Text(Text::Message) => Expression::All,
        Field::Text(Text::Stack) => return Err(EsError::unsupported(format!("[exists] on [{name}]"))),
        Field::Keyword(field) => Expression::HasKeyword(field),
        Field::Attribute(path) if path == "attributes" => return Err(EsError::unsupported("[exists] on all attributes")),
        Field::Attribute(path) => Expression::HasAttribute(path),
    })
}

pub(super) fn prefix(body: &Value) -> Translated {
    let (name, value) = valued("prefix", body, "value")?;
    let begins = text_of(value).ok_or_else(|| wrong_value("prefix", name, value))?;
    match names::field(name) {
        Field::Keyword(field) => Ok(keyword(field, &begins, true)),
        Field::Text(field) => Ok(match words(&begins) == [begins.clone()] {
            true => in_order(Some(field), vec![begins], true),
            false => nothing(),
        }),
        Field::Attribute(path) => whole(&path, vec![Piece::Text(begins), Piece::Any]),
        Field::Time => Err(EsError::unsupported("[prefix] on a date")),
    }
}

pub(super) fn wildcard(body: &Value) -> Translated {
    let (name, parameters) = single("wildcard", body)?;
    let key = if parameters.get("wildcard").is_some() {
        "wildcard"
    } else {
        "value"
    };
    let (name, value) = valued("wildcard", body, key).map_err(|_| wrong_value("wildcard", name, parameters))?;
    let pattern = value.as_str().ok_or_else(|| wrong_value("wildcard", name, value))?;
    let pieces = pieces(pattern);
    match names::field(name) {
        Field::Keyword(field) => {
            let normal = |piece| match piece {
                Piece::Text(text) => Piece::Text(field.normal(&text)),
                gap => gap,
            };
            Ok(Expression::Fits {
                field: Some(Field::Keyword(field)),
                shape: shape(pieces.into_iter().map(normal).collect())?,
            })
        }
        Field::Text(field) => Ok(Expression::Fits {
            field: Some(Field::Text(field)),
            shape: shape(pieces)?,
        }),
        Field::Attribute(path) => whole(&path, pieces),
        Field::Time => Err(EsError::unsupported("[wildcard] on a date")),
    }
}

/// `*` is anything, `?` one character, `\` takes the next one as it is.
fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let gap = match character {
            '*' => Piece::Any,
            '?' => Piece::One,
            '\\' => {
                text.extend(characters.next());
                continue;
            }
            other => {
                text.push(other);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(gap);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

pub(super) fn range(body: &Value, now: UnixNanos) -> Translated {
    let (name, value) = single("range", body)?;
    let Some(parameters) = value.as_object() else {
        return Err(EsError::parsing(format!(
            "[range] takes an object with gte, gt, lt or lte for [{name}]"
        )));
    };
    let known = [
        "gte",
        "gt",
        "lt",
        "lte",
        "from",
        "to",
        "include_lower",
        "include_upper",
        "format",
        "time_zone",
        "relation",
    ];
    only("range", parameters, &known)?;
    let text = |key: &str| parameters.get(key).and_then(Value::as_str);
    let is_set = |key: &str| parameters.get(key).is_none_or(|value| value == &Value::Bool(true));
    let stated = |key: &str| parameters.get(key).filter(|value| !value.is_null());
    // `from` and `to` are what clients of old versions write.
    let lower = stated("gte")
        .map(|value| (value, true))
        .or_else(|| stated("gt").map(|value| (value, false)));
    let lower = lower.or_else(|| stated("from").map(|value| (value, is_set("include_lower"))));
    let upper = stated("lte")
        .map(|value| (value, true))
        .or_else(|| stated("lt").map(|value| (value, false)));
    let upper = upper.or_else(|| stated("to").map(|value| (value, is_set("include_upper"))));
    match names::field(name) {
        Field::Time => {
            let reading = Reading::new(now, text("format"), text("time_zone"))?;
            let read = |(value, included): (&Value, bool)| reading.read(value).map(|period| (period, included));
            let lower = lower.map(read).transpose()?.map_or(Bound::Unbounded, from);
            let upper = upper.map(read).transpose()?.map_or(Bound::Unbounded, up_to);
            Ok(Expression::Time(lower, upper))
        }
        Field::Attribute(path) => {
            let number = |(value, included): (&Value, bool)| {
                let number = text_of(value).as_deref().and_then(Number::parse);
                let number = number.ok_or_else(|| wrong_value("range", name, value))?;
                Ok::<_, EsError>(match included {
                    true => Bound::Included(number),
                    false => Bound::Excluded(number),
                })
            };
            let lower = lower.map(number).transpose()?.unwrap_or(Bound::Unbounded);
            let upper = upper.map(number).transpose()?.unwrap_or(Bound::Unbounded);
            Ok(match (lower, upper) {
                (Bound::Unbounded, Bound::Unbounded) => Expression::HasAttribute(path),
                (lower, upper) => Expression::Numbers { path, lower, upper },
            })
        }
        Field::Keyword(_) | Field::Text(_) => Err(EsError::unsupported(format!(
            "[range] on [{name}], which is no date and no number,"
        ))),
    }
}

/// From the beginning of the period, or after it.
fn from((period, included): (Period, bool)) -> Bound<UnixNanos> {
    Bound::Included(if included { period.start } else { period.end })
}

/// Up to the end of the period, or before it.
fn up_to((period, included): (Period, bool)) -> Bound<UnixNanos> {
    Bound::Excluded(if included { period.end } else { period.start })
}
