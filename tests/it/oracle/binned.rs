//! Statistics of shares agree with SciPy; bins with numpy; other libraries' verdicts with those libraries.

use std::collections::BTreeMap;

use driftlead_analyzer::stats::binning::{BUCKETING, Edges, Floor, Table};
use driftlead_analyzer::stats::chi_square::{Contingency, Correction};
use driftlead_analyzer::stats::compatible::{Drift, Library};
use driftlead_analyzer::stats::jensen_shannon::Base;
use driftlead_analyzer::stats::sample::Sample;
use driftlead_analyzer::stats::{
    chi_square, g_test, hellinger, jensen_shannon, kullback_leibler, l_infinity, population_stability_index, total_variation,
};
use driftlead_store::bucket;
use serde::Deserialize;

use super::{cases, check};

/// Relative, where both sides do the same.
const SAME: f64 = 1e-9;
/// Of the square of a distance: SciPy's terms of a divergence cancel to 1e-16 where samples are equal, and what is left of a
/// sum of shares, 1e-16, is a bin to NannyML.
const ROUNDING_OF_SQUARES: f64 = 1e-15;
/// Of distances themselves: its root.
const ROOT_OF_ROUNDING: f64 = 4e-8;

/// For each row: SciPy's likelihood ratio is a sum of terms as large as the counts, which cancel (of 4e9 rows it is 5.7e-9 off
/// what rational numbers give, ours 1.6e-12).
const ROUNDING_OF_COUNTS: f64 = 1e-17;

#[track_caller]
fn check_same(what: impl std::fmt::Debug, found: f64, expected: f64) {
    check(what, found, expected, SAME * expected.abs().max(f64::MIN_POSITIVE));
}

/// The squares are the same but for rounding.
#[track_caller]
fn check_distance(what: impl std::fmt::Debug, found: f64, expected: f64) {
    let (found, expected) = (found * found, expected * expected);
    check(what, found, expected, SAME * expected + ROUNDING_OF_SQUARES);
}

/// Rows, or how to draw them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Rows {
    Given {
        rows: Vec<f64>,
    },
    Drawn {
        kind: String,
        n: usize,
        seed: u64,
        scale: f64,
        shift: f64,
    },
}

impl Rows {
    /// As tests/oracle/binned.py draws them.
    fn all(&self) -> Vec<f64> {
        match self {
            Self::Given { rows } => rows.clone(),
            Self::Drawn {
                kind,
                n,
                seed,
                scale,
                shift,
            } => {
                let mut state = *seed;
                let mut uniform = || {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) as f64 / f64::from(1_u32 << 31)
                };
                let mut one = || {
                    if kind == "uniform" {
                        return uniform();
                    }
                    let bell = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
                    match kind.as_str() {
                        "bell" => bell,
                        "tenths" => (bell * 10.0).floor() / 10.0,
                        "whole" => bell.floor(),
                        "heavy" => bell / (uniform() + 0.0009765625),
                        other => panic!("{other} is not drawn"),
                    }
                };
                (0..*n).map(|_| one() * scale + shift).collect()
            }
        }
    }

    fn sample(&self) -> Sample {
        Sample::of_rows(&self.all()).unwrap()
    }

    /// The same rows as a profile keeps them.
    fn of_buckets(&self) -> Sample {
        let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
        self.all()
            .into_iter()
            .for_each(|row| *buckets.entry(bucket::key_of(row).unwrap()).or_default() += 1);
        Sample::of_buckets(buckets).unwrap()
    }
}

/// Counts of bins, and what a library answers.
#[derive(Debug, Deserialize)]
struct OfTable<T> {
    reference: Vec<u64>,
    current: Vec<u64>,
    #[serde(flatten)]
    expected: T,
}

#[derive(Debug, Deserialize)]
struct Value {
    value: Option<f64>,
}

impl<T> OfTable<T> {
    fn table(&self) -> Table {
        let categories = |counts: &[u64]| {
            counts
                .iter()
                .enumerate()
                .map(|(at, n)| (at.to_string(), *n))
                .collect::<BTreeMap<_, _>>()
        };
        Table::of_categories(&categories(&self.reference), &categories(&self.current)).unwrap()
    }

