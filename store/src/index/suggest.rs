//! What may follow while a query is typed: names of fields, and values that occur.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::query::Weight;
use tantivy::{DocId, Score, Searcher, SegmentOrdinal, SegmentReader, TantivyError};

use super::attributes::{Attributes, occurs};
use super::collect::{FacetCounts, GIVEN_UP};
use super::query::{Expression, Field, Keyword, Text, parse};
use super::schema::ATTRIBUTES;
use super::search::{Search, SearchError};
use super::shelf::Shelf;
use super::{ErrorIndex, IndexError};
use crate::clock::UnixNanos;

/// Most suggestions of one answer.
pub const MAX_SUGGESTIONS: usize = 12;
/// Attributes whose names begin as was typed that are looked at.
const MAX_ATTRIBUTES: usize = 200;

/// What was typed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuggestRequest {
    /// The whole query.
    pub query: String,
    /// Where the caret is: characters before it.
    pub caret: usize,
    /// From this event time on.
    pub from: Option<UnixNanos>,
    /// Up to this event time, exclusive.
    pub to: Option<UnixNanos>,
    /// Only errors of these environments; empty: of all.
    pub environments: Vec<String>,
}

/// What may follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// First character of the query that a suggestion replaces; up to the caret.
    pub from: usize,
    /// The most frequent first; names of fields by name.
    pub items: Vec<Suggestion>,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What is written in the place.
    pub text: String,
    /// Errors that have it; `None` for the name of a field.
    pub count: Option<u64>,
}

/// What stands before the caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// The beginning of a field's name.
    Name { from: usize, begins: String },
    /// A field, and the beginning of its value.
    Value { from: usize, field: Field, begins: String },
    /// Inside quotes of a phrase, or nothing that can be completed.
    Nothing,
}

/// The last token before the caret.
pub(crate) fn typed(query: &str, caret: usize) -> (Typed, String) {
    let before: Vec<char> = query.chars().take(caret).collect();
    let after: String = query.chars().skip(caret).collect();
    let (mut start, mut quoted, mut at) = (0, false, 0);
    while at < before.len() {
        match before[at] {
            '\\' => at += 1,
            '"' => quoted = !quoted,
            character if !quoted && (character.is_whitespace() || matches!(character, '(' | ')')) => start = at + 1,
            _ => {}
        }
        at += 1;
    }
    start = start.min(before.len());
    let from = start + before[start..].iter().take_while(|c| matches!(c, '-' | '!')).count();
    let token: String = before[from..].iter().collect();
    let rest: String = before[..start].iter().collect::<String>() + " " + &after;
    let typed = match token.split_once(':') {
        Some((name, value)) if !name.is_empty() && !name.contains('"') => {
            let value_from = from + name.chars().count() + 1;
            Typed::Value {
                from: value_from,
                field: Field::named(name),
                begins: value.trim_start_matches('"').replace("\\\"", "\"").replace("\\\\", "\\"),
            }
        }
        None if !quoted => Typed::Name { from, begins: token },
        _ => Typed::Nothing,
    };
    (typed, rest)
}

impl ErrorIndex {
    /// What may follow at the caret, with how many of the errors that the rest of the query finds have it.
    ///
    /// # Errors
    /// The search took too long.
    pub async fn suggest(&self, request: &SuggestRequest) -> Result<Suggestions, SearchError> {
        let (typed, rest) = typed(&request.query, request.caret);
        // A rest that cannot be read yet narrows nothing.
        let rest = parse(&rest, self.clock.now()).unwrap_or(Expression::All);
        let search = Search::within(rest, request.from, request.to, request.environments.clone());
        match typed {
            Typed::Nothing => Ok(Suggestions::default()),
            Typed::Name { from, begins } => {
                let names = self.attributes.clone();
                let is_limited = !request.environments.is_empty();
                self.off_thread(move |shelf, given_up| {
                    let items = field_names(&names, &search, is_limited, &begins, shelf, given_up)?;
                    Ok(Suggestions { from, items })
                })
                .await
            }
            Typed::Value { from, field, begins } => {
                let column = match field {
                    Field::Keyword(keyword) => keyword.name().to_owned(),
                    Field::Attribute(path) if !path.is_empty() => format!("{ATTRIBUTES}.{path}"),
                    Field::Text(_) | Field::Time | Field::Attribute(_) => return Ok(Suggestions::default()),
                };
                self.off_thread(move |shelf, given_up| {
                    let items = values(&search, column, &begins, shelf, given_up)?;
                    Ok(Suggestions { from, items })
                })
                .await
            }
        }
    }
}

/// The fields' own names that begin so.
pub(crate) fn field_names_beginning(begins: &str) -> impl Iterator<Item = &'static str> {
    let texts = [Text::Message, Text::Stack].map(Text::name);
    let names = Keyword::ALL.map(Keyword::name).into_iter().chain(texts).chain(["time"]);
    names.filter(move |name| name.starts_with(begins))
}

fn field_names(
    known: &Attributes,
    search: &Search,
    is_limited: bool,
    begins: &str,
    shelf: &Shelf,
    given_up: &Arc<AtomicBool>,
) -> Result<Vec<Suggestion>, IndexError> {
    let name = |name: &str| Suggestion {
        text: format!("{name}:"),
        count: None,
    };
    let mut items: Vec<Suggestion> = field_names_beginning(begins).map(name).collect();
    let begins = begins.strip_prefix("attributes.").unwrap_or(begins);
    if begins.is_empty() {
        return Ok(items);
    }
    let days = search.days(shelf);
    let searchers: Vec<&Searcher> = days.iter().map(|(_, searcher)| searcher).collect();
    let attributes = known.of(&searchers, given_up)?;
    known.keep(shelf);
    let mut fitting = attributes
        .keys()
        .filter(|attribute| attribute.starts_with(begins))
        .take(MAX_ATTRIBUTES);
    while let Some(attribute) = fitting.next().filter(|_| items.len() < MAX_SUGGESTIONS) {
        // Who may not see an environment does not learn the names of its attributes.
        if !is_limited || occurs(search, attribute, shelf, given_up)? {
            items.push(name(attribute));
        }
    }
    items.truncate(MAX_SUGGESTIONS);
    Ok(items)
}

