//! What several handlers read from their queries and headers.

use axum::http::{HeaderMap, header};
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::duration;

use crate::error::Problem;

/// Reads an RFC 3339 instant, or Unix seconds.
///
/// # Errors
/// 400 naming the parameter.
pub fn instant(name: &str, text: Option<&str>) -> Result<Option<UnixNanos>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(Some(UnixNanos::from_seconds(seconds)));
    }
    UnixNanos::parse(text)
        .map(Some)
        .map_err(|_| Problem::bad_request(format!("{name} is not an instant: write RFC 3339, such as 2026-10-05T14:00:00Z")))
}

/// Reads a range that defaults to the last `seconds` before `now`.
///
/// # Errors
/// 400 when an end is not an instant or the range is empty.
pub fn range(from: Option<&str>, to: Option<&str>, seconds: i64, now: UnixNanos) -> Result<(UnixNanos, UnixNanos), Problem> {
    let to = instant("to", to)?.unwrap_or(now);
    let from = instant("from", from)?.unwrap_or_else(|| to.plus_seconds(-seconds));
    if from >= to {
        return Err(Problem::bad_request("from must lie before to"));
    }
    Ok((from, to))
}

/// Reads the length of a window such as `1h`, `1d` or `60s`.
///
/// # Errors
/// 400 when it is none.
pub fn window(text: Option<&str>) -> Result<Option<u32>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let window = duration::parse(text).map_err(Problem::bad_request)?;
    u32::try_from(window.as_secs())
        .map(Some)
        .map_err(|_| Problem::bad_request("window is longer than any that is kept"))
}

/// Checks how many items are asked for.
///
/// # Errors
/// 400 for more than one answer holds.
pub fn limit(asked: Option<u32>, default: u32, most: u32) -> Result<u32, Problem> {
    match asked.unwrap_or(default) {
        limit if limit > most => Err(Problem::bad_request(format!("limit is {limit}; one answer holds at most {most}"))),
        limit => Ok(limit),
    }
}

/// The type of a body without its parameters, in lower case as far as it was sent so; empty where none is
/// stated.
pub fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}
