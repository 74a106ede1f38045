//! How severe a log record is, as far as errors go.

use opentelemetry_proto::tonic::logs::v1::LogRecord;

/// Severity number from which on a record is an error.
const ERROR: i32 = 17;
/// Severity number from which on a record is a fatal one.
const FATAL: i32 = 21;

/// The severity of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Fatal,
}

impl Severity {
    /// `None` when the record is no error. Its number decides; the text does where no number was set, as some
    /// bridges of logging libraries leave it.
    pub(super) fn of(record: &LogRecord) -> Option<Self> {
        match record.severity_number {
            0 => Self::of_text(&record.severity_text),
            number => Self::of_number(number),
        }
    }

    /// By its number alone.
    pub(crate) fn of_number(number: i32) -> Option<Self> {
        match number {
            FATAL.. => Some(Self::Fatal),
            ERROR..FATAL => Some(Self::Error),
            _ => None,
        }
    }

    /// By its text alone.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("ERROR") {
            Some(Self::Error)
        } else if is("FATAL") || is("CRITICAL") {
            Some(Self::Fatal)
        } else {
            None
        }
    }

    /// `ERROR` or `FATAL`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_counts_where_there_is_no_number() {
        for (number, text, expected) in [
            (17, "", Some(Severity::Error)),
            (20, "INFO", Some(Severity::Error)),
            (21, "", Some(Severity::Fatal)),
            (16, "ERROR", None),
            (0, "ERROR", Some(Severity::Error)),
            (0, " error ", Some(Severity::Error)),
            (0, "Critical", Some(Severity::Fatal)),
            (0, "FATAL", Some(Severity::Fatal)),
            (0, "WARNING", None),
            (0, "", None),
            (-1, "ERROR", None),
        ] {
            let record = LogRecord {
                severity_number: number,
                severity_text: text.to_owned(),
                ..LogRecord::default()
            };
            assert_eq!(Severity::of(&record), expected, "{number} {text:?}");
        }
    }
}
