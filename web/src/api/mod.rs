//! The API, one file per noun. A handler does four things: extract, authorise, act, respond.

pub mod charts;
pub mod models;
pub mod signals;
pub mod timeline;

/// What several handlers read from their queries.
pub mod parameters {
    use driftlead_store::clock::UnixNanos;

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
        let window = driftlead_store::model_settings::duration::parse(text).map_err(Problem::bad_request)?;
        u32::try_from(window.as_secs())
            .map(Some)
            .map_err(|_| Problem::bad_request("window is longer than any that is kept"))
    }
}
