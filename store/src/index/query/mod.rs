//! What people type into the search box: parsed to an [`Expression`], then planned as a tantivy query.
//!
//! The language is a small one: words, `"phrases"`, `wor*`, `*or*d`, `field:value`, `field:(a OR b)`, `field:*`,
//! `field:>5`, `field:[a TO b]`, `time:>now-15m`, `AND`, `OR`, `NOT` or `-`, and brackets. Words next to each other all have to
//! match. It has a parser of its own because tantivy's neither says where an error is nor lets a text that was
//! pasted from a log (`ValueError: bad input`) be searched as it is.

mod begun;
mod complement;
mod expression;
mod fitting;
mod lexer;
mod matches;
mod parser;
mod plan;
mod relative;
mod shape;
mod whole;

pub use crate::index::analyzer::words_of as words;
pub use expression::{Expression, Field, Keyword, Number, Text};
pub(super) use matches::matches;
pub use parser::{Joins, parse, parse_joined};
pub(super) use plan::Plan;
pub use shape::{Piece, Shape};

/// Longest query, in bytes: enough for a pasted message, too short to be expensive to parse.
pub const MAX_QUERY_BYTES: usize = 4_096;
/// Most words, phrases and ranges of one query: each is looked up in every day of the range.
pub const MAX_CLAUSES: usize = 64;
/// Deepest nesting of brackets.
pub const MAX_DEPTH: usize = 16;

/// What is wrong with a query, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {})", at + 1)]
pub struct QueryError {
    /// What is wrong and what to write instead.
    pub message: String,
    /// Characters before the place, from 0.
    pub at: usize,
    /// Characters that are concerned, at least 1.
    pub length: usize,
}
