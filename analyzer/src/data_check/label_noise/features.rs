//! Rows as sparse vectors. A number is standardised, cut at four deviations, and in one of ten bins; a category is one of the most
//! frequent; a text is the words, pairs of neighbours and pieces of four letters in it, weighted by tf-idf, of length 1; an array
//! is its numbers, where all are kept and of one length. What is missing is a feature of its own.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::inputs::Inputs;
use super::super::keys::{Sameness, normalised};
use super::super::shapes;
use crate::rows::{Cell, CellKind, TableColumn};

/// Coefficients of one fold's model at most: 64 MB.
const MAX_COEFFICIENTS: usize = 16 << 20;
/// Features at most, however few classes there are.
const MAX_FEATURES: usize = 1 << 18;
/// Features that there may be, however many classes there are.
const MIN_FEATURES: usize = 4_096;
/// Rows that a category or a term occurs in, at least.
const MIN_ROWS: u32 = 2;
/// Categories of a column that are features.
const MAX_CATEGORIES: usize = 1_000;
/// Bins of the numbers of a column; so many distinct ones or fewer have one each.
const BINS: usize = 10;
/// A standardised number is not farther from 0 than this.
const FARTHEST: f64 = 4.0;
/// Counters of terms: two terms that share one are one feature.
const TERM_COUNTERS: usize = 1 << 20;
/// Letters of a piece of a word.
const PIECE: usize = 4;
/// Words of a text that are read.
const MAX_WORDS: usize = 1_000;

/// Sparse rows.
pub(super) struct Features {
    ends: Vec<usize>,
    entries: Vec<(u32, f32)>,
    /// Rows in which each feature is not 0.
    rows_with: Vec<u32>,
}

impl Features {
    /// Of these rows of the table; fewer features where there are more classes.
    pub(super) fn of(inputs: &Inputs<'_>, rows: &[usize], classes: usize) -> Self {
        let most = (MAX_COEFFICIENTS / classes.max(1)).clamp(MIN_FEATURES, MAX_FEATURES);
        let mut taken = 0;
        let mut columns = Vec::new();
        let texts = inputs.texts.len().max(1);
        for (name, column) in &inputs.columns {
            let is_text = inputs.texts.contains(name);
            let room = if is_text { (most - taken) / texts } else { most - taken };
            let encoder = match column.kind() {
                CellKind::Numeric => Encoder::of_numbers(column, rows, taken),
                CellKind::Categorical if is_text => Encoder::of_texts(column, rows, taken, room),
                CellKind::Categorical => Encoder::of_categories(column, rows, taken, room.min(MAX_CATEGORIES)),
                CellKind::Array => Encoder::of_arrays(column, rows, taken),
            };
            let Some((encoder, width)) = encoder.filter(|(_, width)| *width > 0 && taken + width <= most) else {
                continue;
            };
            taken += width;
            columns.push((*column, encoder));
        }
        let mut features = Self {
            ends: Vec::with_capacity(rows.len()),
            entries: Vec::new(),
            rows_with: vec![0; taken],
        };
        for row in rows {
            for (column, encoder) in &columns {
                encoder.add(column, *row, &mut features.entries);
            }
            features.ends.push(features.entries.len());
        }
        features.entries.shrink_to_fit();
        for (feature, _) in &features.entries {
            features.rows_with[*feature as usize] += 1;
        }
        features
    }

    /// How many there are.
    pub(super) fn columns(&self) -> usize {
        self.rows_with.len()
    }

    /// How many rows.
    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Values of all rows that are not 0.
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// What is not 0 in a row.
    pub(super) fn row(&self, row: usize) -> &[(u32, f32)] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[row]]
    }

    /// Rows in which a feature is not 0.
    pub(super) fn rows_with(&self, feature: u32) -> u32 {
        self.rows_with[feature as usize]
    }
}

/// How a column becomes features, the first of which is `start`.
enum Encoder {
    Numbers {
        start: u32,
        mean: f64,
        deviation: f64,
        /// The lower ends of the bins but the first.
        edges: Vec<f64>,
    },
    Categories {
        start: u32,
        features: HashMap<u64, u32>,
    },
    Texts {
        /// By the counter of a term its feature and how rare it is; features begin at 1, 0 is none.
        features: Vec<u32>,
        start: u32,
        rarity: Vec<f32>,
    },
    Arrays {
        start: u32,
        length: usize,
        means: Vec<f32>,
        deviations: Vec<f32>,
    },
}

