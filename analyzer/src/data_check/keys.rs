//! What makes two rows the same: a hash over their cells, exact or after normalisation.

use std::borrow::Cow;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::rows::{Cell, TableColumn};

/// What is the same in the texts of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sameness {
    /// Every character.
    Exact,
    /// Letters' case and white space around do not count.
    OfCategories,
    /// Only the words count: neither case nor punctuation nor white space.
    OfTexts,
}

const ABSENT: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const ARRAY: u8 = 3;

/// A key for each row over these columns, in their order. A text that is a number is that number, so that forms of files do not
/// matter; absent and NaN are the same.
pub(super) fn row_keys(columns: &[(&TableColumn, Sameness)]) -> Vec<u128> {
    let rows = columns.first().map_or(0, |(column, _)| column.rows());
    let texts: Vec<Vec<(u8, u128)>> = columns
        .iter()
        .map(|(column, sameness)| (0..column.texts()).map(|index| of_text(column.text(index), *sameness)).collect())
        .collect();
    let key = |row: usize| {
        let mut hash = Xxh3::new();
        for ((column, _), texts) in columns.iter().zip(&texts) {
            let (kind, value) = match (column.text_index(row), column.cell(row)) {
                (Some(index), _) => texts[index],
                (None, Cell::Number(number)) => of_number(number),
                (None, Cell::Array(array)) => (ARRAY, array.hash),
                (None, _) => (ABSENT, 0),
            };
            hash.update(&[kind]);
            hash.update(&value.to_le_bytes());
        }
        hash.digest128()
    };
    (0..rows).map(key).collect()
}

fn of_number(number: f64) -> (u8, u128) {
    if number.is_nan() {
        return (ABSENT, 0);
    }
    let number = if number == 0.0 { 0.0 } else { number };
    (NUMBER, u128::from(number.to_bits()))
}

fn of_text(text: &str, sameness: Sameness) -> (u8, u128) {
    match text.trim().parse() {
        Ok(number) if sameness != Sameness::Exact || text.trim() == text => of_number(number),
        _ => (TEXT, xxh3_128(normalised(text, sameness).as_bytes())),
    }
}

/// A text without what does not count.
pub(super) fn normalised(text: &str, sameness: Sameness) -> Cow<'_, str> {
    match sameness {
        Sameness::Exact => Cow::Borrowed(text),
        Sameness::OfCategories => Cow::Owned(text.trim().to_lowercase()),
        Sameness::OfTexts => {
            let lower = text.to_lowercase();
            let mut words = lower
                .split(|character: char| !character.is_alphanumeric())
                .filter(|word| !word.is_empty());
            let Some(first) = words.next() else {
                return Cow::Owned(lower.trim().to_owned());
            };
            let mut normalised = first.to_owned();
            for word in words {
                normalised.push(' ');
                normalised.push_str(word);
            }
            Cow::Owned(normalised)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Table;

    fn keys(values: &[serde_json::Value], sameness: Sameness) -> Vec<u128> {
        let rows = values
            .iter()
            .map(|value| serde_json::Map::from_iter([("a".to_owned(), value.clone())]));
        let table = Table::of_rows(rows).unwrap();
        row_keys(&[(table.column("a").unwrap(), sameness)])
    }

    #[test]
    fn forms_of_the_same_value_are_the_same() {
        let found = keys(&[1.into(), "1".into(), "1.0".into(), " 1".into(), 2.into()], Sameness::OfCategories);
        assert!(found[..4].iter().all(|key| *key == found[0]) && found[4] != found[0]);
        let absent = keys(&[serde_json::Value::Null, "NaN".into(), "".into()], Sameness::OfTexts);
        assert_eq!(absent[0], absent[1]);
        assert_ne!(absent[0], absent[2], "an empty text of JSON is one");
    }

    #[test]
    fn only_words_count_in_texts() {
        for (text, normal) in [
            ("  Hello,   WORLD! ", "hello world"),
            ("?!", "?!"),
            ("Привет-Мир", "привет мир"),
            ("a1_b", "a1 b"),
        ] {
            assert_eq!(normalised(text, Sameness::OfTexts), normal);
        }
        let texts = ["Lost card?".into(), "lost  CARD".into(), "A+".into(), "A-".into()];
        let of_texts = keys(&texts, Sameness::OfTexts);
        assert!(of_texts[0] == of_texts[1] && of_texts[2] == of_texts[3]);
        let of_categories = keys(&texts, Sameness::OfCategories);
        assert!(of_categories[0] != of_categories[1] && of_categories[2] != of_categories[3]);
    }
}
