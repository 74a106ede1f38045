//! Clusters in a sample of inferences.

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::samples::SampledInference;
use driftlead_store::clock::UnixNanos;
use driftlead_store::clusters::{CategoryAxis, Cluster, Clustering, NumberAxis, Space, squared_distance};
use driftlead_store::model_settings::ClustersOf;

use super::numbering::matched;
use super::typical::typical;
use crate::sampling::usual_kind;
use crate::stats::k_means::{Points, centres_of_best_number};

/// Inferences that it takes.
pub(super) const MIN_ROWS: usize = 500;
/// Clusters that are looked for at most.
const MAX_CLUSTERS: usize = 10;
/// The share of the inferences that a cluster has at least; a smaller one is no segment.
const MIN_SHARE: f64 = 0.01;
/// The share of a cluster's inferences that lie within its radius.
const WITHIN_RADIUS: f64 = 0.99;
/// Ids that are kept of each cluster.
const EXAMPLES: usize = 5;
/// Features that points are made of at most, of numbers and of categories.
const MAX_AXES: usize = 30;
/// Values of a feature that have a coordinate, the most frequent.
const MAX_VALUES: usize = 10;
/// The share of the inferences that have to have a feature.
const MIN_PRESENT: f64 = 0.5;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub of: ClustersOf,
    /// Clusters that are the same as ones of these keep their number.
    pub before: Option<&'a Clustering>,
    /// The number of the first cluster that is none of those.
    pub first_number: u32,
    /// Where the inferences were served.
    pub environment: &'a str,
    pub now: UnixNanos,
}

/// Looks for clusters.
pub(super) fn fit(rows: &[SampledInference], search: Search<'_>) -> Result<Clustering, String> {
    let Search {
        of,
        before,
        first_number,
        environment,
        now,
    } = search;
    let space = match of {
        ClustersOf::Embeddings => embeddings(rows),
        ClustersOf::Features => features(rows),
    }?;
    let (placed, points): (Vec<&SampledInference>, Vec<Vec<f32>>) = rows.iter().filter_map(|row| Some((row, space.point(row)?))).unzip();
    if placed.len() < MIN_ROWS {
        return Err(format!("{} inferences that can be placed: it takes {MIN_ROWS}", placed.len()));
    }
    let all = Points::of(points.concat(), space.dimensions()).map_err(|undefined| undefined.to_string())?;
    let mut centres = centres_of_best_number(&all, MAX_CLUSTERS).map_err(|undefined| undefined.to_string())?;
    let nearest = |centres: &[Vec<f32>]| -> Vec<(usize, f32)> { points.iter().map(|point| nearest(point, centres)).collect() };
    let mut counts = vec![0_usize; centres.len()];
    nearest(&centres).iter().for_each(|(cluster, _)| counts[*cluster] += 1);
    let mut large = counts.iter().map(|count| *count as f64 >= MIN_SHARE * points.len() as f64);
    centres.retain(|_| large.next().unwrap_or(false));
    let of_row = nearest(&centres);

    let indices: Vec<usize> = of_row.iter().map(|(cluster, _)| *cluster).collect();
    let old: Vec<Option<u32>> = placed.iter().map(|row| old_number(before?, row)).collect();
    let numbers = matched(&old, &indices, centres.len());
    let told = {
        let of_row: Vec<Option<usize>> = indices.iter().map(|index| Some(*index)).collect();
        typical(&placed, &of_row, centres.len())
    };
    let mut clusters: Vec<(Option<u32>, Cluster)> = centres
        .into_iter()
        .zip(told)
        .enumerate()
        .map(|(index, (centre, typical))| {
            let mut members: Vec<(f32, &str)> = of_row
                .iter()
                .zip(&placed)
                .filter(|((cluster, _), _)| *cluster == index)
                .map(|((_, distance), row)| (*distance, row.request_id.as_str()))
                .collect();
            members.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(other.1)));
            let cluster = Cluster {
                number: 0,
                centre,
                radius: radius(&members),
                share: members.len() as f64 / points.len() as f64,
                found_at: now,
                typical,
                examples: members.iter().take(EXAMPLES).map(|(_, id)| (*id).to_owned()).collect(),
            };
            (numbers[index], cluster)
        })
        .collect();
    // New numbers go to the largest first.
    clusters.sort_by(|one, other| other.1.share.total_cmp(&one.1.share));
    let mut next_number = first_number;
    for (kept, cluster) in &mut clusters {
        cluster.number = kept.unwrap_or_else(|| {
            next_number += 1;
            next_number - 1
        });
    }
    let mut clusters: Vec<Cluster> = clusters.into_iter().map(|(_, cluster)| cluster).collect();
    clusters.sort_by_key(|cluster| cluster.number);
    Ok(Clustering {
        space,
        fitted_at: now,
        sampled: points.len() as u64,
        environment: environment.to_owned(),
        clusters,
        next_number,
    })
}

