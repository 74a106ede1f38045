//! From an [`Expression`] to a condition of SQL. What people typed is bound as a parameter, never written.
//!
//! Words are found as the error index finds them: runs of letters and digits, in any case. A regular expression decides (RE2:
//! its time is linear, whatever it is); before it, where the word is ASCII, a `LIKE` on `lower(…)` that a text index answers from
//! its dictionary, so that most of the table is not read.

use std::fmt::Write as _;
use std::ops::Bound;

use clickhouse::query::Query;

use super::table::{Place, RecordKind};
use crate::clock::UnixNanos;
use crate::index::SearchError;
use crate::index::query::{Expression, Field, Keyword, Number, Piece, Shape, Text, words};

/// Most words of a phrase: each takes some hundred steps of the expression's program, whose size RE2 bounds.
const MAX_PHRASE_WORDS: usize = 100;
const TRACE_ID_DIGITS: usize = 32;
const SPAN_ID_DIGITS: usize = 16;
/// A letter or digit, and what is none: as the error index tells words apart.
const LETTER: &str = r"[\p{L}\p{N}]";
const GAP: &str = r"[^\p{L}\p{N}]";

/// A value that is bound.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Texts(Vec<String>),
    Whole(i64),
    Large(u64),
    Real(f64),
}

/// A condition and the values that it names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    /// As SQL.
    pub sql: String,
    values: Vec<Value>,
    named: Vec<(&'static str, String)>,
}

impl Condition {
    /// What the expression means, from `from` up to and not including `to`, in these environments; none: in all.
    pub fn new(
        kind: RecordKind,
        expression: &Expression,
        (from, to): (Option<UnixNanos>, Option<UnixNanos>),
        environments: &[String],
    ) -> Self {
        let mut writer = Writer { kind, values: Vec::new() };
        let lower = from.map_or(Bound::Unbounded, Bound::Included);
        let upper = to.map_or(Bound::Unbounded, Bound::Excluded);
        let mut parts = vec![writer.time(lower, upper), writer.condition(expression)];
        if !environments.is_empty() {
            let environment = kind.keyword(Keyword::Environment);
            let allowed = writer.bind(Value::Texts(environments.to_vec()));
            parts.push(format!("has({allowed}, {environment})"));
        }
        Self {
            sql: all(&parts),
            values: writer.values,
            named: Vec::new(),
        }
    }

    /// With a text more, which what stands beside it names.
    pub fn named(mut self, name: &'static str, text: &str) -> Self {
        self.named.push((name, text.to_owned()));
        self
    }

    /// With its values.
    pub fn bind(&self, query: Query) -> Query {
        let query = self.named.iter().fold(query, |query, (name, text)| query.param(name, text));
        self.values.iter().enumerate().fold(query, |query, (index, value)| {
            let name = name(index);
            match value {
                Value::Text(text) => query.param(&name, text),
                Value::Texts(texts) => query.param(&name, texts),
                Value::Whole(number) => query.param(&name, number),
                Value::Large(number) => query.param(&name, number),
                Value::Real(number) => query.param(&name, number),
            }
        })
    }
}

fn name(index: usize) -> String {
    format!("value_{index}")
}

fn all(parts: &[String]) -> String {
    joined(parts, " AND ", "1")
}

fn any(parts: &[String]) -> String {
    joined(parts, " OR ", "0")
}

fn joined(parts: &[String], with: &str, nothing: &str) -> String {
    match parts {
        [] => nothing.to_owned(),
        [one] => one.clone(),
        parts => format!("({})", parts.join(with)),
    }
}

struct Writer {
    kind: RecordKind,
    values: Vec<Value>,
}