    fn what(&self) -> String {
        let shown = |counts: &[u64]| counts.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(" ");
        format!("{} against {}", shown(&self.current), shown(&self.reference))
    }
}

#[test]
fn bins_agree_with_numpy() {
    #[derive(Deserialize)]
    struct Case {
        reference: Rows,
        current: Rows,
        deciles: Bins,
        sturges: Bins,
        doane: Bins,
    }
    #[derive(Deserialize)]
    struct Bins {
        edges: Vec<f64>,
        reference: Vec<u64>,
        current: Vec<u64>,
    }
    for case in cases::<Case>(include_str!("../../oracle/binning.json")) {
        let (reference, current) = (case.reference.sample(), case.current.sample());
        let check_edges = |found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len(), "{:?}", case.reference);
            found
                .iter()
                .zip(expected)
                .for_each(|(found, expected)| check_same("edge", *found, *expected));
        };
        let check_counts = |edges: &Edges, expected: &Bins| {
            let bins = expected.reference.len();
            assert_eq!(edges.counts(&reference)[..bins], expected.reference);
            assert_eq!(edges.counts(&current)[..bins], expected.current);
        };
        let deciles = Edges::deciles(&reference);
        check_edges(deciles.inner(), &case.deciles.edges);
        check_counts(&deciles, &case.deciles);
        let doane = Edges::doane(&reference);
        let (low, high) = doane.range().unwrap();
        check_edges(&[&[low], doane.inner(), &[high]].concat(), &case.doane.edges);
        check_counts(&doane, &case.doane);
        let outside = doane.counts(&current)[case.doane.current.len()];
        assert_eq!(outside, current.n() - case.doane.current.iter().sum::<u64>());
        let sturges = Edges::sturges(&reference, &current);
        check_edges(sturges.inner(), &case.sturges.edges[1..case.sturges.edges.len() - 1]);
        check_counts(&sturges, &case.sturges);
    }
}

#[test]
fn stability_agrees_with_its_definition() {
    for case in cases::<OfTable<Value>>(include_str!("../../oracle/population_stability_index.json")) {
        let found = population_stability_index::index(&case.table(), Floor::OfAll);
        check_nearly(case.what(), found, case.expected.value.unwrap());
    }
}

#[test]
fn divergence_agrees_with_scipy_and_is_undefined_where_that_is_infinite() {
    for case in cases::<OfTable<Value>>(include_str!("../../oracle/kullback_leibler.json")) {
        match (kullback_leibler::divergence(&case.table()), case.expected.value) {
            (Ok(found), Some(expected)) => check_nearly(case.what(), found, expected),
            (Err(_), None) => {}
            (found, expected) => panic!("{}: {found:?} instead of {expected:?}", case.what()),
        }
    }
}

#[test]
fn jensen_shannon_agrees_with_scipy() {
    #[derive(Debug, Deserialize)]
    struct Distances {
        bits: f64,
        nats: f64,
    }
    for case in cases::<OfTable<Distances>>(include_str!("../../oracle/jensen_shannon.json")) {
        check_distance(case.what(), jensen_shannon::distance(&case.table(), Base::Two), case.expected.bits);
        check_distance(case.what(), jensen_shannon::distance(&case.table(), Base::E), case.expected.nats);
    }
}

#[test]
fn distances_of_shares_agree_with_scipy() {
    let check_all = |json: &str, distance: fn(&Table) -> f64| {
        for case in cases::<OfTable<Value>>(json) {
            check_nearly(case.what(), distance(&case.table()), case.expected.value.unwrap());
        }
    };
    check_all(include_str!("../../oracle/hellinger.json"), hellinger::distance);
    check_all(include_str!("../../oracle/total_variation.json"), total_variation::distance);
    check_all(include_str!("../../oracle/l_infinity.json"), l_infinity::distance);
}

/// The same, or equal but for the rounding of shares that SciPy subtracts.
#[track_caller]
fn check_nearly(what: impl std::fmt::Debug, found: f64, expected: f64) {
    const ROUNDING_OF_SHARES: f64 = 1e-15;
    check(what, found, expected, (SAME * expected.abs()).max(ROUNDING_OF_SHARES));
}

