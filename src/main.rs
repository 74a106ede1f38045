//! Driftlead: watches machine-learning models in production and acts when they fail.

fn main() {}
