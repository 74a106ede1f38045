//! Who is in the demo: the census rows, shuffled within each year and divided into what trains, what judges, and what is served.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use driftlead_analyzer::models::{FeatureValue, Features};

use super::census::{CATEGORICAL_FEATURES, NUMERIC_FEATURE, Person};

/// Rows of 2018 that no model is trained on and no control example is taken from.
const HELD_OUT_PEOPLE: usize = 20_000;
/// Examples of the control set.
pub const CONTROL_EXAMPLES: usize = 100;
/// Examples of the larger set, for where the first cannot tell.
pub const MORE_CONTROL_EXAMPLES: usize = 200;
/// The years of the back-fill.
pub const YEARS: [u16; 4] = [2015, 2016, 2017, 2018];

/// The cast.
pub struct People {
    /// All rows by year, each year in a seeded order.
    pub by_year: Vec<(u16, Vec<Person>)>,
    /// Rows of 2018 that only judge models.
    pub held_out: Vec<Person>,
    /// Rows of 2018 for control sets, [`MORE_CONTROL_EXAMPLES`] of them.
    pub control: Vec<Person>,
    /// The other rows of 2018: what recent training data are taken from.
    pub recent: Vec<Person>,
}

impl People {
    /// Shuffles and divides.
    pub fn cast(people: Vec<Person>, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut by_year: Vec<(u16, Vec<Person>)> = YEARS.iter().map(|year| (*year, Vec::new())).collect();
        for person in people {
            if let Some((_, of_year)) = by_year.iter_mut().find(|(year, _)| *year == person.year) {
                of_year.push(person);
            }
        }
        for (_, of_year) in &mut by_year {
            of_year.shuffle(&mut random);
        }
        // A second shuffle, so that who judges does not depend on when somebody is served.
        let mut last_year = by_year.last().map(|(_, people)| people.clone()).unwrap_or_default();
        last_year.shuffle(&mut random);
        let recent = last_year.split_off((HELD_OUT_PEOPLE + MORE_CONTROL_EXAMPLES).min(last_year.len()));
        let control = last_year.split_off(HELD_OUT_PEOPLE.min(last_year.len()));
        Self {
            by_year,
            held_out: last_year,
            control,
            recent,
        }
    }

    /// Everybody of one year, in the seeded order.
    pub fn of_year(&self, year: u16) -> &[Person] {
        self.by_year.iter().find(|(of, _)| *of == year).map_or(&[], |(_, people)| people)
    }
}

/// A person as the model is given them.
pub fn features(person: &Person) -> Features {
    let age = person.age.map(|age| (NUMERIC_FEATURE.to_owned(), FeatureValue::Number(age)));
    let categories = CATEGORICAL_FEATURES.iter().zip(&person.categories);
    let categories = categories.filter_map(|(name, value)| Some(((*name).to_owned(), FeatureValue::Text(value.clone()?))));
    age.into_iter().chain(categories).collect()
}

/// The class that stands for the truth about a person.
pub fn label(employed: bool) -> &'static str {
    if employed { "1" } else { "0" }
}
