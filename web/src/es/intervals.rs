//! Lengths of time as Elasticsearch's clients write them.

use super::error::EsError;
use super::query::Reading;

const DAY_MS: i64 = 86_400_000;
/// The first Monday after 1970 began is its fifth day.
pub(super) const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

fn wrong_interval(text: &str) -> EsError {
    EsError::parsing(format!("[{text}] is no interval: write 30s, 5m, 1h or 7d"))
}

/// A fixed number of milliseconds, seconds, minutes, hours or days.
pub(super) fn fixed_ms(text: &str) -> Result<i64, EsError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return Err(wrong_interval(text)),
    };
    let count: i64 = text[..digits].parse().map_err(|_| wrong_interval(text))?;
    // A century: what nanoseconds in 64 bits can still say.
    let length = count.checked_mul(unit).filter(|length| (1..=36_525 * DAY_MS).contains(length));
    length.ok_or_else(|| wrong_interval(text))
}

pub(super) fn signed_ms(text: &str) -> Result<i64, EsError> {
    match text.strip_prefix('-') {
        Some(rest) => fixed_ms(rest).map(|length| -length),
        None => fixed_ms(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A calendar's unit that always has the same length, and whether it begins on Mondays.
pub(super) fn calendar_ms(text: &str) -> Result<(i64, bool), EsError> {
    Ok(match text {
        "1s" | "second" => (1_000, false),
        "1m" | "minute" => (60_000, false),
        "1h" | "hour" => (3_600_000, false),
        "1d" | "day" => (DAY_MS, false),
        "1w" | "week" => (7 * DAY_MS, true),
        "1M" | "month" | "1q" | "quarter" | "1y" | "year" => {
            return Err(EsError::unsupported(format!(
                "[calendar_interval] {text}, which has no fixed length,"
            )));
        }
        _ => return Err(wrong_interval(text)),
    })
}

/// Milliseconds that a fixed offset is ahead of UTC.
pub(super) fn offset_of_zone(zone: &str) -> Result<i64, EsError> {
    if matches!(zone, "UTC" | "utc" | "Z") {
        return Ok(0);
    }
    Reading::offset_ms(zone).ok_or_else(|| {
        EsError::unsupported(format!(
            "[time_zone] {zone} in [date_histogram]: use UTC or an offset such as +02:00; it"
        ))
    })
}
