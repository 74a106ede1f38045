//! The schema of a day's index.
//!
//! `source` holds the error whole, so that what is shown is exactly what came; the other fields are only indexed.

use tantivy::DateTime;
use tantivy::schema::{
    DateOptions, DateTimePrecision, FAST, IndexRecordOption, JsonObjectOptions, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::RAW_TOKENIZER_NAME;
use xxhash_rust::xxh3::xxh3_64;

use super::analyzer::ANALYZER;
use super::query::Keyword;
use crate::clock::UnixNanos;
use crate::wal::Position;

/// Name of the JSON field.
pub(super) const ATTRIBUTES: &str = "attributes";
/// Name of the event time in nanoseconds.
pub(super) const TIME: &str = "ts";
/// Name of the number that tells errors of one instant apart.
pub(super) const SEQUENCE: &str = "sequence";

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
        // Not bytes: those are written one by one.
        source: builder.add_text_field("source", STORED),
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

/// Tells errors of one instant apart: made from where the error lies in the log, so a replay gives the same.
pub(super) fn sequence_of(frame: Position, index_in_frame: usize) -> u64 {
    let mut place = [0; 24];
    place[..8].copy_from_slice(&frame.segment.to_le_bytes());
    place[8..16].copy_from_slice(&frame.offset.to_le_bytes());
    place[16..].copy_from_slice(&(index_in_frame as u64).to_le_bytes());
    xxh3_64(&place)
}
