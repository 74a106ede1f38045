//! What is redacted by what it looks like, wherever it stands: regular expressions and built-in detectors.
//!
//! Expressions are those of the `regex` crate: their time is linear in the text, whatever they are. All of them
//! are asked at once first (`is_match`), so a text that none concerns costs one pass and no copy.

use std::borrow::Cow;
use std::ops::Range;

use regex::{Regex, RegexSet};

use super::detectors::{DETECTORS, Detector};

/// What stands in place of what an expression of the configuration finds.
const REDACTED_MATCH: &str = "[redacted]";

/// An expression or a name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a regular expression, or one that is too large.
    #[error("{pattern:?} is not a regular expression that can be used: {problem}")]
    Expression {
        /// As it was written.
        pattern: String,
        /// Why.
        problem: String,
    },
    /// A match of nothing would be replaced everywhere.
    #[error("{pattern:?} matches the empty text: make it match at least one character")]
    MatchesNothing {
        /// As it was written.
        pattern: String,
    },
    /// No such detector.
    #[error("there is no detector {name:?}: use {}", detector_names())]
    Detector {
        /// As it was written.
        name: String,
    },
}

fn detector_names() -> String {
    let names: Vec<&str> = DETECTORS.iter().map(|detector| detector.name).collect();
    names.join(", ")
}

/// One expression.
#[derive(Debug, Clone)]
struct Pattern {
    regex: Regex,
    replacement: &'static str,
    /// Whether what was found is meant: the whole text, and where in it.
    is_meant: fn(&str, Range<usize>) -> bool,
}

/// All expressions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    any: RegexSet,
    patterns: Vec<Pattern>,
    /// Whether whole numbers may be meant, too.
    numbers: bool,
}

impl Patterns {
    /// Expressions as they are written, and names of detectors.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn new(expressions: &[String], detectors: &[String]) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        // Detectors first: what they put in place says what stood there.
        for name in detectors {
            let detector = Detector::find(name).ok_or_else(|| PatternError::Detector { name: name.clone() })?;
            for expression in detector.expressions {
                patterns.push(Pattern {
                    regex: compile(expression)?,
                    replacement: detector.replacement,
                    is_meant: detector.is_meant,
                });
            }
        }
        for expression in expressions {
            let regex = compile(expression)?;
            if regex.is_match("") {
                return Err(PatternError::MatchesNothing {
                    pattern: expression.clone(),
                });
            }
            patterns.push(Pattern {
                regex,
                replacement: REDACTED_MATCH,
                is_meant: |_, _| true,
            });
        }
        let any = RegexSet::new(patterns.iter().map(|pattern| pattern.regex.as_str())).map_err(|error| PatternError::Expression {
            pattern: "all expressions together".to_owned(),
            problem: one_line(&error),
        })?;
        Ok(Self {
            any,
            patterns,
            numbers: !expressions.is_empty()
                || detectors
                    .iter()
                    .any(|name| Detector::find(name).is_some_and(|detector| detector.numbers)),
        })
    }

    /// Whether a text may have to change. May say yes too often.
    pub(crate) fn may_concern(&self, text: &str) -> bool {
        !self.patterns.is_empty() && self.any.is_match(text)
    }

    /// The same of a whole number.
    pub(crate) fn may_concern_number(&self, number: i64) -> bool {
        // Shorter ones are counts and codes, not cards, phones or anything that names a person.
        const SHORTEST: u64 = 1_000_000_000;
        self.numbers && number.unsigned_abs() >= SHORTEST && self.may_concern(&number.to_string())
    }

    /// The text with what is found replaced; `None` when nothing is.
    pub(crate) fn redacted(&self, text: &str) -> Option<String> {
        let mut current = Cow::Borrowed(text);
        for index in self.any.matches(text) {
            let pattern = &self.patterns[index];
            if let Some(replaced) = pattern.replaced(&current) {
                current = Cow::Owned(replaced);
            }
        }
        match current {
            Cow::Owned(replaced) => Some(replaced),
            Cow::Borrowed(_) => None,
        }
    }
}

impl Pattern {
    /// Where an expression has a group named `secret`, only that is replaced.
    fn replaced(&self, text: &str) -> Option<String> {
        let mut replaced = String::new();
        let mut copied = 0;
        for found in self.regex.captures_iter(text) {
            let whole = found.get(0).map(|whole| whole.range()).unwrap_or_default();
            let range = found.name("secret").map_or(whole, |secret| secret.range());
            if (self.is_meant)(text, range.clone()) {
                replaced.push_str(&text[copied..range.start]);
                replaced.push_str(self.replacement);
                copied = range.end;
            }
        }
        if copied == 0 {
            return None;
        }
        replaced.push_str(&text[copied..]);
        Some(replaced)
    }
}

fn compile(expression: &str) -> Result<Regex, PatternError> {
    Regex::new(expression).map_err(|error| PatternError::Expression {
        pattern: expression.to_owned(),
        problem: one_line(&error),
    })
}

/// The library draws its errors over several lines; the last of them says what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(expressions: &[&str], detectors: &[&str]) -> Result<Patterns, PatternError> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Patterns::new(&owned(expressions), &owned(detectors))
    }

    fn redacted(patterns: &Patterns, text: &str) -> String {
        let redacted = patterns.redacted(text);
        assert!(redacted.is_none() || patterns.may_concern(text), "{text}");
        redacted.unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn expressions_replace_what_they_find_and_nothing_else() {
        let patterns = patterns(&[r"ticket-\d+", r"user=(?P<secret>\w+)"], &[]).unwrap();
        for (text, expected) in [
            ("", ""),
            ("nothing here", "nothing here"),
            ("ticket-1 and ticket-22.", "[redacted] and [redacted]."),
            ("GET /?user=bob&x=1", "GET /?user=[redacted]&x=1"),
            ("ticket-7 of user=ann", "[redacted] of user=[redacted]"),
            ("тикет ticket-1 ю", "тикет [redacted] ю"),
        ] {
            assert_eq!(redacted(&patterns, text), expected);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (expressions, detectors, expected) in [
            (&["(a"][..], &[][..], "(a"),
            (&["a*"], &[], "empty text"),
            (&["(a{1000}){1000}"], &[], "size limit"),
            (&[], &["emails"], "email, phone, card, key"),
        ] {
            let error = patterns(expressions, detectors).unwrap_err().to_string();
            assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn nothing_declared_concerns_nothing() {
        let none = patterns(&[], &[]).unwrap();
        assert!(!none.may_concern("bob@example.com") && !none.may_concern_number(4_111_111_111_111_111));
        assert_eq!(none.redacted("bob@example.com"), None);
    }

    #[test]
    fn long_numbers_may_be_cards() {
        let cards = patterns(&[], &["card"]).unwrap();
        assert!(cards.may_concern_number(4_111_111_111_111_111));
        assert!(!cards.may_concern_number(42));
        let emails = patterns(&[], &["email"]).unwrap();
        assert!(!emails.may_concern_number(4_111_111_111_111_111));
    }
}
