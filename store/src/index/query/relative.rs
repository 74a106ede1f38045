//! Instants as people write them: dates, times, and how long ago.

use crate::clock::UnixNanos;

/// Longest time ago that is understood, in seconds: a hundred years.
const MAX_SECONDS: i64 = 100 * 366 * 86_400;

/// `2026-10-05`, `2026-10-05T14:00:00Z`, `now`, `now-15m`, `now+1h`; `None`: nothing of these.
pub(super) fn instant(text: &str, now: UnixNanos) -> Option<UnixNanos> {
    let Some(offset) = text.strip_prefix("now") else {
        return UnixNanos::parse(text).ok();
    };
    if offset.is_empty() {
        return Some(now);
    }
    let (sign, length) = match offset.split_at_checked(1)? {
        ("-", length) => (-1, length),
        ("+", length) => (1, length),
        _ => return None,
    };
    let digits = length.strip_suffix(['s', 'm', 'h', 'd', 'w'])?;
    let unit = match length.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => 604_800,
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<i64>().ok()?.checked_mul(unit)?;
    (seconds <= MAX_SECONDS).then(|| now.plus_seconds(sign * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let now = UnixNanos::parse("2026-10-20T12:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-10-05", Some("2026-10-05T00:00:00Z")),
            ("2026-10-05T14:00:00Z", Some("2026-10-05T14:00:00Z")),
            ("now", Some("2026-10-20T12:00:00Z")),
            ("now-90s", Some("2026-10-20T11:58:30Z")),
            ("now-15m", Some("2026-10-20T11:45:00Z")),
            ("now-1h", Some("2026-10-20T11:00:00Z")),
            ("now-2d", Some("2026-10-18T12:00:00Z")),
            ("now-1w", Some("2026-10-13T12:00:00Z")),
            ("now+1h", Some("2026-10-20T13:00:00Z")),
            ("now-", None),
            ("now-h", None),
            ("now-1", None),
            ("now-1y", None),
            ("now--1h", None),
            ("now-1.5h", None),
            ("now-9223372036854775807w", None),
            ("now-99999w", None),
            ("nowé", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(instant(text, now), expected.map(|at| UnixNanos::parse(at).unwrap()), "{text}");
        }
    }
}
