//! Every query that reads from or maintains ClickHouse, one file per noun.
pub mod live;
pub mod serving;