impl Writer {
    fn condition(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::All => "1".to_owned(),
            Expression::And(parts) => all(&self.conditions(parts)),
            Expression::Or(parts) => any(&self.conditions(parts)),
            Expression::AtLeast(count, parts) => {
                let parts: Vec<String> = self.conditions(parts).iter().map(|part| format!("toUInt8({part})")).collect();
                let count = self.bind(Value::Large(*count as u64));
                format!("({} >= {count})", parts.join(" + "))
            }
            Expression::Not(inner) => format!("NOT ({})", self.condition(inner)),
            Expression::One(time, sequence) => {
                let time = self.time(Bound::Included(*time), Bound::Included(*time));
                let sequence = self.bind(Value::Large(*sequence));
                format!("({time} AND {} = {sequence})", self.kind.sequence())
            }
            Expression::Text { field, words, prefix } => self.text(*field, words, *prefix),
            Expression::Keyword { field, value, prefix } => {
                let (actual, value) = (self.kind.keyword(*field), self.text_value(value));
                match prefix {
                    true => format!("startsWith({actual}, {value})"),
                    false => format!("{actual} = {value}"),
                }
            }
            Expression::Fits { field, shape } => self.fits(field.as_ref(), shape),
            Expression::Whole { path, shape } => {
                let expression = self.text_value(&whole(shape));
                match self.attribute_text(path) {
                    Some(text) => format!("match({text}, {expression})"),
                    None => "0".to_owned(),
                }
            }
            Expression::HasKeyword(keyword) => format!("notEmpty({})", self.kind.keyword(*keyword)),
            Expression::HasAttribute(path) => self.has_attribute(path),
            Expression::Attribute { path, value } => self.attribute(path, value),
            Expression::Time(lower, upper) => self.time(*lower, *upper),
            Expression::Numbers { path, lower, upper } => self.numbers(path, *lower, *upper),
        }
    }

    fn conditions(&mut self, parts: &[Expression]) -> Vec<String> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    /// The placeholder of a value.
    fn bind(&mut self, value: Value) -> String {
        let kind = match value {
            Value::Text(_) => "String",
            Value::Texts(_) => "Array(String)",
            Value::Whole(_) => "Int64",
            Value::Large(_) => "UInt64",
            Value::Real(_) => "Float64",
        };
        let index = self.values.iter().position(|known| *known == value).unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        format!("{{{}:{kind}}}", name(index))
    }

    fn text_value(&mut self, text: &str) -> String {
        self.bind(Value::Text(text.to_owned()))
    }

    fn time(&mut self, lower: Bound<UnixNanos>, upper: Bound<UnixNanos>) -> String {
        let mut parts = Vec::new();
        for (bound, included, excluded) in [(lower, ">=", ">"), (upper, "<=", "<")] {
            let (operator, instant) = match bound {
                Bound::Included(instant) => (included, instant),
                Bound::Excluded(instant) => (excluded, instant),
                Bound::Unbounded => continue,
            };
            let instant = self.bind(Value::Whole(instant.0));
            parts.push(format!("Timestamp {operator} fromUnixTimestamp64Nano({instant})"));
        }
        all(&parts)
    }

    fn text(&mut self, field: Option<Text>, words: &[String], prefix: bool) -> String {
        if field == Some(Text::Stack) {
            return self.holds(self.kind.stack(), words, prefix);
        }
        let mut parts = self.in_message(|writer, text| writer.holds(text, words, prefix));
        if let (None, [word], false) = (field, words, prefix) {
            parts.extend(self.id(word));
        }
        any(&parts)
    }

    fn in_message(&mut self, condition: impl Fn(&mut Self, &str) -> String) -> Vec<String> {
        let messages = self.kind.messages();
        let part = |(text, counts): (&str, Option<&str>)| {
            let found = condition(self, text);
            match counts {
                Some(counts) => format!("({counts} AND {found})"),
                None => found,
            }
        };
        messages.map(part).into()
    }

    /// A word that looks like a trace or span id is looked for as one, too.
    fn id(&mut self, word: &str) -> Option<String> {
        let column = match word.len() {
            TRACE_ID_DIGITS => "TraceId",
            SPAN_ID_DIGITS => "SpanId",
            _ => return None,
        };
        let is_id = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| format!("{column} = {}", self.text_value(word)))
    }

    /// Whether a text holds these words in this order.
    fn holds(&mut self, text: &str, words: &[String], prefix: bool) -> String {
        let mut parts: Vec<String> = Vec::new();
        for word in words.iter().filter(|word| word.is_ascii()) {
            let pattern = self.text_value(&format!("%{word}%"));
            parts.push(format!("lower({text}) LIKE {pattern}"));
        }
        let mut expression = format!("{}(^|{GAP}){}", cases(words), words.join(&format!("{GAP}+")));
        if !prefix {
            let _written = write!(expression, "({GAP}|$)");
        }
        let expression = self.text_value(&expression);
        parts.push(format!("match(lower({text}), {expression})"));
        all(&parts)
    }

    /// Whether a text holds a word of this shape.
    fn holds_shape(&mut self, text: &str, shape: &Shape) -> String {
        let word: String = shape
            .pieces()
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => regex::escape(text),
                Piece::One => LETTER.to_owned(),
                Piece::Any => format!("{LETTER}*"),
            })
            .collect();
        let texts = shape.pieces().iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            _ => None,
        });
        let texts: Vec<String> = texts.collect();
        let expression = self.text_value(&format!("{}(^|{GAP}){word}({GAP}|$)", cases(&texts)));
        let mut parts: Vec<String> = Vec::new();
        for text_of_shape in texts.iter().filter(|text| text.is_ascii()) {
            let pattern = self.text_value(&format!("%{text_of_shape}%"));
            parts.push(format!("lower({text}) LIKE {pattern}"));
        }
        parts.push(format!("match(lower({text}), {expression})"));
        all(&parts)
    }

    fn fits(&mut self, field: Option<&Field>, shape: &Shape) -> String {
        match field {
            None | Some(Field::Text(Text::Message)) => any(&self.in_message(|writer, text| writer.holds_shape(text, shape))),
            Some(Field::Text(Text::Stack)) => self.holds_shape(self.kind.stack(), shape),
            Some(Field::Keyword(keyword)) => {
                let (actual, expression) = (self.kind.keyword(*keyword), self.text_value(&whole(shape)));
                format!("(notEmpty({actual}) AND match({actual}, {expression}))")
            }
            Some(Field::Attribute(path)) => match self.attribute_text(path) {
                Some(text) => self.holds_shape(&text, shape),
                None => "0".to_owned(),
            },
            // No time has letters; the parser refuses it.
            Some(Field::Time) => "0".to_owned(),
        }
    }

    /// The text of an attribute; `None`: it is a number.
    fn attribute_text(&mut self, path: &str) -> Option<String> {
        match self.kind.attribute(path) {
            Place::Key { map, key } => Some(format!("{map}[{}]", self.text_value(key))),
            Place::Text(text) => Some(text.to_owned()),
            Place::Number(_) => None,
        }
    }

    /// The number that an attribute is; NULL: it is none.
    fn attribute_number(&mut self, path: &str) -> String {
        match self.kind.attribute(path) {
            Place::Number(number) => number.to_owned(),
            Place::Key { map, key } => format!("toFloat64OrNull({map}[{}])", self.text_value(key)),
            Place::Text(text) => format!("toFloat64OrNull({text})"),
        }
    }

    fn has_attribute(&mut self, path: &str) -> String {
        match self.kind.attribute(path) {
            Place::Number(_) => "1".to_owned(),
            Place::Text(text) => format!("notEmpty({text})"),
            Place::Key { map, key } => {
                let (name, below) = (self.text_value(key), self.text_value(&format!("{key}.")));
                format!("(mapContains({map}, {name}) OR arrayExists(key -> startsWith(key, {below}), mapKeys({map})))")
            }
        }
    }

    fn attribute(&mut self, path: &str, value: &str) -> String {
        let words = words(value);
        let text = self.attribute_text(path).filter(|_| !words.is_empty());
        // Flags are found as the words that they are.
        let holds = text.map_or_else(|| "0".to_owned(), |text| self.holds(&text, &words, false));
        match Number::parse(value) {
            // All attributes are kept as texts. One that reads as a number is one, and 0 is no word of 0.5.
            Some(number) => {
                let (actual, wanted) = (self.attribute_number(path), self.bind(Value::Real(number.value())));
                let equal = format!("ifNull({actual} = {wanted}, {holds})");
                // Whole numbers are compared as such: beyond 2^53 a Float64 is several of them.
                let whole = match (number, self.attribute_text(path)) {
                    (Number::Whole(whole), Some(text)) => format!("toInt64OrNull({text}) = {}", self.bind(Value::Whole(whole))),
                    (Number::Large(large), Some(text)) => format!("toUInt64OrNull({text}) = {}", self.bind(Value::Large(large))),
                    _ => return equal,
                };
                format!("ifNull({whole}, {equal})")
            }
            None => holds,
        }
    }

    fn numbers(&mut self, path: &str, lower: Bound<Number>, upper: Bound<Number>) -> String {
        let actual = self.attribute_number(path);
        let mut parts = Vec::new();
        for (bound, included, excluded) in [(lower, ">=", ">"), (upper, "<=", "<")] {
            let (operator, number) = match bound {
                Bound::Included(number) => (included, number),
                Bound::Excluded(number) => (excluded, number),
                Bound::Unbounded => continue,
            };
            let number = self.bind(Value::Real(number.value()));
            parts.push(format!("ifNull({actual} {operator} {number}, 0)"));
        }
        if parts.is_empty() {
            parts.push(format!("isNotNull({actual})"));
        }
        all(&parts)
    }
}