/// The number of the old cluster within whose radius an inference lies: what merely lies nearest to it may be new.
fn old_number(before: &Clustering, row: &SampledInference) -> Option<u32> {
    let point = before.space.point(row)?;
    let (cluster, distance) = before.nearest(&point)?;
    (distance <= cluster.radius).then_some(cluster.number)
}

/// The distance within which nearly all of these lie, which ascend.
pub(super) fn radius(members: &[(f32, &str)]) -> f32 {
    let last = (members.len() as f64 * WITHIN_RADIUS).ceil() as usize;
    members.get(last.saturating_sub(1)).map_or(0.0, |(distance, _)| *distance)
}

fn nearest(point: &[f32], centres: &[Vec<f32>]) -> (usize, f32) {
    let distances = centres.iter().map(|centre| squared_distance(point, centre)).enumerate();
    let (index, squared) = distances.min_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or((0, 0.0));
    (index, squared.sqrt())
}

/// Of the most frequent length and encoder.
fn embeddings(rows: &[SampledInference]) -> Result<Space, String> {
    let (dimensions, encoder) = usual_kind(rows).ok_or("the inferences have no embeddings")?;
    Ok(Space::Embeddings {
        encoder: encoder.to_owned(),
        dimensions,
    })
}

/// Of the features that at least half of the inferences have and that differ.
fn features(rows: &[SampledInference]) -> Result<Space, String> {
    let enough = MIN_PRESENT * rows.len() as f64;
    let mut numbers: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut values: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in rows {
        for (name, number) in row.numeric_features.iter().filter(|(_, number)| number.is_finite()) {
            numbers.entry(name).or_default().push(*number);
        }
        for (name, value) in &row.categorical_features {
            *values.entry(name).or_default().entry(value).or_default() += 1;
        }
    }
    let number_axis = |(feature, numbers): (&str, Vec<f64>)| {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let standard_deviation = (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / n).sqrt();
        (n >= enough && standard_deviation > 0.0 && standard_deviation.is_finite()).then(|| NumberAxis {
            feature: feature.to_owned(),
            mean,
            standard_deviation,
        })
    };
    let category_axis = |(feature, counts): (&str, BTreeMap<&str, usize>)| {
        let n = counts.values().sum::<usize>() as f64;
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        counts.truncate(MAX_VALUES);
        // The variances of the coordinates together are those of a number.
        let variance: f64 = counts
            .iter()
            .map(|(_, count)| *count as f64 / n)
            .map(|share| share * (1.0 - share))
            .sum();
        (n >= enough && variance > 0.0).then(|| CategoryAxis {
            feature: feature.to_owned(),
            values: counts.into_iter().map(|(value, _)| value.to_owned()).collect(),
            height: 1.0 / variance.sqrt(),
        })
    };
    let numbers: Vec<NumberAxis> = numbers.into_iter().filter_map(number_axis).take(MAX_AXES).collect();
    let categories: Vec<CategoryAxis> = values.into_iter().filter_map(category_axis).take(MAX_AXES).collect();
    if numbers.is_empty() && categories.is_empty() {
        return Err("the inferences have no features that differ, or fewer than half of them have any".to_owned());
    }
    Ok(Space::Features { numbers, categories })
}

