//! `query_string`: Lucene's syntax, as far as the search box of the pages has it too.

use driftlead_store::clock::UnixNanos;
use driftlead_store::index::query::{Expression, Field, Joins, Text, parse_joined};
use serde_json::Value;

use super::{Translated, any_of, only};
use crate::es::error::EsError;
use crate::es::names;

pub(super) fn query_string(body: &Value, now: UnixNanos) -> Translated {
    let parameters = body.as_object().ok_or_else(|| EsError::parsing("[query_string] takes an object"))?;
    let known = [
        "query",
        "default_field",
        "fields",
        "default_operator",
        "analyze_wildcard",
        "allow_leading_wildcard",
        "lenient",
        "auto_generate_synonyms_phrase_query",
        "escape",
        "type",
        "time_zone",
    ];
    only("query_string", parameters, &known)?;
    let query = parameters.get("query").and_then(Value::as_str);
    let query = query.ok_or_else(|| EsError::parsing("[query_string] needs a [query]"))?;
    let fields: Vec<&str> = match (parameters.get("fields"), parameters.get("default_field")) {
        (Some(Value::Array(fields)), _) => fields.iter().filter_map(Value::as_str).collect(),
        (_, Some(field)) => field.as_str().into_iter().collect(),
        _ => Vec::new(),
    };
    let operator = parameters.get("default_operator").and_then(Value::as_str);
    parsed(query, operator, &fields, now)
}

/// Words without a field are looked for in these fields; empty: wherever people look.
pub(super) fn parsed(query: &str, operator: Option<&str>, fields: &[&str], now: UnixNanos) -> Translated {
    let joins = match operator.unwrap_or("or").to_ascii_lowercase().as_str() {
        "or" => Joins::Or,
        "and" => Joins::And,
        other => return Err(EsError::parsing(format!("[default_operator] is {other:?}: write AND or OR"))),
    };
    let expression = parse_joined(&spelled(query)?, joins, now)?;
    let mut texts = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.split('^').next().unwrap_or(field);
        match names::field(name) {
            _ if matches!(name, "*" | "_all") => return Ok(expression),
            Field::Text(text) => texts.push(text),
            _ => {
                return Err(EsError::unsupported(format!(
                    "words without a field in [{name}], which is no text,"
                )));
            }
        }
    }
    match texts.is_empty() {
        true => Ok(expression),
        false => Ok(restricted(expression, &texts)),
    }
}

/// Looks for words that name no field in these texts.
fn restricted(expression: Expression, texts: &[Text]) -> Expression {
    let in_each = |make: &dyn Fn(Text) -> Expression| any_of(texts.iter().map(|text| make(*text)).collect());
    let each = |parts: Vec<Expression>| parts.into_iter().map(|part| restricted(part, texts)).collect();
    match expression {
        Expression::And(parts) => Expression::And(each(parts)),
        Expression::Or(parts) => Expression::Or(each(parts)),
        Expression::AtLeast(least, parts) => Expression::AtLeast(least, each(parts)),
        Expression::Not(inner) => Expression::Not(Box::new(restricted(*inner, texts))),
        Expression::Text {
            field: None,
            words,
            prefix,
        } => in_each(&|text| Expression::Text {
            field: Some(text),
            words: words.clone(),
            prefix,
        }),
        Expression::Fits { field: None, shape } => in_each(&|text| Expression::Fits {
            field: Some(Field::Text(text)),
            shape: shape.clone(),
        }),
        other => other,
    }
}

/// `&&` and `||` as words; refuses what Lucene has and the search box has not.
fn spelled(query: &str) -> Result<String, EsError> {
    let characters: Vec<char> = query.chars().collect();
    let mut spelled = String::with_capacity(query.len());
    let mut is_quoted = false;
    let mut at = 0;
    while at < characters.len() {
        let (character, next) = (characters[at], characters.get(at + 1).copied());
        let before = at.checked_sub(1).map(|before| characters[before]);
        let ends_word = before.is_some_and(|before| before.is_alphanumeric() || before == '"' || before == ')');
        match character {
            '\\' => {
                spelled.push(character);
                spelled.extend(next);
                at += 1;
            }
            '"' => {
                is_quoted = !is_quoted;
                spelled.push(character);
            }
            _ if is_quoted => spelled.push(character),
            '&' | '|' if next == Some(character) => {
                spelled.push_str(if character == '&' { " AND " } else { " OR " });
                at += 1;
            }
            '^' if ends_word && next.is_some_and(|next| next.is_ascii_digit()) => return Err(EsError::unsupported("a boost (^)")),
            '~' if ends_word => return Err(EsError::unsupported("a fuzzy word or a phrase with gaps (~)")),
            '/' if before == Some(':') => {
                return Err(EsError::unsupported(
                    "a regular expression (field:/…/); field:\"/…\" looks for a path; it",
                ));
            }
            other => spelled.push(other),
        }
        at += 1;
    }
    Ok(spelled)
}
