//! Pure functions from what the store holds to the JSON that the pages read (`ui/src/api/types.ts`).

pub mod action;
pub mod alert;
pub mod chart;
pub mod health;
pub mod latency;
pub mod metric;
pub mod model;
pub mod quality;
pub mod release;