#[cfg(test)]
pub(super) mod tests {
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Inferences with embeddings around places in eight dimensions, each place as often as it says, in any order.
    pub fn rows(places: &[(usize, f32, usize)], seed: u64) -> Vec<SampledInference> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut rows: Vec<SampledInference> = Vec::new();
        for &(axis, at, count) in places {
            for _ in 0..count {
                let noise = |random: &mut ChaCha8Rng| (0..6).map(|_| random.random::<f32>() - 0.5).sum::<f32>() / 6.0;
                let mut embedding: Vec<f32> = (0..8).map(|_| noise(&mut random)).collect();
                embedding[axis] += at;
                rows.push(SampledInference {
                    request_id: format!("{seed}-{}", rows.len()),
                    categorical_features: vec![("topic".to_owned(), format!("{axis} {at}"))],
                    numeric_features: vec![("size".to_owned(), f64::from(at) * 10.0 + random.random::<f64>())],
                    embedding,
                    embedding_model: "e".to_owned(),
                    ..SampledInference::default()
                });
            }
        }
        rows.shuffle(&mut random);
        rows
    }

    fn anything(of: ClustersOf) -> Search<'static> {
        Search {
            of,
            before: None,
            first_number: 1,
            environment: "production",
            now: UnixNanos(1),
        }
    }

    pub fn of_embeddings(places: &[(usize, f32, usize)], before: Option<&Clustering>, seed: u64) -> Clustering {
        let search = Search {
            before,
            first_number: before.map_or(1, |before| before.next_number),
            ..anything(ClustersOf::Embeddings)
        };
        fit(&rows(places, seed), search).unwrap()
    }

    #[test]
    fn clusters_are_numbered_by_size_and_say_what_is_typical() {
        let found = of_embeddings(&[(0, 1.0, 300), (1, 1.0, 500), (2, 1.0, 200)], None, 1);
        let numbered: Vec<(u32, f64)> = found.clusters.iter().map(|cluster| (cluster.number, cluster.share)).collect();
        assert_eq!(numbered, [(1, 0.5), (2, 0.3), (3, 0.2)]);
        assert_eq!(
            (found.next_number, found.sampled, found.environment.as_str()),
            (4, 1_000, "production")
        );
        assert!(matches!(&found.clusters[1].typical[0], driftlead_store::clusters::Typical::Value { value, .. } if value == "0 1"));
        assert!(
            found
                .clusters
                .iter()
                .all(|cluster| cluster.examples.len() == 5 && cluster.radius > 0.0 && cluster.radius < 1.0)
        );
    }

    #[test]
    fn a_new_search_keeps_the_numbers_of_what_is_still_there() {
        let before = of_embeddings(&[(0, 1.0, 300), (1, 1.0, 500), (2, 1.0, 200)], None, 1);
        let after = of_embeddings(&[(0, 1.0, 600), (2, 1.0, 200), (3, 1.0, 250)], Some(&before), 2);
        let numbered: Vec<u32> = after.clusters.iter().map(|cluster| cluster.number).collect();
        assert_eq!((numbered, after.next_number), (vec![2, 3, 4], 5));
        let of = |row: &SampledInference| after.number_of(row);
        assert_eq!(of(&rows(&[(0, 1.0, 1)], 9)[0]), Some(2));
        assert_eq!(of(&rows(&[(3, 1.0, 1)], 9)[0]), Some(4));
    }

    #[test]
    fn features_are_told_apart_too() {
        let sample = rows(&[(0, 1.0, 400), (1, 5.0, 300)], 3);
        let search = Search {
            first_number: 4,
            ..anything(ClustersOf::Features)
        };
        let found = fit(&sample, search).unwrap();
        assert_eq!((found.clusters[0].number, found.next_number), (4, 6));
        assert_eq!(
            found.clusters.iter().map(|cluster| cluster.share).collect::<Vec<_>>(),
            [400.0 / 700.0, 300.0 / 700.0]
        );
        assert_eq!(found.space.dimensions(), 3);
    }

    #[test]
    fn what_has_no_clusters_says_why() {
        let because = |rows: &[SampledInference], of| fit(rows, anything(of)).unwrap_err();
        assert!(because(&rows(&[(0, 1.0, 499)], 1), ClustersOf::Embeddings).contains("it takes 500"));
        assert!(because(&vec![SampledInference::default(); 600], ClustersOf::Embeddings).contains("no embeddings"));
        assert!(because(&vec![SampledInference::default(); 600], ClustersOf::Features).contains("no features"));
    }
}
