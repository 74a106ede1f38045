//! The HTTP API and the pages.
//!
//! A request meets, in this order: the check of its host, who asks ([`auth`]), its handler ([`api`], one file per
//! noun: extract, authorise, act, respond), and the one error type ([`error`]). [`view`] turns what the store
//! holds into what the pages read. Whatever is not the API's is a page ([`assets`]). [`serve`] puts it together.
//! Deliberately absent: SQL and every decision; handlers call `store`, `analyzer` and `alerting`.

pub mod api;
pub mod assets;
pub mod auth;
pub mod error;
mod es;
pub mod extract;
pub mod measured;
pub mod parts;
mod serve;
pub mod state;
pub mod view;

pub use api::metrics::measured;
pub use parts::{Parts, PartsSource};
pub use serve::serve;
pub use state::WebState;
