//! The HTTP API and the pages.
//!
//! A request meets, in this order: limits, authentication ([`auth`]), its handler ([`api`], one file per noun: extract,
//! authorise, act, respond), and the one error type ([`error`]). Whatever is not the API's is a page ([`assets`]).
//! Deliberately absent: SQL and every decision; handlers call `store`, `analyzer` and `alerting`.

pub mod assets;
pub mod error;
