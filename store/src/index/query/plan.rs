//! From an [`Expression`] to a tantivy query over one day's index.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;

use super::begun::Begun;
use super::complement::Complement;
use super::expression::{Expression, Field, Keyword, Number, Text};
use super::fitting::Fitting;
use super::shape::Shape;
use super::whole::{Texts, Whole};
use crate::clock::UnixNanos;
use crate::index::analyzer::words_of;
use crate::index::schema::{ATTRIBUTES, Fields, date};

const TRACE_ID_DIGITS: usize = 32;
const SPAN_ID_DIGITS: usize = 16;

/// Plans expressions for these fields.
pub(in crate::index) struct Plan<'a> {
    /// The fields of the index.
    pub fields: &'a Fields,
    /// Set when nobody waits any more.
    pub given_up: &'a Arc<AtomicBool>,
}

type Planned = Box<dyn Query>;

impl Plan<'_> {
    /// The query that finds what the expression means.
    pub(in crate::index) fn query(&self, expression: &Expression) -> Planned {
        match expression {
            Expression::All => Box::new(AllQuery),
            Expression::And(parts) => Box::new(BooleanQuery::intersection(self.queries(parts))),
            Expression::Or(parts) => any(self.queries(parts)),
            Expression::AtLeast(count, parts) => at_least(*count, self.queries(parts)),
            Expression::Not(inner) => not(self.query(inner)),
            Expression::One(time, sequence) => self.one(*time, *sequence),
            Expression::Text { field, words, prefix } => self.text(*field, words, *prefix),
            Expression::Keyword { field, value, prefix } => self.keyword(*field, value, *prefix),
            Expression::Attribute { path, value } => self.attribute(path, value),
            Expression::Fits { field, shape } => self.fits(field.as_ref(), shape),
            Expression::Whole { path, shape } => self.whole(format!("{ATTRIBUTES}.{path}"), Texts::Fitting(shape.automaton())),
            Expression::HasKeyword(keyword) => has(keyword.name().to_owned()),
            Expression::HasAttribute(path) => has(format!("{ATTRIBUTES}.{path}")),
            Expression::Time(lower, upper) => self.time(*lower, *upper),
            Expression::Numbers { path, lower, upper } => self.numbers(path, *lower, *upper),
        }
    }

    fn queries(&self, parts: &[Expression]) -> Vec<Planned> {
        parts.iter().map(|part| self.query(part)).collect()
    }

    fn text(&self, field: Option<Text>, words: &[String], prefix: bool) -> Planned {
        let fields = match field {
            Some(Text::Message) => vec![self.fields.message],
            Some(Text::Stack) => vec![self.fields.stack],
            None => vec![self.fields.message, self.fields.stack, self.fields.names],
        };
        let mut queries: Vec<Planned> = fields
            .into_iter()
            .map(|field| in_order(words.iter().map(|word| Term::from_field_text(field, word)).collect(), prefix))
            .collect();
        if let (None, [word], false) = (field, words, prefix) {
            queries.extend(self.id(word));
        }
        any(queries)
    }

    /// A word that looks like a trace or span id is looked for as one, too.
    fn id(&self, word: &str) -> Option<Planned> {
        let keyword = match word.len() {
            TRACE_ID_DIGITS => Keyword::TraceId,
            SPAN_ID_DIGITS => Keyword::SpanId,
            _ => return None,
        };
        word.bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| self.keyword(keyword, word, false))
    }

    fn keyword(&self, keyword: Keyword, value: &str, prefix: bool) -> Planned {
        let column = keyword.name().to_owned();
        let term = || Term::from_field_text(self.fields.keyword(keyword), value);
        match (prefix, value.is_empty(), keyword.is_id()) {
            (true, true, _) => has(column),
            (false, true, _) => not(has(column)),
            (true, false, true) => self.whole(column, Texts::Beginning(value.to_owned())),
            (false, false, true) => self.whole(column, Texts::Exactly(value.to_owned())),
            (true, false, false) => in_order(vec![term()], true),
            (false, false, false) => exact(term()),
        }
    }

    fn whole(&self, column: String, texts: Texts) -> Planned {
        Box::new(Whole {
            column,
            texts,
            given_up: Arc::clone(self.given_up),
        })
    }

    fn attribute(&self, path: &str, value: &str) -> Planned {
        let mut queries = Vec::new();
        let words = words_of(value);
        if !words.is_empty() {
            let term = |word: &String| {
                let mut term = self.path(path);
                term.append_type_and_str(word);
                term
            };
            queries.push(in_order(words.iter().map(term).collect(), false));
        }
        if let Some(number) = Number::parse(value) {
            queries.push(exact(self.number(path, number)));
        }
        if let Ok(flag) = value.parse::<bool>() {
            let mut term = self.path(path);
            term.append_type_and_fast_value(flag);
            queries.push(exact(term));
        }
        any(queries)
    }

    fn fits(&self, field: Option<&Field>, shape: &Shape) -> Planned {
        let fields = match field {
            None => vec![self.fields.message, self.fields.stack, self.fields.names],
            Some(Field::Text(Text::Message)) => vec![self.fields.message],
            Some(Field::Text(Text::Stack)) => vec![self.fields.stack],
            Some(Field::Keyword(keyword)) if keyword.is_id() => {
                return self.whole(keyword.name().to_owned(), Texts::Fitting(shape.automaton()));
            }
            Some(Field::Keyword(keyword)) => vec![self.fields.keyword(*keyword)],
            Some(Field::Attribute(_)) => vec![self.fields.attributes],
            // No time has letters; the parser refuses it.
            Some(Field::Time) => Vec::new(),
        };
        let before = match field {
            Some(Field::Attribute(path)) => {
                let mut term = self.path(path);
                term.append_type_and_str("");
                term.serialized_value_bytes().to_vec()
            }
            _ => Vec::new(),
        };
        let fitting = |field| -> Planned {
            Box::new(Fitting {
                field,
                before: before.clone(),
                automaton: shape.automaton(),
                given_up: Arc::clone(self.given_up),
            })
        };
        any(fields.into_iter().map(fitting).collect())
    }

    fn path(&self, path: &str) -> Term {
        Term::from_field_json_path(self.fields.attributes, path, true)
    }

    fn number(&self, path: &str, number: Number) -> Term {
        let mut term = self.path(path);
        match normal(number) {
            Number::Whole(whole) => term.append_type_and_fast_value(whole),
            Number::Large(whole) => term.append_type_and_fast_value(whole),
            Number::Real(real) => term.append_type_and_fast_value(real),
        }
        term
    }

    /// Event times in these bounds.
    pub(in crate::index) fn time(&self, lower: Bound<UnixNanos>, upper: Bound<UnixNanos>) -> Planned {
        range(
            lower.map(|time| Term::from_field_date(self.fields.time, date(time))),
            upper.map(|time| Term::from_field_date(self.fields.time, date(time))),
        )
    }

    fn numbers(&self, path: &str, lower: Bound<Number>, upper: Bound<Number>) -> Planned {
        if path.is_empty() {
            return Box::new(EmptyQuery);
        }
        let kind = |bound: &Bound<Number>| match bound {
            Bound::Included(number) | Bound::Excluded(number) => Some(std::mem::discriminant(&normal(*number))),
            Bound::Unbounded => None,
        };
        // tantivy takes no range from a number of one kind to one of another.
        let is_mixed = kind(&lower).zip(kind(&upper)).is_some_and(|(one, other)| one != other);
        let term = |number: Number| {
            if !is_mixed {
                return self.number(path, number);
            }
            let mut term = self.path(path);
            term.append_type_and_fast_value(number.value());
            term
        };
        range(lower.map(term), upper.map(term))
    }

    /// One error by its time and sequence.
    pub(in crate::index) fn one(&self, time: UnixNanos, sequence: u64) -> Planned {
        let place = Term::from_field_u64(self.fields.sequence, sequence);
        Box::new(BooleanQuery::intersection(vec![
            range(Bound::Included(place.clone()), Bound::Included(place)),
            self.time(Bound::Included(time), Bound::Included(time)),
        ]))
    }

    /// Errors of one of these environments; an empty name is that of errors without one.
    pub(in crate::index) fn environments(&self, environments: &[String]) -> Planned {
        any(environments
            .iter()
            .map(|environment| self.keyword(Keyword::Environment, environment, false))
            .collect())
    }
}

