//! Commands beside the server and the demo.

pub mod check_config;
pub mod check_data;
pub mod drift;
pub mod gate;
pub mod key;
mod markup;
mod numbers;
pub mod reindex;
