//! Shift on real data: the US Census of 2018 against 2015 (`make demo-data` fetches it), by the comparison that
//! signals are made from. What is held to is that `ANC` and nothing else surely moved more than 2 %.
//!
//! `cargo test --test it shift_census -- --nocapture` prints the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;

use driftlead_analyzer::budget::Budget;
use driftlead_analyzer::drift::{Compared, FeatureDrift, Role, compare};
use driftlead_analyzer::profile;
use driftlead_analyzer::reference::{Reference, ReferenceInfo};
use driftlead_analyzer::stats::dispersion::dispersion;
use driftlead_analyzer::window::{DAY_SECONDS, Days, Window};
use driftlead_store::bucket;
use driftlead_store::clickhouse::query::profiles::Profile;
use driftlead_store::clickhouse::query::references::ReferenceProfile;
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{FeatureCounts, pseudo};
use driftlead_store::state::references::ReferenceKind;
use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/demo-data/nannyml/datasets/data");
/// The demo's threshold.
const THRESHOLD: f64 = 0.02;
/// Days of the demo, one a year, each of them looked at once.
const DAYS: i64 = 4;
/// Hours of the reference, from which it is known how much its own windows differ.
const HOURS: usize = 24;
const SEEDS: u64 = 100;
const FEATURES: usize = 16;

/// The rows of one year as the model's service sends them: features, and what a real model answered.
struct Year {
    rows: usize,
    columns: Vec<Column>,
}

/// One feature: what occurs, and which of it each row has.
struct Column {
    name: String,
    kinds: Vec<Kind>,
    codes: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Absent,
    Bucket(i32),
    Category(String),
}

impl Year {
    fn profile(&self) -> Profile {
        self.profile_of(&(0..self.rows).collect::<Vec<_>>())
    }

    /// What a window with these rows is remembered by.
    fn profile_of(&self, rows: &[usize]) -> Profile {
        let features = self.columns.iter().map(|column| (column.name.clone(), column.counts(rows)));
        Profile {
            inferences: rows.len() as u64,
            features: features.collect(),
            ..Profile::default()
        }
    }

    fn known(&self) -> BTreeSet<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }
}

impl Column {
    fn counts(&self, rows: &[usize]) -> FeatureCounts {
        let mut by_code = vec![0; self.kinds.len()];
        rows.iter().for_each(|&row| by_code[usize::from(self.codes[row])] += 1);
        let mut counts = FeatureCounts::default();
        for (kind, count) in self.kinds.iter().zip(by_code).filter(|(_, count)| *count > 0) {
            match kind {
                Kind::Absent => {}
                Kind::Bucket(key) => *counts.buckets.entry(*key).or_default() += count,
                Kind::Category(value) => counts.add_categories(value, count),
            }
        }
        counts.complete_to(rows.len() as u64);
        counts
    }
}

/// 2015 and 2018; `None`, said loudly, where nobody fetched the data.
fn census() -> Option<&'static (Year, Year)> {
    static CENSUS: LazyLock<Option<(Year, Year)>> = LazyLock::new(|| {
        let is_there = Path::new(FOLDER).join("employment_MA_reference.pq").is_file();
        is_there.then(|| (read("employment_MA_reference.pq", 2015), read("employment_MA_analysis.pq", 2018)))
    });
    if CENSUS.is_none() {
        eprintln!("SKIPPED: there is no census data in {FOLDER}; `make demo-data` fetches it");
    }
    CENSUS.as_ref()
}

fn read(file: &str, year: i64) -> Year {
    let mut rows: Vec<Vec<(String, Kind)>> = Vec::new();
    each_row(file, |row| {
        if row.iter().any(|(name, field)| name == "year" && *field == Field::Long(year)) {
            rows.push(row.iter().filter_map(|(name, field)| sent(name, field)).collect());
        }
    });
    let columns = (0..rows[0].len())
        .map(|index| {
            let kinds: BTreeSet<&Kind> = rows.iter().map(|row| &row[index].1).collect();
            let kinds: Vec<&Kind> = kinds.into_iter().collect();
            let code = |kind: &Kind| u16::try_from(kinds.binary_search(&kind).unwrap()).unwrap();
            Column {
                name: rows[0][index].0.clone(),
                codes: rows.iter().map(|row| code(&row[index].1)).collect(),
                kinds: kinds.into_iter().cloned().collect(),
            }
        })
        .collect();
    Year { rows: rows.len(), columns }
}

fn each_row(file: &str, mut take: impl FnMut(&[(String, Field)])) {
    let file = File::open(Path::new(FOLDER).join(file)).unwrap();
    for row in RowIter::from_file_into(Box::new(SerializedFileReader::new(file).unwrap())) {
        take(&row.unwrap().into_columns());
    }
}