impl Encoder {
    fn of_numbers(column: &TableColumn, rows: &[usize], start: usize) -> Option<(Self, usize)> {
        let mut numbers: Vec<f64> = rows.iter().filter_map(|row| number(column.cell(*row))).collect();
        if numbers.is_empty() {
            return None;
        }
        numbers.sort_unstable_by(f64::total_cmp);
        let n = numbers.len() as f64;
        let mean = numbers.iter().map(|number| number / n).sum::<f64>();
        let deviation = numbers
            .iter()
            .map(|number| (number - mean) * ((number - mean) / n))
            .sum::<f64>()
            .sqrt();
        if !(deviation.is_finite() && deviation > 0.0) {
            // Only whether it is there can tell anything.
            let is_ever_missing = numbers.len() < rows.len();
            let encoder = Self::Categories {
                start: start as u32,
                features: HashMap::new(),
            };
            return is_ever_missing.then_some((encoder, 1));
        }
        let mut edges: Vec<f64> = numbers.chunk_by(|a, b| a == b).skip(1).take(BINS).map(|same| same[0]).collect();
        if edges.len() >= BINS {
            edges = (1..BINS).map(|bin| numbers[bin * numbers.len() / BINS]).collect();
            edges.dedup();
        }
        let width = 2 + edges.len() + 1;
        let encoder = Self::Numbers {
            start: start as u32,
            mean,
            deviation,
            edges,
        };
        Some((encoder, width))
    }

    fn of_categories(column: &TableColumn, rows: &[usize], start: usize, room: usize) -> Option<(Self, usize)> {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for row in rows {
            if let Some(category) = category(column.cell(*row)) {
                *counts.entry(category).or_default() += 1;
            }
        }
        let mut frequent: Vec<(u64, u32)> = counts.into_iter().filter(|(_, count)| *count >= MIN_ROWS).collect();
        frequent.sort_unstable_by_key(|(category, count)| (std::cmp::Reverse(*count), *category));
        frequent.truncate(room.saturating_sub(1));
        let features: HashMap<u64, u32> = frequent
            .into_iter()
            .zip(1..)
            .map(|((category, _), place)| (category, start as u32 + place))
            .collect();
        let width = features.len() + 1;
        Some((
            Self::Categories {
                start: start as u32,
                features,
            },
            width,
        ))
    }

    fn of_texts(column: &TableColumn, rows: &[usize], start: usize, room: usize) -> Option<(Self, usize)> {
        let mut counts = vec![0_u32; TERM_COUNTERS];
        let mut n = 0;
        for row in rows {
            if let Cell::Text(text) = column.cell(*row) {
                n += 1;
                let mut terms = terms(text);
                terms.sort_unstable();
                terms.dedup();
                terms.iter().for_each(|term| counts[*term as usize] += 1);
            }
        }
        let mut frequent: Vec<(u32, u32)> = (0..).zip(counts.iter().copied()).filter(|(_, count)| *count >= MIN_ROWS).collect();
        frequent.sort_unstable_by_key(|(term, count)| (std::cmp::Reverse(*count), *term));
        frequent.truncate(room);
        let mut features = vec![0; TERM_COUNTERS];
        let mut rarity = Vec::with_capacity(frequent.len());
        for (term, count) in frequent {
            rarity.push(((1.0 + f64::from(n)) / (1.0 + f64::from(count))).ln() as f32 + 1.0);
            features[term as usize] = rarity.len() as u32;
        }
        let width = rarity.len();
        let encoder = Self::Texts {
            features,
            start: start as u32,
            rarity,
        };
        Some((encoder, width))
    }