#[derive(Debug, Deserialize)]
struct Tests {
    uncorrected: Tested,
    corrected: Tested,
    #[serde(default)]
    with_the_reference_as_truth: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Tested {
    statistic: f64,
    degrees: u64,
    p: f64,
}

#[track_caller]
fn check_test(what: &str, n: u64, found: Contingency, expected: &Tested) {
    assert_eq!(found.degrees_of_freedom, expected.degrees, "{what}");
    let tolerance = SAME * expected.statistic.max(1.0) + ROUNDING_OF_COUNTS * n as f64;
    check(what, found.statistic, expected.statistic, tolerance);
    check(what, found.p, expected.p, (SAME + tolerance) * expected.p);
}

#[test]
fn contingency_tests_agree_with_scipy() {
    for case in cases::<OfTable<Tests>>(include_str!("../../oracle/chi_square.json")) {
        let (what, table) = (case.what(), case.table());
        let n = table.reference_n() + table.current_n();
        check_test(&what, n, chi_square::test(&table, Correction::None), &case.expected.uncorrected);
        check_test(&what, n, chi_square::test(&table, Correction::Yates), &case.expected.corrected);
        match (
            chi_square::p_with_the_reference_as_truth(&table),
            case.expected.with_the_reference_as_truth,
        ) {
            (Ok(found), Some(expected)) => check_same(what, found, expected),
            (Err(_), None) => {}
            (found, expected) => panic!("{what}: {found:?} instead of {expected:?}"),
        }
    }
    for case in cases::<OfTable<Tests>>(include_str!("../../oracle/g_test.json")) {
        let (what, table) = (case.what(), case.table());
        let n = table.reference_n() + table.current_n();
        check_test(&what, n, g_test::test(&table, Correction::None), &case.expected.uncorrected);
        check_test(&what, n, g_test::test(&table, Correction::Yates), &case.expected.corrected);
    }
}

#[test]
fn tails_of_chi_square_agree_with_scipy() {
    for case in cases::<Tested>(include_str!("../../oracle/chi_square_tail.json")) {
        check_same(&case, chi_square::upper_tail(case.statistic, case.degrees), case.p);
    }
}

/// What a library says of a column.
#[derive(Debug, Deserialize)]
struct Verdict {
    method: String,
    score: f64,
    threshold: Option<f64>,
    drift: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Column {
    Categories {
        reference: BTreeMap<String, u64>,
        current: BTreeMap<String, u64>,
        /// Of the reference, as long as the window. Those of numbers are cut here.
        #[serde(default)]
        chunks: Vec<BTreeMap<String, u64>>,
    },
    Numbers {
        reference: Rows,
        current: Rows,
    },
}

impl Column {
    fn verdict(&self, library: Library) -> Drift {
        match self {
            Self::Categories {
                reference,
                current,
                chunks,
            } => library.of_categories(reference, chunks, current).unwrap(),
            Self::Numbers { reference, current } => {
                let current = current.sample();
                let rows = reference.all();
                let chunks: Vec<Sample> = rows
                    .chunks(current.n() as usize)
                    .map(|chunk| Sample::of_rows(chunk).unwrap())
                    .collect();
                library.of_numbers(&reference.sample(), &chunks, &current).unwrap()
            }
        }
    }