/// The feature or prediction under which a field is profiled.
fn sent(name: &str, field: &Field) -> Option<(String, Kind)> {
    let feature = match name {
        "id" | "year" | "employed" => return None,
        "prediction" => pseudo::PREDICTION_LABEL,
        "predicted_probability" => pseudo::PREDICTION_SCORE,
        feature => feature,
    };
    let kind = match field {
        Field::Null => Kind::Absent,
        Field::Double(number) => Kind::Bucket(bucket::key_of(*number).unwrap()),
        Field::Long(label) => Kind::Category(label.to_string()),
        Field::Str(value) => Kind::Category(value.clone()),
        other => panic!("{name} holds {other}"),
    };
    Some((feature.to_owned(), kind))
}

fn reference(profile: Profile, dispersion: BTreeMap<String, BTreeMap<u32, f64>>) -> Reference {
    Reference {
        info: ReferenceInfo {
            name: "pinned".to_owned(),
            kind: ReferenceKind::Pinned,
            version: None,
            from: None,
            to: None,
            matching: None,
            rows: profile.inferences,
        },
        data: ReferenceProfile { profile, dispersion },
    }
}

/// How much the hours of a day of this year, its rows in this order, differ among themselves: per feature for
/// windows of a day, as a reference of one day has it.
fn dispersions(year: &Year, order: &[usize], rng: &mut impl Rng) -> BTreeMap<String, BTreeMap<u32, f64>> {
    let hours: Vec<Profile> = order
        .chunks(order.len().div_ceil(HOURS))
        .map(|rows| year.profile_of(rows))
        .collect();
    let of = |name: &String, seed: u64| {
        let blocks: Vec<FeatureCounts> = hours.iter().map(|hour| hour.feature(name)).collect();
        BTreeMap::from([(DAY_SECONDS, dispersion(&blocks, seed).unwrap())])
    };
    let names = year.columns.iter().map(|column| &column.name);
    names.map(|name| (name.clone(), of(name, rng.random()))).collect()
}

/// The window of a run of the demo, and how often decisions about its days may be wrong.
fn last_day(run: u64) -> (Window, Budget) {
    let end = UnixNanos::parse("2026-11-20T10:30:00Z").unwrap().plus_seconds(60 * run as i64);
    let ends: Vec<UnixNanos> = (0..DAYS).map(|day| end.plus_seconds(-day * i64::from(DAY_SECONDS))).collect();
    let days = Days::new(&ends);
    let window = days.last_before(end).unwrap();
    // One model, hours and days, all traffic and segments share one false alert a month.
    let budget = Budget {
        errors: 0.25,
        looks: days.looks(window),
    };
    (window, budget)
}

fn drifts(run: u64, reference: &Reference, window: &Profile, known: &BTreeSet<String>) -> Vec<FeatureDrift> {
    let (day, budget) = last_day(run);
    let compared = Compared {
        model: "employment",
        version: "1.0",
        segment: "",
        window: day,
        budget,
    };
    compare(compared, reference, window, known)
}

fn decision_lower(drift: &FeatureDrift) -> f64 {
    drift.shift.as_ref().unwrap().decision_lower.unwrap()
}

#[test]
fn columns_are_counted_as_rows_are_profiled() {
    let Some((year, _)) = census() else { return };
    let mut rows: Vec<Vec<(String, Field)>> = Vec::new();
    each_row("employment_MA_reference.pq", |row| rows.push(row.to_vec()));
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let values = row.iter().filter_map(|(name, field)| match (name.as_str(), field) {
                ("prediction", Field::Long(label)) => Some((pseudo::PREDICTION_LABEL, json!(label.to_string()))),
                ("predicted_probability", Field::Double(score)) => Some((pseudo::PREDICTION_SCORE, json!(score))),
                (name, Field::Double(number)) => Some((name, json!(number))),
                (name, Field::Str(value)) => Some((name, json!(value))),
                _ => None,
            });
            serde_json::Map::from_iter(values.map(|(name, value)| (name.to_owned(), value)))
        })
        .map(|row| serde_json::Value::Object(row).to_string())
        .collect();
    let profile = profile::of_json_lines(lines.join("\n").as_bytes()).unwrap();
    assert_eq!(profile, year.profile());
    assert_eq!(profile.inferences, 68_785);
    assert_eq!(profile.features.len(), FEATURES + 2);
}