    fn of_arrays(column: &TableColumn, rows: &[usize], start: usize) -> Option<(Self, usize)> {
        let length = shapes::fixed(column)?.iter().product();
        let kept = || rows.iter().filter_map(|row| numbers(column.cell(*row), length));
        let n = kept().count() as f64;
        if n == 0.0 {
            return None;
        }
        let (mut sums, mut squares) = (vec![0.0; length], vec![0.0; length]);
        for numbers in kept() {
            for (index, number) in numbers.iter().enumerate() {
                sums[index] += f64::from(*number) / n;
                squares[index] += f64::from(*number).powi(2) / n;
            }
        }
        let deviation = |(sum, square): (&f64, &f64)| (square - sum * sum).max(0.0).sqrt() as f32;
        let deviations = sums.iter().zip(&squares).map(deviation).collect();
        let encoder = Self::Arrays {
            start: start as u32,
            length,
            means: sums.iter().map(|sum| *sum as f32).collect(),
            deviations,
        };
        Some((encoder, length))
    }

    fn add(&self, column: &TableColumn, row: usize, to: &mut Vec<(u32, f32)>) {
        match self {
            Self::Numbers {
                start,
                mean,
                deviation,
                edges,
            } => match number(column.cell(row)) {
                None => to.push((*start, 1.0)),
                Some(number) => {
                    let standard = ((number - mean) / deviation).clamp(-FARTHEST, FARTHEST);
                    let bin = edges.partition_point(|edge| *edge <= number);
                    to.push((start + 1, standard as f32));
                    to.push((start + 2 + bin as u32, 1.0));
                }
            },
            Self::Categories { start, features } => match category(column.cell(row)) {
                None => to.push((*start, 1.0)),
                Some(category) => to.extend(features.get(&category).map(|feature| (*feature, 1.0))),
            },
            Self::Texts { features, start, rarity } => {
                let Cell::Text(text) = column.cell(row) else { return };
                let mut found: Vec<u32> = terms(text)
                    .into_iter()
                    .map(|term| features[term as usize])
                    .filter(|place| *place > 0)
                    .collect();
                found.sort_unstable();
                let from = to.len();
                for same in found.chunk_by(|a, b| a == b) {
                    let place = same[0] - 1;
                    to.push((start + place, (1.0 + (same.len() as f32).ln()) * rarity[place as usize]));
                }
                let length = to[from..].iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
                to[from..].iter_mut().for_each(|(_, value)| *value /= length);
            }
            Self::Arrays {
                start,
                length,
                means,
                deviations,
            } => {
                let Some(numbers) = numbers(column.cell(row), *length) else {
                    return;
                };
                // As long as one column of numbers, whatever the length.
                let scale = 1.0 / (*length as f32).sqrt();
                let standard = |index: usize| (numbers[index] - means[index]) / deviations[index] * scale;
                let told = (0..*length).filter(|index| deviations[*index] > 0.0);
                to.extend(told.map(|index| (start + index as u32, standard(index))));
            }
        }
    }
}

fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Number(number) if number.is_finite() => Some(number),
        _ => None,
    }
}

fn numbers<'a>(cell: Cell<'a>, length: usize) -> Option<&'a [f32]> {
    match cell {
        Cell::Array(array) => array.numbers.as_deref().filter(|numbers| numbers.len() == length),
        _ => None,
    }
}

fn category(cell: Cell<'_>) -> Option<u64> {
    match cell {
        Cell::Text(text) => Some(xxh3_64_with_seed(normalised(text, Sameness::OfCategories).as_bytes(), 0)),
        Cell::Number(number) if !number.is_nan() => Some(xxh3_64_with_seed(&number.to_bits().to_le_bytes(), 1)),
        _ => None,
    }
}

/// The counters of a text's words, of its pairs of words, and of the pieces of its words.
fn terms(text: &str) -> Vec<u32> {
    let text = normalised(text, Sameness::OfTexts);
    let counter = |term: &[u8], kind: u64| (xxh3_64_with_seed(term, kind) % TERM_COUNTERS as u64) as u32;
    let mut terms = Vec::new();
    let mut before: Option<&str> = None;
    let mut pair = String::new();
    for word in text.split_whitespace().take(MAX_WORDS) {
        terms.push(counter(word.as_bytes(), 1));
        if let Some(before) = before {
            pair.clear();
            pair.push_str(before);
            pair.push(' ');
            pair.push_str(word);
            terms.push(counter(pair.as_bytes(), 2));
        }
        before = Some(word);
        let starts: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        for piece in starts.windows(PIECE + 1) {
            terms.push(counter(&word.as_bytes()[piece[0]..piece[PIECE]], 3));
        }
    }
    terms
}
