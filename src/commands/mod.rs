//! Commands beside the server and the demo.

pub mod check_config;
pub mod drift;
pub mod gate;
pub mod key;
mod markup;
pub mod reindex;
