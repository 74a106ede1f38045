//! Integration tests: the real binary as a user runs it, one module a property.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

mod bad_input;
mod chaos;
mod engine_by_url;
mod insert_again;
mod oracle;
mod pipeline;
mod python_example;
mod shift_census;
mod shift_simulation;
