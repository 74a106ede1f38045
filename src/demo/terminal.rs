//! What the demo prints: one line a step, with the seconds since the start.

use std::time::Instant;

/// Prints steps.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    began: Instant,
}

impl Terminal {
    /// Counts from now.
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Something that one of the systems around the model does.
    pub fn step(&self, who: &str, what: impl std::fmt::Display) {
        println!("{:7.1} s  {who:<10} {what}", self.seconds());
    }

    /// A line without a time.
    pub fn line(&self, text: impl std::fmt::Display) {
        println!("{text}");
    }
}