    fn table(&self, library: Library) -> Table {
        match self {
            Self::Categories { reference, current, .. } => Table::of_categories(reference, current).unwrap(),
            Self::Numbers { reference, current } => library.table_of_numbers(&reference.sample(), &current.sample()),
        }
    }
}

#[track_caller]
fn check_verdict(column: &Column, library: Library, expected: &Verdict) {
    let found = column.verdict(library);
    assert_eq!(found.method.name(), expected.method, "{column:?}");
    if expected.method.starts_with("jensen") {
        check_distance(column, found.score, expected.score);
    } else {
        // Its z-test subtracts a probability from 1.
        check(column, found.score, expected.score, SAME * expected.score + 1e-15);
    }
    match expected.threshold {
        Some(threshold) => {
            check(column, found.threshold, threshold, ROOT_OF_ROUNDING);
            assert_eq!(found.is_drift, expected.drift, "{column:?}");
        }
        // SciPy's divergence of a reference from itself can be -1e-17, whose root is NaN, and with it NannyML's threshold,
        // which nothing exceeds. It is 0.
        None => check(column, found.threshold, 0.0, 0.0),
    }
}

#[test]
fn verdicts_agree_with_evidently() {
    #[derive(Debug, Deserialize)]
    struct Case {
        #[serde(flatten)]
        column: Column,
        verdict: Verdict,
        psi: f64,
        kl_div: f64,
        jensenshannon: f64,
    }
    for case in cases::<Case>(include_str!("../../oracle/compatible_evidently.json")) {
        check_verdict(&case.column, Library::Evidently, &case.verdict);
        let table = case.column.table(Library::Evidently);
        let what = &case.column;
        check_nearly(what, population_stability_index::index(&table, Floor::OfEmpty), case.psi);
        check_nearly(what, kullback_leibler::floored(&table, Floor::OfEmpty), case.kl_div);
        check_distance(what, jensen_shannon::distance(&table, Base::E), case.jensenshannon);
    }
}

#[test]
fn verdicts_agree_with_nannyml() {
    #[derive(Debug, Deserialize)]
    struct Case {
        #[serde(flatten)]
        column: Column,
        verdict: Verdict,
        hellinger: f64,
        chi2: Option<f64>,
        l_infinity: Option<f64>,
    }
    for case in cases::<Case>(include_str!("../../oracle/compatible_nannyml.json")) {
        check_verdict(&case.column, Library::Nannyml, &case.verdict);
        let table = case.column.table(Library::Nannyml);
        let what = &case.column;
        check_distance(what, hellinger::distance(&table), case.hellinger);
        if let Some(chi2) = case.chi2 {
            check(what, chi_square::test(&table, Correction::Yates).statistic, chi2, SAME * chi2);
        }
        if let Some(expected) = case.l_infinity {
            check_nearly(what, l_infinity::distance(&table), expected);
        }
    }
}

/// A row that a profile's buckets count on the other side of an edge lies as near to it as the buckets are wide: its own and
/// those of the reference's two values that the edge was made of.
#[test]
fn buckets_move_rows_across_an_edge_only_from_near_it() {
    #[derive(Deserialize)]
    struct Case {
        reference: Rows,
        current: Rows,
    }
    let mut largest = 0.0_f64;
    for case in cases::<Case>(include_str!("../../oracle/binning.json")) {
        let table = |reference: Sample, current: Sample| Table::of_numbers(&Edges::deciles(&reference), &reference, &current);
        let exact = table(case.reference.sample(), case.current.sample());
        let bucketed = table(case.reference.of_buckets(), case.current.of_buckets());
        let near =
            share_near_edges(&case.reference.all(), &case.reference.all()) + share_near_edges(&case.reference.all(), &case.current.all());
        for distance in [total_variation::distance, l_infinity::distance] {
            let moved = (distance(&exact) - distance(&bucketed)).abs();
            largest = largest.max(moved);
            assert!(moved <= near + 1e-12, "{:?}: {moved} {near}", case.reference);
        }
    }
    println!("at most {largest:.4}");
}

/// The share of rows that lie near to a decile of the reference, counted once for each.
fn share_near_edges(reference: &[f64], rows: &[f64]) -> f64 {
    let mut sorted = reference.to_vec();
    sorted.sort_by(f64::total_cmp);
    let near_to = |tenth: u32| {
        let rank = f64::from(tenth) / 10.0 * (sorted.len() - 1) as f64;
        let ends = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
        let (edge, size) = (ends.0 + (ends.1 - ends.0) * rank.fract(), ends.0.abs().max(ends.1.abs()));
        rows.iter()
            .filter(|row| (*row - edge).abs() <= BUCKETING * (row.abs() + size) * 1.001)
            .count()
    };
    (1..10).map(near_to).sum::<usize>() as f64 / rows.len() as f64
}
