//! A column whose rows stay in their order, so that it can be read together with another.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Kind;

/// One field of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Absent,
    Number(f64),
    /// Which of the texts.
    Text(usize),
}

/// The fields of a column, row by row. What parses as a number is one, so that `1` and `1.0` are the same in every kind of file.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    fields: Vec<Field>,
    texts: Vec<Box<str>>,
    ids: HashMap<Box<str>, usize>,
}

impl Fields {
    pub(super) fn add_absent(&mut self, count: u64) {
        (0..count).for_each(|_| self.fields.push(Field::Absent));
    }

    pub(super) fn add_number(&mut self, number: f64) {
        self.fields.push(Field::Number(number));
    }

    pub(super) fn add_text(&mut self, text: &str) {
        let field = match (text.trim().parse(), self.ids.get(text)) {
            (Ok(number), _) => Field::Number(number),
            (Err(_), Some(id)) => Field::Text(*id),
            (Err(_), None) => {
                let id = self.texts.len();
                self.texts.push(text.into());
                self.ids.insert(text.into(), id);
                Field::Text(id)
            }
        };
        self.fields.push(field);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.fields.len()
    }

    /// The number of a row; `None` where it has none, or one that is not finite.
    pub fn number(&self, row: usize) -> Option<f64> {
        match self.fields[row] {
            Field::Number(number) if number.is_finite() => Some(number),
            _ => None,
        }
    }

    /// The class that a row names; `None` where it names none.
    pub fn class(&self, row: usize) -> Option<Cow<'_, str>> {
        match self.fields[row] {
            Field::Text(id) => Some(Cow::Borrowed(&self.texts[id])),
            Field::Number(number) if number.is_finite() => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    /// What the values that are present are.
    pub fn kind(&self) -> Kind {
        if self.texts.is_empty() { Kind::Numeric } else { Kind::Categorical }
    }
}
