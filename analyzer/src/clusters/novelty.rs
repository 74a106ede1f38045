//! Whether inferences lie where no cluster is, close together.

use driftlead_store::clickhouse::query::samples::SampledInference;
use driftlead_store::clock::UnixNanos;
use driftlead_store::clusters::{Cluster, Clustering, squared_distance};

use super::fit::radius;
use super::is_new;
use super::typical::typical;
use crate::stats::k_means::{Points, centres};
use crate::stats::wilson;

/// The share of the inferences that surely lie in a new cluster: twice what lies outside of all clusters by chance.
const MIN_SHARE: f64 = 0.02;
/// How sure that has to be, in standard deviations: one error in ten thousand looks.
const Z: f64 = 3.719;
/// Groups that are looked for among what lies outside.
const MAX_GROUPS: usize = 3;
/// Clusters of a model at most.
const MAX_CLUSTERS: usize = 50;
const EXAMPLES: usize = 5;

/// What was seen of a sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Novelty {
    /// Inferences that could be placed.
    pub n: u64,
    /// Those that belong to a cluster that is new, the one that was found among them.
    pub in_new: u64,
    /// Numbers of the clusters that are new already.
    pub new: Vec<u32>,
    /// A cluster that nobody knew.
    pub found: Option<NewCluster>,
}

/// A cluster before it has a number.
pub(crate) type NewCluster = Cluster;

/// Looks for a new cluster in a sample.
///
/// Of the inferences that lie outside of the radius of their cluster, 1 % by chance, groups are made by k-means. A group is a cluster
/// where its centre lies outside of all others and, surely, more than twice that many lie as close to it as those of other clusters to
/// theirs. Where all inferences spread, the centre of what lies outside is that of the cluster, and none is found.
pub(crate) fn look(clustering: &Clustering, rows: &[SampledInference], now: UnixNanos) -> Novelty {
    let placed: Vec<(&SampledInference, Vec<f32>)> = rows.iter().filter_map(|row| Some((row, clustering.space.point(row)?))).collect();
    let new: Vec<u32> = clustering
        .clusters
        .iter()
        .filter(|cluster| is_new(clustering, cluster, now))
        .map(|cluster| cluster.number)
        .collect();
    let mut novelty = Novelty {
        n: placed.len() as u64,
        new: new.clone(),
        ..Novelty::default()
    };
    let mut outside: Vec<usize> = Vec::new();
    for (index, (_, point)) in placed.iter().enumerate() {
        let Some((cluster, distance)) = clustering.nearest(point) else {
            continue;
        };
        if distance > cluster.radius {
            outside.push(index);
        } else {
            novelty.in_new += u64::from(new.contains(&cluster.number));
        }
    }
    let group = largest_group(clustering, &placed, &outside);
    if let Some((centre, members)) = group.filter(|_| clustering.clusters.len() < MAX_CLUSTERS) {
        novelty.in_new += members.len() as u64;
        novelty.found = Some(cluster_of(centre, &members, &placed, now));
    }
    novelty
}

/// The centre of the largest group outside of all clusters that is large enough, and its members.
fn largest_group(clustering: &Clustering, placed: &[(&SampledInference, Vec<f32>)], outside: &[usize]) -> Option<(Vec<f32>, Vec<usize>)> {
    let is_enough = |count: usize| wilson::bounds(count as f64, placed.len() as f64, Z).lower > MIN_SHARE;
    if !is_enough(outside.len()) {
        return None;
    }
    let mut radii: Vec<f32> = clustering.clusters.iter().map(|cluster| cluster.radius).collect();
    radii.sort_by(f32::total_cmp);
    let reach = *radii.get(radii.len() / 2)?;
    let values: Vec<f32> = outside.iter().flat_map(|&index| placed[index].1.iter().copied()).collect();
    let points = Points::of(values, clustering.space.dimensions()).ok()?;
    let mut best: Option<(Vec<f32>, Vec<usize>)> = None;
    for groups in 1..=MAX_GROUPS {
        for centre in centres(&points, groups).unwrap_or_default() {
            let is_outside = clustering
                .nearest(&centre)
                .is_some_and(|(cluster, distance)| distance > cluster.radius);
            if !is_outside {
                continue;
            }
            let is_near = |index: &usize| squared_distance(&placed[*index].1, &centre).sqrt() <= reach;
            let members: Vec<usize> = outside.iter().copied().filter(is_near).collect();
            if is_enough(members.len()) && best.as_ref().is_none_or(|(_, most)| members.len() > most.len()) {
                best = Some((centre, members));
            }
        }
    }
    best
}

fn cluster_of(centre: Vec<f32>, members: &[usize], placed: &[(&SampledInference, Vec<f32>)], now: UnixNanos) -> NewCluster {
    let mut distances: Vec<(f32, &str)> = members
        .iter()
        .map(|&index| {
            (
                squared_distance(&placed[index].1, &centre).sqrt(),
                placed[index].0.request_id.as_str(),
            )
        })
        .collect();
    distances.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(other.1)));
    let rows: Vec<&SampledInference> = placed.iter().map(|(row, _)| *row).collect();
    let mut of_row = vec![None; rows.len()];
    members.iter().for_each(|&index| of_row[index] = Some(0));
    NewCluster {
        number: 0,
        centre,
        radius: radius(&distances),
        share: members.len() as f64 / placed.len() as f64,
        found_at: now,
        typical: typical(&rows, &of_row, 1).pop().unwrap_or_default(),
        examples: distances.iter().take(EXAMPLES).map(|(_, id)| (*id).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fit::tests::{of_embeddings, rows};
    use super::*;

    const USUAL: [(usize, f32, usize); 3] = [(0, 1.0, 1_500), (1, 1.0, 2_000), (2, 1.0, 500)];

    fn window(more: &[(usize, f32, usize)], seed: u64) -> Vec<SampledInference> {
        let usual = [(0, 1.0, 700), (1, 1.0, 1_000), (2, 1.0, 300)];
        rows(&[usual.as_slice(), more].concat(), seed)
    }

    #[test]
    fn where_nothing_is_new_nothing_is_found() {
        let clustering = of_embeddings(&USUAL, None, 1);
        for seed in 100..160 {
            let seen = look(&clustering, &window(&[], seed), UnixNanos(2));
            assert_eq!((seen.n, seen.in_new, seen.found), (2_000, 0, None), "{seed}");
        }
        // More of a known cluster is no new one.
        let seen = look(&clustering, &window(&[(2, 1.0, 2_000)], 7), UnixNanos(2));
        assert_eq!(seen.found, None);
    }

    #[test]
    fn a_new_cluster_is_found_told_and_then_known() {
        let clustering = of_embeddings(&USUAL, None, 1);
        for seed in 200..220 {
            let seen = look(&clustering, &window(&[(5, 1.0, 120)], seed), UnixNanos(2));
            let found = seen.found.unwrap_or_else(|| panic!("{seed}: nothing found"));
            assert!(
                (100..=140).contains(&seen.in_new) && (found.share - 0.0566).abs() < 0.01,
                "{seed}: {}",
                seen.in_new
            );
            assert!(matches!(&found.typical[0], driftlead_store::clusters::Typical::Value { value, .. } if value == "5 1"));
            let mut known = clustering.clone();
            known.clusters.push(Cluster { number: 9, ..found });
            let again = look(&known, &window(&[(5, 1.0, 120)], seed + 1_000), UnixNanos(3));
            assert!(
                again.found.is_none() && again.new == [9] && (90..=130).contains(&again.in_new),
                "{again:?}"
            );
        }
    }
}
