//! Inferences to send: made with a seed, or of the census.

use std::io::Write;
use std::path::Path;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::census::{self, CATEGORICAL_FEATURES, NUMERIC_FEATURE, Person};
use super::support::otlp::{number, text};
use super::support::product::target_folder;

const NUMERIC: usize = 8;
const CATEGORICAL: usize = 8;
/// Values of each categorical feature.
const CATEGORIES: u32 = 20;

/// A feature's value; absent ones are not sent.
#[derive(Debug, Clone)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A category.
    Category(String),
    /// Not known.
    Absent,
}

/// Rows of 16 features.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Names of the features, the numeric ones first.
    pub names: Vec<String>,
    /// How many of them are numeric.
    pub numeric: usize,
    /// Values of each row, in the order of the names.
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// Rows with 8 normal and 8 categorical features; `moved` is added to the mean of the former, whose standard
    /// deviation is 1.
    pub fn made(count: usize, seed: u64, moved: f64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let names = (0..NUMERIC)
            .map(|feature| format!("number_{feature}"))
            .chain((0..CATEGORICAL).map(|feature| format!("category_{feature}")));
        Self {
            names: names.collect(),
            numeric: NUMERIC,
            rows: (0..count).map(|_| made_row(&mut random, moved)).collect(),
        }
    }

    /// People of the census of 2015 and of 2018, as many of each; `None` when the data is not there.
    pub fn census(count: usize) -> Option<(Self, Self)> {
        let people = census::read(&target_folder().join("demo-data/nannyml/datasets/data")).ok()?;
        let of_year = |year: u16, seed: u64| {
            let mut chosen: Vec<&Person> = people.iter().filter(|person| person.year == year).collect();
            chosen.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            Self {
                names: [NUMERIC_FEATURE]
                    .into_iter()
                    .chain(CATEGORICAL_FEATURES)
                    .map(str::to_owned)
                    .collect(),
                numeric: 1,
                rows: chosen.into_iter().take(count).map(row_of).collect(),
            }
        };
        Some((of_year(2015, 15), of_year(2018, 18)))
    }

    /// A row's features as attributes.
    pub fn attributes(&self, row: usize) -> Vec<KeyValue> {
        let values = self.names.iter().zip(&self.rows[row]);
        values
            .filter_map(|(name, value)| match value {
                Value::Number(value) => Some(number(&format!("ml.feature.{name}"), *value)),
                Value::Category(value) => Some(text(&format!("ml.feature.{name}"), value)),
                Value::Absent => None,
            })
            .collect()
    }

    /// Writes the rows as CSV with a header; an absent value is an empty field.
    pub fn write_csv(&self, path: &Path) {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file of rows"));
        let mut line = |fields: Vec<String>| writeln!(file, "{}", fields.join(",")).expect("a row is written");
        line(self.names.clone());
        for row in &self.rows {
            let fields = row.iter().map(|value| match value {
                Value::Number(value) => value.to_string(),
                Value::Category(value) => value.clone(),
                Value::Absent => String::new(),
            });
            line(fields.collect());
        }
    }
}

fn made_row(random: &mut ChaCha8Rng, moved: f64) -> Vec<Value> {
    let numbers: Vec<Value> = (0..NUMERIC).map(|_| Value::Number(normal(random) + moved)).collect();
    // The square makes some categories frequent and some rare.
    let category = |share: f64| Value::Category(format!("value_{}", (share * share * f64::from(CATEGORIES)) as u32));
    let categories = (0..CATEGORICAL).map(|_| category(random.random::<f64>()));
    numbers.into_iter().chain(categories).collect()
}

/// Box and Muller's transform.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random_range(f64::EPSILON..1.0), random.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn row_of(person: &Person) -> Vec<Value> {
    let age = person.age.map_or(Value::Absent, Value::Number);
    let categories = person
        .categories
        .iter()
        .map(|value| value.clone().map_or(Value::Absent, Value::Category));
    std::iter::once(age).chain(categories).collect()
}
