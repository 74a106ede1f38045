//! Time as an argument: instants as nanoseconds since 1970 and the clock that tasks are given.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since 1970-01-01T00:00:00Z. Serialised as an RFC 3339 string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// One second.
    pub const SECOND: i64 = 1_000_000_000;

    /// From whole seconds; saturates at the ends of the representable range (years 1677 to 2262).
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(Self::SECOND))
    }

    /// From milliseconds; saturates likewise.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Whole seconds, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(Self::SECOND)
    }

    /// Whole milliseconds, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant moved by `seconds`, which may be negative.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(Self::SECOND)))
    }

    /// Seconds from `earlier` to this instant; negative when it lies before.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0.saturating_sub(earlier.0)) as f64 / Self::SECOND as f64
    }

    /// The start of the period of `seconds` that holds this instant, counted from 1970.
    pub fn floor_to(self, seconds: i64) -> Self {
        Self::from_seconds(self.seconds().div_euclid(seconds) * seconds)
    }

    /// Reads RFC 3339, or a date alone as its midnight UTC.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(error) => match text.parse::<jiff::civil::Date>() {
                Ok(date) => jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))?,
                Err(_) => return Err(error),
            },
        };
        Ok(Self(i64::try_from(instant.as_nanosecond()).unwrap_or(if instant.as_second() < 0 {
            i64::MIN
        } else {
            i64::MAX
        })))
    }
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl Serialize for UnixNanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixNanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where tasks read the time: the system's clock, or one that a test moves by hand.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's wall clock.
    System,
    /// Stands still until a test moves it.
    Manual(Arc<ManualClock>),
}

/// A clock that a test moves.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// By how much it was set forward, beyond the time that passed.
    stepped: AtomicI64,
}

impl Clock {
    /// A clock that stands at `now` until [`Clock::set`].
    pub fn manual(now: UnixNanos) -> Self {
        Self::Manual(Arc::new(ManualClock {
            now: AtomicI64::new(now.0),
            stepped: AtomicI64::new(0),
        }))
    }

    /// The present instant.
    pub fn now(&self) -> UnixNanos {
        match self {
            Self::System => UnixNanos(i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)),
            Self::Manual(manual) => UnixNanos(manual.now.load(Ordering::SeqCst)),
        }
    }

    /// The present instant by a clock that nobody sets: it agrees with [`Clock::now`] when the process starts and then
    /// only counts the time that passes. For how long ago something was in this process.
    pub fn steady(&self) -> UnixNanos {
        static STARTED: OnceLock<(UnixNanos, Instant)> = OnceLock::new();
        match self {
            Self::System => {
                let (wall, instant) = STARTED.get_or_init(|| (self.now(), Instant::now()));
                UnixNanos(
                    wall.0
                        .saturating_add(i64::try_from(instant.elapsed().as_nanos()).unwrap_or(i64::MAX)),
                )
            }
            Self::Manual(manual) => UnixNanos(manual.now.load(Ordering::SeqCst) - manual.stepped.load(Ordering::SeqCst)),
        }
    }

    /// Lets time pass on a manual clock until it shows `now`; the system's clock ignores it.
    pub fn set(&self, now: UnixNanos) {
        if let Self::Manual(manual) = self {
            manual.now.store(now.0, Ordering::SeqCst);
        }
    }

    /// Sets a manual clock forward, or back, by `seconds` without any time passing; the system's clock ignores it.
    pub fn step(&self, seconds: i64) {
        if let Self::Manual(manual) = self {
            manual.now.fetch_add(seconds * UnixNanos::SECOND, Ordering::SeqCst);
            manual.stepped.fetch_add(seconds * UnixNanos::SECOND, Ordering::SeqCst);
        }
    }
}
