//! An error as tantivy is given it: its texts are read where they lie, not copied first.
//!
//! Empty names and ids are left out, so that `field:*` means what it says.

use std::array::IntoIter;
use std::iter::Flatten;

use tantivy::schema::document::ReferenceValueLeaf;
use tantivy::schema::{Document, Field};

use super::query::Keyword;
use super::schema::{Fields, date};
use super::searched::Searched;
use super::source::to_source;
use crate::records::ErrorDocument;

/// Values of a document at most.
const VALUES: usize = 18;

/// An error to be indexed.
pub(super) struct IndexedError {
    fields: Fields,
    sequence: u64,
    /// Its names and ids are as they are compared.
    error: ErrorDocument,
    pattern: String,
    source: String,
}

impl IndexedError {
    /// An error, and what tells it from others of its instant.
    pub fn new(fields: &Fields, sequence: u64, mut error: ErrorDocument) -> Result<Self, serde_json::Error> {
        let source = to_source(&error)?;
        for (keyword, value) in [
            (Keyword::Severity, &mut error.severity),
            (Keyword::TraceId, &mut error.trace_id),
            (Keyword::SpanId, &mut error.span_id),
        ] {
            keyword.normalize(value);
        }
        Ok(Self {
            fields: *fields,
            sequence,
            pattern: error.pattern.map(|pattern| pattern.to_string()).unwrap_or_default(),
            error,
            source,
        })
    }
}

impl Document for IndexedError {
    type Value<'a> = Searched<'a>;
    type FieldsValuesIter<'a> = Flatten<IntoIter<Option<(Field, Searched<'a>)>, VALUES>>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let (fields, error) = (&self.fields, &self.error);
        let leaf = |field, value| Some((field, Searched::Leaf(value)));
        let text = |field, text| leaf(field, ReferenceValueLeaf::Str(text));
        let keyword = |keyword, value| text(fields.keyword(keyword), value).filter(|_| !str::is_empty(value));
        [
            leaf(fields.time, ReferenceValueLeaf::Date(date(error.time))),
            leaf(fields.sequence, ReferenceValueLeaf::U64(self.sequence)),
            text(fields.message, &error.message),
            text(fields.stack, &error.stack),
            text(fields.names, &error.error_type),
            text(fields.names, &error.service),
            text(fields.names, &error.model),
            Some((fields.attributes, Searched::Attributes(error))),
            text(fields.source, &self.source),
            keyword(Keyword::Severity, &error.severity),
            keyword(Keyword::Service, &error.service),
            keyword(Keyword::Model, &error.model),
            keyword(Keyword::Version, &error.version),
            keyword(Keyword::Environment, &error.environment),
            keyword(Keyword::TraceId, &error.trace_id),
            keyword(Keyword::SpanId, &error.span_id),
            keyword(Keyword::ErrorType, &error.error_type),
            keyword(Keyword::PatternId, &self.pattern),
        ]
        .into_iter()
        .flatten()
    }
}