/// Whether no phrase is so long that the expression for it would be too large for the database.
pub(super) fn check_phrases(expression: &Expression) -> Result<(), SearchError> {
    let check = |count: usize| match count > MAX_PHRASE_WORDS {
        true => Err(SearchError::TooWide(format!(
            "a phrase of {count} words is looked for among log records and spans; {MAX_PHRASE_WORDS} are the most: search for a part of it"
        ))),
        false => Ok(()),
    };
    match expression {
        Expression::And(parts) | Expression::Or(parts) | Expression::AtLeast(_, parts) => parts.iter().try_for_each(check_phrases),
        Expression::Not(inner) => check_phrases(inner),
        Expression::Text { words, .. } => check(words.len()),
        Expression::Attribute { value, .. } => check(words(value).len()),
        _ => Ok(()),
    }
}

/// Texts are searched in lower case as far as they are ASCII; of other letters the expression takes every case.
fn cases(texts: &[String]) -> &'static str {
    if texts.iter().all(|text| text.is_ascii()) { "" } else { "(?i)" }
}

/// An expression that a whole text of this shape fits.
fn whole(shape: &Shape) -> String {
    let pieces = shape.pieces().iter().map(|piece| match piece {
        Piece::Text(text) => regex::escape(text),
        Piece::One => ".".to_owned(),
        Piece::Any => ".*".to_owned(),
    });
    format!("(?s)^{}$", pieces.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::query::parse;

    fn condition(query: &str) -> Condition {
        let expression = parse(query, UnixNanos::default()).unwrap();
        Condition::new(RecordKind::Logs, &expression, (None, None), &[])
    }

    #[test]
    fn nothing_that_was_typed_is_sql() {
        for hostile in [
            "'; DROP TABLE otel_logs; --",
            "a\\') OR 1=1 --",
            "attributes.x'] OR 1=1 --:\"y'\"",
            "service:\"a' OR '1'='1\"",
            "message:*a\u{0}'b*",
            "{value_0:String}",
            "model:a*'b",
            "x.y:>5",
        ] {
            let Ok(expression) = parse(hostile, UnixNanos::default()) else {
                continue;
            };
            let condition = Condition::new(RecordKind::Logs, &expression, (None, None), &["e'".into()]);
            for typed in ["DROP", "1=1", "a'", "y'", "e'", "x.y"] {
                assert!(!condition.sql.contains(typed), "{hostile}: {}", condition.sql);
            }
        }
    }

    #[test]
    fn a_word_is_looked_for_in_the_dictionary_first_where_that_is_sure_to_have_it() {
        let found = condition("Timeout");
        assert!(found.sql.contains("lower(Body) LIKE {value_0:String}"), "{}", found.sql);
        assert_eq!(found.values[0], Value::Text("%timeout%".into()));
        let found = condition("тайм");
        assert!(!found.sql.contains("LIKE"), "{}", found.sql);
        assert!(matches!(&found.values[0], Value::Text(text) if text.starts_with("(?i)")));
    }

    #[test]
    fn a_value_that_is_named_twice_is_bound_once() {
        let found = condition("timeout OR (timeout service:a)");
        let texts = found.values.iter().filter(|value| **value == Value::Text("%timeout%".into()));
        assert_eq!(texts.count(), 1);
    }
}
