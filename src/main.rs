//! Driftlead: watches machine-learning models in production and acts when they fail.

mod cli;
mod demo;

fn main() {}
