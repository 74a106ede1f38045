//! The schema of a day's index, and how an error becomes a document of it.
//!
//! `source` holds the error whole, as JSON, so that what is shown is exactly what came; the other fields are
//! only indexed. Empty names and ids are left out, so that `field:*` means what it says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tantivy::schema::{
    DateOptions, DateTimePrecision, FAST, IndexRecordOption, JsonObjectOptions, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::RAW_TOKENIZER_NAME;
use tantivy::{DateTime, TantivyDocument};
use xxhash_rust::xxh3::xxh3_64;

use super::analyzer::ANALYZER;
use super::query::Keyword;
use super::searched::Searched;
use crate::clock::UnixNanos;
use crate::patterns::PatternId;
use crate::records::ErrorDocument;
use crate::wal::Position;

/// Name of the JSON field.
pub(super) const ATTRIBUTES: &str = "attributes";
/// Name of the event time in nanoseconds.
pub(super) const TIME: &str = "ts";
/// Name of the number that tells errors of one instant apart.
pub(super) const SEQUENCE: &str = "sequence";

/// A document has its error twice: as it is kept, and its parts to be indexed.
const COPIES: usize = 2;

/// The fields of a day's index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub time: tantivy::schema::Field,
    pub sequence: tantivy::schema::Field,
    pub message: tantivy::schema::Field,
    pub stack: tantivy::schema::Field,
    /// Words of the names that people search for without naming the field.
    pub names: tantivy::schema::Field,
    pub attributes: tantivy::schema::Field,
    pub source: tantivy::schema::Field,
    keywords: [tantivy::schema::Field; Keyword::ALL.len()],
}

impl Fields {
    /// The field of a name or id.
    pub fn keyword(&self, keyword: Keyword) -> tantivy::schema::Field {
        self.keywords[keyword as usize]
    }
}

/// The schema and its fields.
pub(super) fn schema() -> (Schema, Fields) {
    let words = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(ANALYZER)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    );
    // An id as a word of its own costs more than everything else that is kept of it.
    let id = TextOptions::default().set_fast(RAW_TOKENIZER_NAME);
    let keyword = id.clone().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(RAW_TOKENIZER_NAME)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic),
    );
    let json = JsonObjectOptions::default()
        .set_expand_dots_enabled()
        .set_fast(RAW_TOKENIZER_NAME)
        .set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(ANALYZER)
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions),
        );
    // A date, not a number, so that aggregations by time know what it is.
    let instants = DateOptions::default().set_fast().set_precision(DateTimePrecision::Nanoseconds);
    let mut builder = Schema::builder();
    let fields = Fields {
        time: builder.add_date_field(TIME, instants),
        sequence: builder.add_u64_field(SEQUENCE, FAST),
        message: builder.add_text_field("message", words.clone()),
        stack: builder.add_text_field("stack", words.clone()),
        names: builder.add_text_field("names", words),
        attributes: builder.add_json_field(ATTRIBUTES, json),
        source: builder.add_bytes_field("source", STORED),
        keywords: Keyword::ALL.map(|name| {
            let options = if name.is_id() { &id } else { &keyword };
            builder.add_text_field(name.name(), options.clone())
        }),
    };
    (builder.build(), fields)
}

/// An event time as the index has it.
pub(super) fn date(time: UnixNanos) -> DateTime {
    DateTime::from_timestamp_nanos(time.0)
}

/// The error as `source` keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Source<'a> {
    time: i64,
    severity: Cow<'a, str>,
    service: Cow<'a, str>,
    model: Cow<'a, str>,
    version: Cow<'a, str>,
    environment: Cow<'a, str>,
    trace_id: Cow<'a, str>,
    span_id: Cow<'a, str>,
    error_type: Cow<'a, str>,
    message: Cow<'a, str>,
    stack: Cow<'a, str>,
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, Value>>,
    #[serde(default)]
    pattern: Option<PatternId>,
}

/// Tells errors of one instant apart: made from where the error lies in the log, so a replay gives the same.
pub(super) fn sequence_of(frame: Position, index_in_frame: usize) -> u64 {
    let mut place = [0; 24];
    place[..8].copy_from_slice(&frame.segment.to_le_bytes());
    place[8..16].copy_from_slice(&frame.offset.to_le_bytes());
    place[16..].copy_from_slice(&(index_in_frame as u64).to_le_bytes());
    xxh3_64(&place)
}

/// An error as a document.
pub(super) fn to_document(fields: &Fields, sequence: u64, error: &ErrorDocument) -> Result<TantivyDocument, serde_json::Error> {
    let attributes = error.all_attributes();
    let source = serde_json::to_vec(&Source::of(error, &attributes))?;
    let mut document = TantivyDocument::with_capacity(COPIES * source.len());
    document.add_date(fields.time, date(error.time));
    document.add_u64(fields.sequence, sequence);
    document.add_text(fields.message, &error.message);
    document.add_text(fields.stack, &error.stack);
    for (keyword, value) in [
        (Keyword::Severity, &error.severity),
        (Keyword::Service, &error.service),
        (Keyword::Model, &error.model),
        (Keyword::Version, &error.version),
        (Keyword::Environment, &error.environment),
        (Keyword::TraceId, &error.trace_id),
        (Keyword::SpanId, &error.span_id),
        (Keyword::ErrorType, &error.error_type),
    ] {
        if !value.is_empty() {
            document.add_text(fields.keyword(keyword), keyword.normal(value));
        }
    }
    if let Some(pattern) = error.pattern {
        document.add_text(fields.keyword(Keyword::PatternId), pattern.to_string());
    }
    for name in [&error.error_type, &error.service, &error.model] {
        document.add_text(fields.names, name);
    }
    document.add_field_value(fields.attributes, Searched::All(&attributes));
    document.add_bytes(fields.source, &source);
    Ok(document)
}

impl<'a> Source<'a> {
    fn of(error: &'a ErrorDocument, attributes: &BTreeMap<&'a str, &'a Value>) -> Self {
        Self {
            time: error.time.0,
            severity: (&error.severity).into(),
            service: (&error.service).into(),
            model: (&error.model).into(),
            version: (&error.version).into(),
            environment: (&error.environment).into(),
            trace_id: (&error.trace_id).into(),
            span_id: (&error.span_id).into(),
            error_type: (&error.error_type).into(),
            message: (&error.message).into(),
            stack: (&error.stack).into(),
            attributes: attributes
                .iter()
                .map(|(key, value)| (Cow::Borrowed(*key), Cow::Borrowed(*value)))
                .collect(),
            pattern: error.pattern,
        }
    }
}

/// The error that `source` keeps.
pub(super) fn from_source(bytes: &[u8]) -> Result<ErrorDocument, serde_json::Error> {
    let source: Source<'_> = serde_json::from_slice(bytes)?;
    let attributes = source.attributes.into_iter();
    Ok(ErrorDocument {
        time: UnixNanos(source.time),
        severity: source.severity.into_owned(),
        service: source.service.into_owned(),
        model: source.model.into_owned(),
        version: source.version.into_owned(),
        environment: source.environment.into_owned(),
        trace_id: source.trace_id.into_owned(),
        span_id: source.span_id.into_owned(),
        error_type: source.error_type.into_owned(),
        message: source.message.into_owned(),
        stack: source.stack.into_owned(),
        attributes: attributes.map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
        shared: Vec::new(),
        pattern: source.pattern,
    })
}
