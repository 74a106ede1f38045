//! What a word or a name looks like: letters with gaps between them, such as `conn*out`.

use std::fmt;
use std::sync::Arc;

use tantivy_fst::{Automaton, Regex};

/// Most pieces of a shape: each gap multiplies what has to be held apart.
const MAX_PIECES: usize = 16;

/// A piece of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These characters.
    Text(String),
    /// Any character: `?`.
    One,
    /// Any characters, or none: `*`.
    Any,
}

/// A shape, ready to be looked for.
#[derive(Clone)]
pub struct Shape {
    pieces: Vec<Piece>,
    automaton: Arc<Regex>,
}

impl Shape {
    /// A shape of these pieces.
    ///
    /// # Errors
    /// There are too many of them; in words for whoever wrote them.
    pub fn new(pieces: Vec<Piece>) -> Result<Self, String> {
        if pieces.len() > MAX_PIECES {
            return Err(format!("a word has at most {} gaps", MAX_PIECES / 2));
        }
        // `.` of a regular expression leaves line ends out unless it is told not to.
        let mut expression = String::from("(?s)");
        for piece in &pieces {
            match piece {
                Piece::One => expression.push('.'),
                Piece::Any => expression.push_str(".*"),
                Piece::Text(text) => expression.push_str(&regex::escape(text)),
            }
        }
        let automaton = Regex::new(&expression).map_err(|_| "this word with its gaps is too long".to_owned())?;
        Ok(Self {
            pieces,
            automaton: Arc::new(automaton),
        })
    }

    /// Its pieces in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether the whole text is of this shape.
    pub fn fits(&self, text: &str) -> bool {
        let state = text
            .bytes()
            .fold(self.automaton.start(), |state, byte| self.automaton.accept(&state, byte));
        self.automaton.is_match(&state)
    }

    /// What decides it.
    pub(super) fn automaton(&self) -> Arc<Regex> {
        Arc::clone(&self.automaton)
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shape").field(&self.pieces).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(text: &str) -> Shape {
        let piece = |character| match character {
            '*' => Piece::Any,
            '?' => Piece::One,
            other => Piece::Text(other.to_string()),
        };
        Shape::new(text.chars().map(piece).collect()).unwrap()
    }

    /// By definition: the first piece here, the rest anywhere after it.
    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
            (Some((b'?', pattern)), Some((_, text))) => fits(pattern, text),
            (Some((wanted, pattern)), Some((found, text))) => wanted == found && fits(pattern, text),
            _ => false,
        }
    }

    #[test]
    fn gaps_hold_anything_and_the_rest_means_itself() {
        for (pattern, fit, other) in [
            ("conn*out", "connection timeout", "conn out!"),
            ("*Error", "ValueError", "Errors"),
            ("a.c*", "a.c", "abc"),
            ("тай*т", "таймаут", "тай"),
            ("*\n*", "two\nlines", "one"),
            ("v1.?", "v1.2", "v1."),
            ("т?м", "том", "тм"),
            ("???", "\n\u{10ffff}é", "ab"),
            ("(a+)*$", "(a+)$", "aaaa$"),
        ] {
            assert!(shape(pattern).fits(fit), "{pattern} {fit}");
            assert!(!shape(pattern).fits(other), "{pattern} {other}");
        }
    }

    #[test]
    fn a_shape_is_bounded() {
        let gaps = vec![Piece::Any; MAX_PIECES + 1];
        assert!(Shape::new(gaps).unwrap_err().contains("at most"));
        // The automaton of many gaps in a long word is refused, or made and used at once.
        let long: Vec<Piece> = (0..MAX_PIECES)
            .map(|n| if n % 2 == 0 { Piece::Text("a".repeat(200)) } else { Piece::Any })
            .collect();
        if let Ok(shape) = Shape::new(long) {
            assert!(!shape.fits("a"));
        }
    }

    proptest! {
        #[test]
        fn it_fits_what_its_definition_fits(pattern in "[ab*?.]{0,6}", text in "[ab.]{0,8}") {
            prop_assert_eq!(shape(&pattern).fits(&text), fits(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
