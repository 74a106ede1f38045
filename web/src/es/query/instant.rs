//! Instants as Elasticsearch's clients write them: numbers of milliseconds, dates with parts left out, date math.

use driftlead_store::clock::UnixNanos;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _, Unit, ZonedDateTime, ZonedDateTimeRound};
use serde_json::Value;

use crate::es::error::EsError;

/// Most steps of date math in one value.
const MAX_STEPS: usize = 16;

/// What a value means: from `start` up to and not including `end`. `2026-10-05` is a day, a millisecond is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::es) struct Period {
    pub start: UnixNanos,
    pub end: UnixNanos,
}

/// How values are read.
pub(in crate::es) struct Reading {
    now: UnixNanos,
    format: Option<String>,
    zone: TimeZone,
}

impl Reading {
    /// Reading with the `format` and `time_zone` of a query.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn new(now: UnixNanos, format: Option<&str>, time_zone: Option<&str>) -> Result<Self, EsError> {
        let zone = match time_zone {
            None | Some("UTC" | "utc" | "Z") => TimeZone::UTC,
            Some(name) => zone_named(name).ok_or_else(|| {
                EsError::illegal(format!(
                    "unknown time zone [{name}]: use UTC, an offset such as +02:00, or a name of the IANA database"
                ))
            })?,
        };
        Ok(Self {
            now,
            format: format.map(str::to_owned),
            zone,
        })
    }

    /// Reads a value.
    ///
    /// # Errors
    /// It is no date.
    pub fn read(&self, value: &Value) -> Result<Period, EsError> {
        let found = match value {
            Value::Number(number) => number.as_i64().map(|number| self.number(number)),
            Value::String(text) => self.text(text),
            _ => None,
        };
        found.ok_or_else(|| {
            EsError::parsing(format!(
                "failed to parse date field [{value}]: write milliseconds since 1970, 2026-10-05, 2026-10-05T14:00:00Z, now-15m or now/d"
            ))
        })
    }

    /// Milliseconds that a zone with a fixed offset is ahead of UTC.
    pub fn offset_ms(zone: &str) -> Option<i64> {
        let zone = zone.starts_with(['+', '-']).then(|| zone_named(zone))??;
        zone.to_fixed_offset().ok().map(|offset| i64::from(offset.seconds()) * 1_000)
    }

    fn number(&self, number: i64) -> Period {
        if self.format.as_deref().is_some_and(|format| format.starts_with("epoch_second")) {
            return Period {
                start: UnixNanos::from_seconds(number),
                end: UnixNanos::from_seconds(number.saturating_add(1)),
            };
        }
        Period {
            start: UnixNanos::from_millis(number),
            end: UnixNanos::from_millis(number.saturating_add(1)),
        }
    }

    fn text(&self, text: &str) -> Option<Period> {
        if let Some(math) = text.strip_prefix("now") {
            let exact = Period {
                start: self.now,
                end: UnixNanos(self.now.0.saturating_add(1)),
            };
            return self.moved(exact, math);
        }
        let (anchor, math) = text.split_once("||").unwrap_or((text, ""));
        let is_number = anchor.strip_prefix('-').unwrap_or(anchor).bytes().all(|byte| byte.is_ascii_digit());
        let is_epoch = self.format.as_deref().is_some_and(|format| format.starts_with("epoch"));
        let anchored = match anchor.parse() {
            Ok(number) if is_number && (is_epoch || anchor.len() > 4) => self.number(number),
            _ => self.date(anchor)?,
        };
        self.moved(anchored, math)
    }

    /// A date of which parts at the end may be missing.
    fn date(&self, text: &str) -> Option<Period> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let Some(time) = time else {
            let parts: Vec<&str> = date.split('-').collect();
            let number = |at: usize| parts.get(at).map_or(Some(1), |part| part.parse::<i8>().ok());
            let first = Date::new(parts.first()?.parse().ok()?, number(1)?, number(2)?).ok()?;
            let length = match parts.len() {
                1 => 1.year(),
                2 => 1.month(),
                3 => 1.day(),
                _ => return None,
            };
            return self.period(self.zoned(first.to_datetime(Time::midnight()))?, length);
        };
        let (clock, zone) = match time.find(['Z', '+', '-']) {
            Some(at) if time[at..] == *"Z" => (&time[..at], TimeZone::UTC),
            Some(at) => (&time[..at], zone_named(&time[at..])?),
            None => (time, self.zone.clone()),
        };
        let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let parts: Vec<&str> = whole.split(':').collect();
        let number = |at: usize| parts.get(at).map_or(Some(0), |part| part.parse::<i8>().ok());
        let nanos = match fraction {
            "" => 0,
            digits if digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit()) => format!("{digits:0<9}").parse().ok()?,
            _ => return None,
        };
        let length = match (parts.len(), fraction.len()) {
            (1, 0) => 1.hour(),
            (2, 0) => 1.minute(),
            (3, 0..=3) => 1.millisecond(),
            (3, _) => 1.nanosecond(),
            _ => return None,
        };
        let day: Date = date.parse().ok()?;
        let at = day.to_datetime(Time::new(number(0)?, number(1)?, number(2)?, nanos).ok()?);
        self.period(at.to_zoned_datetime(zone).ok()?, length)
    }

    fn zoned(&self, at: DateTime) -> Option<ZonedDateTime> {
        at.to_zoned_datetime(self.zone.clone()).ok()
    }

    fn period(&self, start: ZonedDateTime, length: Span) -> Option<Period> {
        let end = start.checked_add(length).ok()?;
        Some(Period {
            start: nanos(&start),
            end: nanos(&end),
        })
    }

    /// Applies `+1d`, `-2h`, `/d`, one after the other.
    fn moved(&self, anchored: Period, math: &str) -> Option<Period> {
        let mut period = anchored;
        let mut rest = math;
        for _ in 0..MAX_STEPS {
            let Some(operator) = rest.chars().next() else { return Some(period) };
            rest = &rest[operator.len_utf8()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count: i32 = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
            let unit = rest[digits..].chars().next()?;
            rest = &rest[digits + unit.len_utf8()..];
            let start = self.at(period.start)?;
            period = match operator {
                '+' | '-' => {
                    let by = if operator == '-' { -count } else { count };
                    let length = period.end.0.saturating_sub(period.start.0);
                    let start = nanos(&start.checked_add(span(unit, by)?).ok()?);
                    Period {
                        start,
                        end: UnixNanos(start.0.saturating_add(length)),
                    }
                }
                '/' if digits == 0 => self.period(rounded(&start, unit)?, span(unit, 1)?)?,
                _ => return None,
            };
        }
        rest.is_empty().then_some(period)
    }

    fn at(&self, instant: UnixNanos) -> Option<ZonedDateTime> {
        let timestamp = Timestamp::from_nanosecond(i128::from(instant.0)).ok()?;
        Some(timestamp.to_zoned_datetime(self.zone.clone()))
    }
}

