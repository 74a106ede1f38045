//! Reads the text format of Prometheus (version 0.0.4) and OpenMetrics (1.0): lines of a name, labels, a number and
//! perhaps a time, with types said before.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. A line that cannot be read is counted and the others are kept.

use std::collections::BTreeMap;

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// What is; also what nothing is said of.
    #[default]
    Gauge,
    /// What only grows.
    Counter,
    /// Counts below bounds.
    Histogram,
    /// Quantiles.
    Summary,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    /// With its suffix, such as `_bucket`.
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, String)>,
    pub(super) value: f64,
    /// Unix milliseconds, where the line says a time.
    pub(super) time_ms: Option<i64>,
}

/// A page as it was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Exposition<'a> {
    pub(super) kinds: BTreeMap<&'a str, Kind>,
    pub(super) helps: BTreeMap<&'a str, String>,
    pub(super) samples: Vec<Sample<'a>>,
    /// Lines that could not be read.
    pub(super) unreadable: u64,
}

impl<'a> Exposition<'a> {
    /// Reads a page; at most `limit` samples of it.
    pub(super) fn read(text: &'a str, limit: usize) -> Self {
        let mut page = Self::default();
        for line in text.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix('#') {
                page.comment(comment.trim_start());
            } else if !line.is_empty() {
                match sample(line) {
                    Some(sample) if page.samples.len() < limit => page.samples.push(sample),
                    _ => page.unreadable += 1,
                }
            }
        }
        page
    }

    fn comment(&mut self, comment: &'a str) {
        let mut words = comment.splitn(3, [' ', '\t']);
        let (Some(what), Some(name)) = (words.next(), words.next()) else {
            return;
        };
        let rest = words.next().unwrap_or_default().trim();
        match what {
            "TYPE" => {
                let kind = match rest {
                    "counter" => Kind::Counter,
                    "histogram" => Kind::Histogram,
                    "summary" => Kind::Summary,
                    // OpenMetrics' info, stateset and gaugehistogram are numbers that are.
                    _ => Kind::Gauge,
                };
                self.kinds.insert(name, kind);
            }
            "HELP" => _ = self.helps.insert(name, unescaped(rest)),
            _ => {}
        }
    }
}

/// `name{label="value",…} number [milliseconds]`; what follows a `#` (an exemplar of OpenMetrics) is left out.
fn sample(line: &str) -> Option<Sample<'_>> {
    let name_end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
    let (name, mut rest) = line.split_at(name_end);
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return None;
    }
    let mut labels = Vec::new();
    rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once('=')?;
            let label = label.trim();
            if label.is_empty() || !label.bytes().all(is_name_byte) {
                return None;
            }
            let (value, after) = quoted(after.trim_start())?;
            labels.push((label, value));
            rest = after;
        }
    }
    let rest = rest.split(" # ").next().unwrap_or_default();
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next()?)?;
    let time_ms = match words.next() {
        None => None,
        Some(time) => Some(milliseconds(time)?),
    };
    words.next().is_none().then_some(Sample {
        name,
        labels,
        value,
        time_ms,
    })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.')
}

/// The text between quotes, and what follows the closing one.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inner.find(|c| {
        let closes = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        closes
    })?;
    Some((unescaped(&inner[..end]), &inner[end + 1..]))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(escaped @ ('\\' | '"')) => plain.push(escaped),
                Some(other) => plain.extend(['\\', other]),
                None => plain.push('\\'),
            },
            _ => plain.push(character),
        }
    }
    plain
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// Prometheus writes whole milliseconds, OpenMetrics seconds with a point.
fn milliseconds(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(milliseconds) => Some(milliseconds),
        Err(_) => text
            .parse::<f64>()
            .ok()
            .filter(|seconds| seconds.is_finite())
            .map(|seconds| (seconds * 1_000.0) as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<'a>(pairs: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn lines_are_read_as_the_format_says() {
        for (line, name, expected, value, time_ms) in [
            ("up 1", "up", &[][..], 1.0, None),
            ("up{} 1", "up", &[], 1.0, None),
            (
                "a_total{x=\"1\"} 12.5 1700000000000",
                "a_total",
                &[("x", "1")],
                12.5,
                Some(1_700_000_000_000),
            ),
            (
                "a{x=\"1\", y=\"two, {three}\",} -3e2",
                "a",
                &[("x", "1"), ("y", "two, {three}")],
                -300.0,
                None,
            ),
            (r#"a{path="C:\\d \"q\"\n"} 0"#, "a", &[("path", "C:\\d \"q\"\n")], 0.0, None),
            ("le{le=\"+Inf\"} +Inf", "le", &[("le", "+Inf")], f64::INFINITY, None),
            ("a 1 1700000000.5", "a", &[], 1.0, Some(1_700_000_000_500)),
            ("a_bucket{le=\"1\"} 8 # {trace_id=\"x\"} 0.7", "a_bucket", &[("le", "1")], 8.0, None),
            ("a:b:c\t{ x = \"y\" }\t7", "a:b:c", &[("x", "y")], 7.0, None),
        ] {
            let found = sample(line).unwrap_or_else(|| panic!("{line} can be read"));
            assert_eq!(
                (found.name, found.labels, found.value, found.time_ms),
                (name, labels(expected), value, time_ms),
                "{line}"
            );
        }
        assert!(sample("nan NaN").unwrap().value.is_nan());
    }

    #[test]
    fn what_is_no_line_is_counted_and_the_others_are_kept() {
        let bad = [
            "a",
            "a{",
            "a{x} 1",
            "a{x=1} 1",
            "a{x=\"1} 1",
            "a one",
            "a 1 2 3",
            "{x=\"1\"} 1",
            "é 1",
            "a{x=\"\\\"} 1",
            "a 1 soon",
        ];
        let text = format!("good 1\n{}\n\n# EOF\ngood 2", bad.join("\n"));
        let page = Exposition::read(&text, 100);
        assert_eq!((page.samples.len(), page.unreadable), (2, bad.len() as u64));
    }

    #[test]
    fn types_and_helps_belong_to_names() {
        let page = Exposition::read(
            "# HELP a What\\nit is.\n# TYPE a counter\n# TYPE b histogram\n#TYPE c summary\n# TYPE d untyped\n# just words\na 1\n",
            100,
        );
        assert_eq!(
            page.kinds,
            BTreeMap::from([
                ("a", Kind::Counter),
                ("b", Kind::Histogram),
                ("c", Kind::Summary),
                ("d", Kind::Gauge)
            ])
        );
        assert_eq!(page.helps["a"], "What\nit is.");
    }

    #[test]
    fn a_page_is_read_up_to_its_limit() {
        let page = Exposition::read("a 1\na 2\na 3", 2);
        assert_eq!((page.samples.len(), page.unreadable), (2, 1));
    }
}
