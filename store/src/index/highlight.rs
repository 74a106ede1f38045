//! Cuts a text into the pieces that matched a query and those between.

use super::analyzer::{Word, placed_words};
use super::query::{Expression, Field, Shape, Text};

/// Longest piece of a message or stack that is shown highlighted, in bytes.
const MAX_FRAGMENT_BYTES: usize = 1_000;
/// Of a longer text, this many bytes before the first match are shown.
const LEAD_BYTES: usize = 200;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// The piece.
    pub text: String,
    /// Whether it is what was searched for.
    #[serde(rename = "match")]
    pub is_match: bool,
}

/// What a query looks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Needle<'a> {
    field: Option<Text>,
    looks: Looks<'a>,
}

#[derive(Debug, Clone, PartialEq)]
enum Looks<'a> {
    /// Words in order, the last one only begun when `prefix` is set.
    Words { words: &'a [String], prefix: bool },
    /// One word.
    Like(&'a Shape),
}

/// What a query looks for in texts; what it excludes is not part of it.
pub(crate) fn needles(expression: &Expression) -> Vec<Needle<'_>> {
    match expression {
        Expression::And(parts) | Expression::Or(parts) | Expression::AtLeast(_, parts) => parts.iter().flat_map(needles).collect(),
        Expression::Text { field, words, prefix } => vec![Needle {
            field: *field,
            looks: Looks::Words { words, prefix: *prefix },
        }],
        Expression::Fits {
            field: field @ (None | Some(Field::Text(_))),
            shape,
        } => vec![Needle {
            field: match field {
                Some(Field::Text(field)) => Some(*field),
                _ => None,
            },
            looks: Looks::Like(shape),
        }],
        _ => Vec::new(),
    }
}

/// The pieces of the part of `text` around its first match, in order; `None` where nothing matches.
pub(crate) fn highlight(field: Text, text: &str, needles: &[Needle<'_>]) -> Option<Vec<Part>> {
    let words = placed_words(text);
    let mut spans: Vec<(usize, usize)> = needles
        .iter()
        .filter(|needle| needle.field.is_none_or(|wanted| wanted == field))
        .flat_map(|needle| spans_of(needle, &words))
        .collect();
    spans.sort_unstable();
    let first = spans.first()?.0;
    Some(cut(text, fragment(text, first), &spans))
}

fn spans_of(needle: &Needle<'_>, words: &[Word]) -> Vec<(usize, usize)> {
    match needle.looks {
        Looks::Words { words: wanted, prefix } => words
            .windows(wanted.len())
            .filter(|window| is_match(wanted, prefix, window))
            .map(|window| (window[0].from, window[wanted.len() - 1].to))
            .collect(),
        Looks::Like(shape) => words
            .iter()
            .filter(|word| shape.fits(&word.text))
            .map(|word| (word.from, word.to))
            .collect(),
    }
}

fn is_match(wanted: &[String], prefix: bool, window: &[Word]) -> bool {
    let last = window.len() - 1;
    window.iter().zip(wanted).enumerate().all(|(index, (word, wanted))| {
        let in_order = word.position == window[0].position + index;
        let equal = match prefix && index == last {
            true => word.text.starts_with(wanted.as_str()),
            false => word.text == *wanted,
        };
        in_order && equal
    })
}

/// The part of the text to show: all of it, or what begins a little before the first match, at the start of a
/// line where there is one.
fn fragment(text: &str, first: usize) -> (usize, usize) {
    if text.len() <= MAX_FRAGMENT_BYTES {
        return (0, text.len());
    }
    let lead = text.floor_char_boundary(first.saturating_sub(LEAD_BYTES));
    let from = match text[lead..first].find('\n') {
        _ if lead == 0 => 0,
        Some(line_end) => lead + line_end + 1,
        None => lead,
    };
    (from, text.floor_char_boundary((from + MAX_FRAGMENT_BYTES).min(text.len())))
}

fn cut(text: &str, (from, to): (usize, usize), spans: &[(usize, usize)]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = from;
    let mut push = |piece: &str, is_match| {
        if !piece.is_empty() {
            parts.push(Part {
                text: piece.to_owned(),
                is_match,
            });
        }
    };
    for &(start, end) in spans {
        let (start, end) = (start.max(at), end.min(to));
        if start < end {
            push(&text[at..start], false);
            push(&text[start..end], true);
            at = end;
        }
    }
    push(&text[at..to.max(at)], false);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::index::query::parse;

    /// Matches in square brackets.
    fn check(query: &str, field: Text, text: &str, expected: Option<&str>) {
        let expression = parse(query, UnixNanos::default()).unwrap();
        let shown = highlight(field, text, &needles(&expression)).map(|parts| {
            parts
                .iter()
                .map(|part| {
                    if part.is_match {
                        format!("[{}]", part.text)
                    } else {
                        part.text.clone()
                    }
                })
                .collect::<String>()
        });
        assert_eq!(shown.as_deref(), expected, "{query} in {text}");
    }

    #[test]
    fn what_was_searched_for_is_marked() {
        use Text::{Message, Stack};
        for (query, field, text, expected) in [
            ("refused", Message, "Connection refused.", Some("Connection [refused].")),
            (
                "REFUSED connection",
                Message,
                "Connection refused.",
                Some("[Connection] [refused]."),
            ),
            (
                "\"connection refused\"",
                Message,
                "connection refused; refused",
                Some("[connection refused]; refused"),
            ),
            ("conn*", Message, "connection, conn, con", Some("[connection], [conn], con")),
            ("-refused connection", Message, "connection refused", Some("[connection] refused")),
            ("message:a", Stack, "a", None),
            ("stack:a b", Stack, "b a", Some("[b] [a]")),
            ("service:a", Message, "a", None),
            ("zug", Message, "Überfall zug Ключ", Some("Überfall [zug] Ключ")),
            ("ключ", Message, "Überfall zug Ключ", Some("Überfall zug [Ключ]")),
            ("a (b OR c)", Message, "<b>a</b>", Some("<[b]>[a]</[b]>")),
            ("\"a b\" \"b c\"", Message, "a b c", Some("[a b][ c]")),
            ("", Message, "a", None),
        ] {
            check(query, field, text, expected);
        }
    }

    #[test]
    fn of_a_long_text_the_part_around_the_first_match_is_shown() {
        let text = format!("{}\nat needle\n{}", "ü ".repeat(2_000), "x ".repeat(2_000));
        let expression = parse("needle", UnixNanos::default()).unwrap();
        let parts = highlight(Text::Stack, &text, &needles(&expression)).unwrap();
        let shown: String = parts.iter().map(|part| part.text.as_str()).collect();
        assert!(shown.starts_with("at needle\n") && shown.len() <= MAX_FRAGMENT_BYTES, "{shown}");
        assert!(text.contains(&shown));
    }
}