fn zone_named(name: &str) -> Option<TimeZone> {
    let offset = name.strip_prefix(['+', '-']).map(|rest| rest.replace(':', ""));
    let Some(digits) = offset else { return TimeZone::get(name).ok() };
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().unwrap_or(0));
    let sign = if name.starts_with('-') { -1 } else { 1 };
    let offset = jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()?;
    Some(TimeZone::fixed(offset))
}

/// Saturates at the ends of what nanoseconds in 64 bits can say.
fn nanos(at: &ZonedDateTime) -> UnixNanos {
    let nanos = at.timestamp().as_nanosecond();
    UnixNanos(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

fn span(unit: char, count: i32) -> Option<Span> {
    Some(match unit {
        'y' => Span::new().try_years(count).ok()?,
        'M' => Span::new().try_months(count).ok()?,
        'w' => Span::new().try_weeks(count).ok()?,
        'd' => Span::new().try_days(count).ok()?,
        'h' | 'H' => Span::new().try_hours(count).ok()?,
        'm' => Span::new().try_minutes(count).ok()?,
        's' => Span::new().try_seconds(count).ok()?,
        _ => return None,
    })
}

/// The start of the year, month, week (on Monday), day, hour, minute or second.
fn rounded(at: &ZonedDateTime, unit: char) -> Option<ZonedDateTime> {
    let day = |date: Date| date.to_zoned_datetime(at.time_zone().clone()).ok();
    match unit {
        'y' => day(at.date().first_of_year()),
        'M' => day(at.date().first_of_month()),
        'w' => {
            let since_monday = i64::from(at.weekday().to_monday_zero_offset());
            day(at.date().checked_sub(since_monday.days()).ok()?)
        }
        'd' => at.start_of_day().ok(),
        'h' | 'H' => floor(at, Unit::Hour),
        'm' => floor(at, Unit::Minute),
        's' => floor(at, Unit::Second),
        _ => None,
    }
}

fn floor(at: &ZonedDateTime, unit: Unit) -> Option<ZonedDateTime> {
    at.round(ZonedDateTimeRound::new().smallest(unit).mode(jiff::RoundMode::Floor)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value, format: Option<&str>, zone: Option<&str>) -> Option<(String, i64)> {
        let now = UnixNanos::parse("2026-10-20T12:34:56.789Z").unwrap();
        let period = Reading::new(now, format, zone).unwrap().read(&value).ok()?;
        Some((period.start.to_string(), period.end.0 - period.start.0))
    }

    #[test]
    fn dates_are_read_as_elasticsearch_reads_them() {
        const SECOND: i64 = UnixNanos::SECOND;
        const DAY: i64 = 86_400 * SECOND;
        for (value, start, length) in [
            (json!(1_791_208_800_123_i64), "2026-10-05T14:00:00.123Z", 1_000_000),
            (json!("1791208800123"), "2026-10-05T14:00:00.123Z", 1_000_000),
            (json!("2026"), "2026-01-01T00:00:00Z", 365 * DAY),
            (json!("2026-10"), "2026-10-01T00:00:00Z", 31 * DAY),
            (json!("2026-10-05"), "2026-10-05T00:00:00Z", DAY),
            (json!("2026-10-05T14"), "2026-10-05T14:00:00Z", 3_600 * SECOND),
            (json!("2026-10-05T14:30"), "2026-10-05T14:30:00Z", 60 * SECOND),
            (json!("2026-10-05T14:30:15Z"), "2026-10-05T14:30:15Z", 1_000_000),
            (json!("2026-10-05T14:30:15.5+02:00"), "2026-10-05T12:30:15.5Z", 1_000_000),
            (json!("2026-10-05T14:30:15.123456789Z"), "2026-10-05T14:30:15.123456789Z", 1),
            (json!("now"), "2026-10-20T12:34:56.789Z", 1),
            (json!("now-15m"), "2026-10-20T12:19:56.789Z", 1),
            (json!("now/d"), "2026-10-20T00:00:00Z", DAY),
            (json!("now-1d/d"), "2026-10-19T00:00:00Z", DAY),
            (json!("now/w"), "2026-10-19T00:00:00Z", 7 * DAY),
            (json!("now+1M/M"), "2026-11-01T00:00:00Z", 30 * DAY),
            (json!("now/h"), "2026-10-20T12:00:00Z", 3_600 * SECOND),
            (json!("2026-01-31||+1M"), "2026-02-28T00:00:00Z", DAY),
            (json!("2026-10-05||/y"), "2026-01-01T00:00:00Z", 365 * DAY),
        ] {
            assert_eq!(read(value.clone(), None, None), Some((start.to_owned(), length)), "{value}");
        }
        assert_eq!(
            read(json!("1791208800"), Some("epoch_second"), None),
            Some(("2026-10-05T14:00:00Z".to_owned(), SECOND))
        );
        assert_eq!(
            read(json!("2026-10-05"), None, Some("+02:00")),
            Some(("2026-10-04T22:00:00Z".to_owned(), DAY))
        );
        for wrong in [
            json!("yesterday"),
            json!("now-"),
            json!("now-1"),
            json!("now*2d"),
            json!("now/2d"),
            json!("2026-13-01"),
            json!("2026-10-05T25:00:00Z"),
            json!("2026-10-05T14:00:00.1234567890Z"),
            json!(""),
            json!("é"),
            json!("now-é"),
            json!(true),
            json!(1.5),
            json!("now+99999999999y"),
            json!(format!("now{}", "+1d".repeat(17))),
        ] {
            assert_eq!(read(wrong.clone(), None, None), None, "{wrong}");
        }
        assert!(Reading::new(UnixNanos(0), None, Some("Middle/Earth")).is_err());
    }
}
