//! The HTTP API and the pages.
//!
//! A request meets, in this order: limits, authentication, its handler ([`api`], one file per noun: extract, authorise, act,
//! respond), and the one error type ([`error`]). [`view`] turns what the store holds into what the pages read. Whatever
//! is not the API's is a page ([`assets`]). Deliberately absent: SQL and every decision; handlers call `store`,
//! `analyzer` and `alerting`.

pub mod api;
pub mod assets;
pub mod error;
pub mod state;
pub mod view;