/// Numbers of attributes are indexed whole where they are whole.
fn normal(number: Number) -> Number {
    match number {
        Number::Real(real) if real.fract() == 0.0 && real.abs() < i64::MAX as f64 => Number::Whole(real as i64),
        Number::Real(real) if real.fract() == 0.0 && real > 0.0 && real < u64::MAX as f64 => Number::Large(real as u64),
        other => other,
    }
}

fn exact(term: Term) -> Planned {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn in_order(mut terms: Vec<Term>, prefix: bool) -> Planned {
    match (terms.len(), prefix) {
        (0, _) => Box::new(EmptyQuery),
        (1, false) => exact(terms.swap_remove(0)),
        (_, false) => Box::new(PhraseQuery::new(terms)),
        (1, true) => {
            // One word needs no memory for each that begins so.
            let mut query = PhrasePrefixQuery::new(terms);
            query.set_max_expansions(u32::MAX);
            Box::new(query)
        }
        (_, true) => Box::new(Begun { terms }),
    }
}

fn any(mut queries: Vec<Planned>) -> Planned {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.swap_remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}

fn at_least(count: usize, queries: Vec<Planned>) -> Planned {
    if count == 0 {
        return Box::new(AllQuery);
    }
    if count > queries.len() {
        return Box::new(EmptyQuery);
    }
    let clauses = queries.into_iter().map(|query| (Occur::Should, query)).collect();
    Box::new(BooleanQuery::with_minimum_required_clauses(clauses, count))
}

fn not(inner: Planned) -> Planned {
    Box::new(Complement { inner })
}

fn has(field: String) -> Planned {
    Box::new(ExistsQuery::new(field, true))
}

fn range(lower: Bound<Term>, upper: Bound<Term>) -> Planned {
    match (&lower, &upper) {
        (Bound::Unbounded, Bound::Unbounded) => Box::new(AllQuery),
        _ => Box::new(RangeQuery::new(lower, upper)),
    }
}
