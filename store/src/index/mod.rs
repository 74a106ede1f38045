//! The error index: one tantivy index per day of errors, fed from the log.