fn values(search: &Search, column: String, begins: &str, shelf: &Shelf, given_up: &Arc<AtomicBool>) -> Result<Vec<Suggestion>, IndexError> {
    let query = search.query(shelf, given_up);
    let collector = Values {
        column,
        begins: begins.to_lowercase(),
        given_up: given_up.clone(),
    };
    let mut counts = FacetCounts::default();
    for (_, searcher) in search.days(shelf) {
        counts.merge(searcher.search(&query, &collector)?);
    }
    let mut found: Vec<(String, u64)> = counts.values.into_iter().collect();
    found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(MAX_SUGGESTIONS);
    let suggestion = |(value, count): (String, u64)| Suggestion {
        text: quoted(&value),
        count: Some(count),
    };
    Ok(found.into_iter().map(suggestion).collect())
}

/// A value as a query has it: bare where that is safe, else in quotes.
pub(crate) fn quoted(value: &str) -> String {
    let is_safe = !value.is_empty()
        && value.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && value.starts_with(char::is_alphanumeric);
    if is_safe {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Counts the values of a column that begin as was typed, in any case.
struct Values {
    column: String,
    begins: String,
    given_up: Arc<AtomicBool>,
}

struct SegmentValues {
    column: Option<StrColumn>,
    counts: Vec<u64>,
    begins: String,
    given_up: Arc<AtomicBool>,
}

impl Collector for Values {
    type Fruit = FacetCounts;
    type Child = SegmentValues;

    fn for_segment(&self, _segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentValues> {
        let column = reader.fast_fields().str(&self.column)?;
        Ok(SegmentValues {
            counts: vec![0; column.as_ref().map_or(0, |column| column.num_terms())],
            column,
            begins: self.begins.clone(),
            given_up: self.given_up.clone(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(&self, weight: &dyn Weight, segment: u32, reader: &SegmentReader) -> tantivy::Result<tantivy::Result<FacetCounts>> {
        let mut values = self.for_segment(segment, reader)?;
        if values.column.is_some() {
            weight.for_each_no_score(reader, &mut |documents| values.collect_block(documents))?;
        }
        Ok(values.harvest())
    }

    fn merge_fruits(&self, parts: Vec<tantivy::Result<FacetCounts>>) -> tantivy::Result<FacetCounts> {
        let mut whole = FacetCounts::default();
        for part in parts {
            whole.merge(part?);
        }
        Ok(whole)
    }
}

impl SegmentCollector for SegmentValues {
    type Fruit = tantivy::Result<FacetCounts>;

    fn collect(&mut self, document: DocId, _score: Score) {
        if let Some(column) = &self.column {
            for ordinal in column.ords().values_for_doc(document) {
                self.counts[ordinal as usize] += 1;
            }
        }
    }

    fn collect_block(&mut self, documents: &[DocId]) {
        if !self.given_up.load(Ordering::Relaxed) {
            for document in documents {
                self.collect(*document, 1.0);
            }
        }
    }

    fn harvest(self) -> tantivy::Result<FacetCounts> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TantivyError::InternalError(GIVEN_UP.into()));
        }
        let mut counts = FacetCounts::default();
        let Some(column) = &self.column else { return Ok(counts) };
        let mut value = String::new();
        for (ordinal, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            value.clear();
            column.ord_to_str(ordinal as u64, &mut value)?;
            if value.to_lowercase().starts_with(&self.begins) {
                counts.add(&value, *count);
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(from: usize, begins: &str) -> Typed {
        Typed::Name {
            from,
            begins: begins.into(),
        }
    }

    fn value(from: usize, field: Field, begins: &str) -> Typed {
        Typed::Value {
            from,
            field,
            begins: begins.into(),
        }
    }

    #[test]
    fn what_stands_before_the_caret_is_completed_and_the_rest_narrows() {
        let service = || Field::Keyword(Keyword::Service);
        for (before, after, expected, rest) in [
            ("", "", name(0, ""), " "),
            ("ser", "", name(0, "ser"), " "),
            ("timeout -ser", " x", name(9, "ser"), "timeout   x"),
            ("service:", "", value(8, service(), ""), " "),
            ("a service:\"my s", "", value(10, service(), "my s"), "a  "),
            ("(model:b OR service:p", ")", value(20, service(), "p"), "(model:b OR  )"),
            ("http.route:\"/p", "", value(11, Field::Attribute("http.route".into()), "/p"), " "),
            ("\"connection ref", "", Typed::Nothing, " "),
            ("ü service:ä", "", value(10, service(), "ä"), "ü  "),
            ("say \\\"ser", "", name(4, "\\\"ser"), "say  "),
        ] {
            let (found, found_rest) = typed(&format!("{before}{after}"), before.chars().count());
            assert_eq!(found, expected, "{before}|{after}");
            assert_eq!(found_rest, rest, "{before}|{after}");
        }
    }

    #[test]
    fn a_value_is_quoted_where_it_has_to_be() {
        for (value, expected) in [
            ("scorer", "scorer"),
            ("1.0-rc_2", "1.0-rc_2"),
            ("my service", "\"my service\""),
            ("-x", "\"-x\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
