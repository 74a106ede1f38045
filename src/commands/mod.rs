//! Commands beside the server and the demo.

pub mod check_config;
pub mod gate;
pub mod key;
pub mod reindex;
