//! The UTC day that names an index.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::clock::UnixNanos;

const DAY_SECONDS: i64 = 86_400;

/// A UTC day, by its first second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    start_seconds: i64,
}

impl Day {
    /// The day that holds this instant.
    pub fn of(time: UnixNanos) -> Self {
        Self {
            start_seconds: time.floor_to(DAY_SECONDS).seconds(),
        }
    }

    /// Its first instant.
    pub fn start(self) -> UnixNanos {
        UnixNanos::from_seconds(self.start_seconds)
    }

    /// The first instant after it.
    pub fn end(self) -> UnixNanos {
        UnixNanos::from_seconds(self.start_seconds + DAY_SECONDS)
    }

    /// This many days before.
    pub fn minus(self, days: u32) -> Self {
        Self {
            start_seconds: self.start_seconds - i64::from(days) * DAY_SECONDS,
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An RFC 3339 instant begins with its date.
        f.write_str(self.start().to_string().split('T').next().unwrap_or_default())
    }
}

impl FromStr for Day {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Date>()?;
        UnixNanos::parse(text).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_utc_date() {
        for (instant, name) in [
            ("2026-10-05T00:00:00Z", "2026-10-05"),
            ("2026-10-05T23:59:59.999999999Z", "2026-10-05"),
            ("2026-10-05T23:30:00-01:00", "2026-10-06"),
            ("1969-12-31T23:59:59Z", "1969-12-31"),
        ] {
            let time = UnixNanos::parse(instant).unwrap();
            let day = Day::of(time);
            assert_eq!(day.to_string(), name);
            assert_eq!(name.parse::<Day>().unwrap(), day);
            assert!(day.start() <= time && time < day.end());
        }
        assert!("2026-10-05T00:00:00Z".parse::<Day>().is_err());
        assert_eq!(Day::of(UnixNanos(0)).minus(1).to_string(), "1969-12-31");
    }
}
