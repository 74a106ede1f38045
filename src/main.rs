//! Driftlead: watches machine-learning models in production and acts when they fail.

mod cli;

fn main() {}
