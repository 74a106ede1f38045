//! A cell that holds numbers in a list, or in lists of lists: an image, a tensor, an embedding.

use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

/// Numbers of an array that are kept: an embedding's. Of a longer one what is said of it is enough.
pub const MAX_KEPT_NUMBERS: usize = 2_048;
/// Between what belongs to different lists, in the hash.
const OPEN: [u8; 1] = [b'['];
const CLOSE: [u8; 1] = [b']'];

/// What is known of one array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// How many there are in each dimension, such as `[3, 224, 224]`; none where the lists of a dimension differ in length.
    pub shape: Option<Box<[usize]>>,
    /// The smallest finite number; none where there is none.
    pub least: Option<f64>,
    /// The largest finite number.
    pub most: Option<f64>,
    /// How many are NaN or infinite, absent or no numbers.
    pub not_numbers: u64,
    /// The numbers, where there are at most [`MAX_KEPT_NUMBERS`], all finite.
    pub numbers: Option<Box<[f32]>>,
    /// Hash of the content.
    pub hash: u128,
}

impl Array {
    /// Of a JSON list.
    pub fn of_json(list: &[Value]) -> Self {
        let mut builder = Builder::default();
        let shape = builder.add_list(list);
        builder.built(shape)
    }

    /// Of a text that is a JSON list.
    pub fn of_text(text: &str) -> Option<Self> {
        if !text.trim_start().starts_with('[') {
            return None;
        }
        let list: Vec<Value> = serde_json::from_str(text).ok()?;
        Some(Self::of_json(&list))
    }

    /// The shape as people write it, `3x224x224`; "uneven" where it has none.
    pub fn shape_text(&self) -> String {
        self.shape.as_deref().map_or_else(|| "uneven".to_owned(), shape_text)
    }
}

/// A shape as people write it.
pub fn shape_text(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// An array while it is read.
#[derive(Default)]
pub(super) struct Builder {
    hash: Xxh3,
    least: Option<f64>,
    most: Option<f64>,
    not_numbers: u64,
    numbers: Vec<f32>,
    count: usize,
}

/// The shape of what was read: none where its lists differ.
pub(super) type Shape = Option<Vec<usize>>;

impl Builder {
    fn add_list(&mut self, list: &[Value]) -> Shape {
        self.open();
        let shapes = list.iter().map(|value| match value {
            Value::Array(inner) => self.add_list(inner),
            Value::Number(number) => {
                self.add_number(number.as_f64().unwrap_or(f64::NAN));
                Some(Vec::new())
            }
            other => {
                self.add_other(&other.to_string());
                Some(Vec::new())
            }
        });
        let shape = common(shapes);
        self.close();
        shape
    }

    /// A list begins.
    pub(super) fn open(&mut self) {
        self.hash.update(&OPEN);
    }

    /// A list ends.
    pub(super) fn close(&mut self) {
        self.hash.update(&CLOSE);
    }

    /// Takes a number.
    pub(super) fn add_number(&mut self, number: f64) {
        self.count += 1;
        self.hash.update(&number.to_bits().to_le_bytes());
        if !number.is_finite() {
            self.not_numbers += 1;
            return;
        }
        self.least = Some(self.least.map_or(number, |least| least.min(number)));
        self.most = Some(self.most.map_or(number, |most| most.max(number)));
        if self.numbers.len() < MAX_KEPT_NUMBERS {
            self.numbers.push(number as f32);
        }
    }

    /// Takes what is no number.
    pub(super) fn add_other(&mut self, text: &str) {
        self.count += 1;
        self.not_numbers += 1;
        self.hash.update(text.as_bytes());
    }

    /// What was read.
    pub(super) fn built(self, shape: Shape) -> Array {
        let is_kept = self.numbers.len() == self.count;
        Array {
            shape: shape.map(Vec::into_boxed_slice),
            least: self.least,
            most: self.most,
            not_numbers: self.not_numbers,
            numbers: is_kept.then(|| self.numbers.into_boxed_slice()),
            hash: self.hash.digest128(),
        }
    }
}

/// The shape of a list whose elements have these shapes.
pub(super) fn common(shapes: impl Iterator<Item = Shape>) -> Shape {
    let (mut length, mut inner, mut is_even) = (0, None, true);
    for shape in shapes {
        length += 1;
        match (&inner, shape) {
            (None, Some(shape)) => inner = Some(shape),
            (Some(first), Some(shape)) if *first == shape => {}
            _ => is_even = false,
        }
    }
    is_even.then(|| std::iter::once(length).chain(inner.unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_that_of_every_list_or_none() {
        for (text, shape) in [
            ("[1, 2, 3]", Some(&[3][..])),
            ("[[1, 2], [3, 4], [5, 6]]", Some(&[3, 2][..])),
            ("[]", Some(&[0][..])),
            ("[[1], [2, 3]]", None),
            ("[1, [2]]", None),
        ] {
            assert_eq!(Array::of_text(text).unwrap().shape.as_deref(), shape, "{text}");
        }
        assert_eq!(Array::of_text("[[1, 2], [3, 4]]").unwrap().shape_text(), "2x2");
        assert!(Array::of_text("[1, 2").is_none() && Array::of_text("12").is_none());
    }

    #[test]
    fn what_is_in_it_is_told() {
        let array = Array::of_text("[0.5, -1, null, \"a\", 7]").unwrap();
        assert_eq!((array.least, array.most, array.not_numbers), (Some(-1.0), Some(7.0), 2));
        assert_eq!(array.numbers, None);
        assert_eq!(Array::of_text("[0.5, 1]").unwrap().numbers.as_deref(), Some(&[0.5, 1.0][..]));
    }

    #[test]
    fn content_and_form_are_in_the_hash() {
        let hashes = ["[1,2]", "[2,1]", "[[1],[2]]", "[[1,2]]", "[1,2,null]"].map(|text| Array::of_text(text).unwrap().hash);
        for (index, hash) in hashes.iter().enumerate() {
            assert!(hashes[..index].iter().all(|other| other != hash));
        }
        assert_eq!(Array::of_text("[1, 2.0]").unwrap().hash, hashes[0]);
    }
}