#[test]
fn anc_and_no_other_feature_drifted_from_2015_to_2018() {
    let Some((before, now)) = census() else { return };
    let (window, known) = (now.profile(), now.known());
    let mut order: Vec<usize> = (0..before.rows).collect();
    let mut reported: BTreeMap<BTreeSet<String>, u64> = BTreeMap::new();
    let mut bounds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut factors: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        order.shuffle(&mut rng);
        let reference = reference(before.profile(), dispersions(before, &order, &mut rng));
        let found = drifts(seed, &reference, &window, &known);
        assert_eq!(found.len(), FEATURES + 2);

        let features: Vec<&FeatureDrift> = found.iter().filter(|drift| drift.role == Role::Feature).collect();
        assert_eq!(features.len(), FEATURES);
        let drifted = features.iter().filter(|drift| decision_lower(drift) > THRESHOLD);
        *reported.entry(drifted.map(|drift| drift.feature.clone()).collect()).or_default() += 1;

        let mut by_value = features.clone();
        let value = |drift: &FeatureDrift| drift.shift.as_ref().unwrap().value;
        by_value.sort_by(|a, b| value(b).total_cmp(&value(a)));
        let first: Vec<&str> = by_value.iter().take(3).map(|drift| drift.feature.as_str()).collect();
        assert_eq!(first[0], "ANC", "{first:?}");
        assert_eq!(BTreeSet::from([first[1], first[2]]), BTreeSet::from(["AGEP", "SCHL"]), "{first:?}");

        for drift in &found {
            bounds.entry(drift.feature.clone()).or_default().push(decision_lower(drift));
            factors.entry(drift.feature.clone()).or_default().push(drift.dispersion);
            values.insert(drift.feature.clone(), value(drift));
        }
    }
    println!("2018 ({}) against 2015 ({}), {SEEDS} seeds, in %:", now.rows, before.rows);
    println!("feature           value | decision_lower: least median  most | dispersion: median most");
    for (feature, bounds) in &mut bounds {
        bounds.sort_by(f64::total_cmp);
        let factors = factors.get_mut(feature).unwrap();
        factors.sort_by(f64::total_cmp);
        let middle = bounds.len() / 2;
        println!(
            "{feature:<16} {:>6.2} | {:>21.2} {:>6.2} {:>5.2} | {:>18.2} {:>4.2}",
            100.0 * values[feature],
            100.0 * bounds[0],
            100.0 * bounds[middle],
            100.0 * bounds[bounds.len() - 1],
            factors[middle],
            factors[factors.len() - 1],
        );
    }
    println!("reported as drifted: {reported:?}");
    let only_anc = reported.get(&BTreeSet::from(["ANC".to_owned()])).copied().unwrap_or(0);
    assert!(only_anc >= 95, "ANC alone in {only_anc} of {SEEDS} seeds: {reported:?}");
}

#[test]
fn random_halves_of_a_year_differ_by_nothing() {
    const PAIRS: u64 = 200;
    const ALLOWED: f64 = 0.015;
    let Some((year, _)) = census() else { return };
    let known = year.known();
    let mut order: Vec<usize> = (0..year.rows).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(2015);
    let (mut above, mut feature_pairs, mut predictions_above) = (0_u64, 0_u64, 0_u64);
    for pair in 0..PAIRS {
        order.shuffle(&mut rng);
        let (first, second) = order.split_at(year.rows / 2);
        let reference = reference(year.profile_of(first), BTreeMap::new());
        for drift in drifts(pair, &reference, &year.profile_of(second), &known) {
            let is_above = drift.shift.unwrap().lower > 0.0;
            match drift.role {
                Role::Feature => {
                    feature_pairs += 1;
                    above += u64::from(is_above);
                }
                Role::Prediction => predictions_above += u64::from(is_above),
            }
        }
    }
    println!(
        "lower above 0: {above} of {feature_pairs} feature-pairs ({:.2} %), {predictions_above} of {} of predictions",
        100.0 * above as f64 / feature_pairs as f64,
        2 * PAIRS
    );
    assert_eq!(feature_pairs, PAIRS * FEATURES as u64);
    assert!(above as f64 <= ALLOWED * feature_pairs as f64, "{above} of {feature_pairs}");
}

#[test]
fn a_flag_that_goes_from_2_to_60_percent_is_found() {
    const ROWS: u64 = 2_000;
    let flags = |share: f64, is_number: bool| {
        let ones = (ROWS as f64 * share) as u64;
        let lines = (0..ROWS).map(|row| match (u8::from(row < ones), is_number) {
            (flag, true) => json!({"flag": flag}).to_string(),
            (flag, false) => json!({"flag": flag.to_string()}).to_string(),
        });
        profile::of_json_lines(lines.collect::<Vec<_>>().join("\n").as_bytes()).unwrap()
    };
    for is_number in [true, false] {
        let reference = reference(flags(0.02, is_number), BTreeMap::new());
        let known = BTreeSet::from(["flag".to_owned()]);
        for run in 0..SEEDS {
            let found = drifts(run, &reference, &flags(0.6, is_number), &known);
            let shift = found[0].shift.as_ref().unwrap();
            assert!((shift.value - 0.58).abs() < 0.02, "{}", shift.value);
            assert!(decision_lower(&found[0]) > 0.4, "{:?}", shift.decision_lower);
        }
    }
}
