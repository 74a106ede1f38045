//! Which of the clusters that are found anew are ones that there were, so that numbers stay what they are.

use std::collections::{BTreeMap, BTreeSet};

/// Inferences of an old and a new cluster in common, as a share of those of either, from which on both are the same one.
const MIN_OVERLAP: f64 = 0.3;

/// For each of `clusters` new clusters the number of the old one that it is, by what rows both hold; `None` where it is none of them. `old`
/// are the numbers of each row's old cluster, `new` the indices of its new one. Each old number is given once, the best match first.
pub(super) fn matched(old: &[Option<u32>], new: &[usize], clusters: usize) -> Vec<Option<u32>> {
    let mut both: BTreeMap<(usize, u32), f64> = BTreeMap::new();
    let (mut of_old, mut of_new): (BTreeMap<u32, f64>, BTreeMap<usize, f64>) = (BTreeMap::new(), BTreeMap::new());
    for (old, &new) in old.iter().zip(new) {
        *of_new.entry(new).or_default() += 1.0;
        if let Some(old) = *old {
            *of_old.entry(old).or_default() += 1.0;
            *both.entry((new, old)).or_default() += 1.0;
        }
    }
    let mut pairs: Vec<(f64, usize, u32)> = both
        .into_iter()
        .map(|((new, old), count)| (count / (of_new[&new] + of_old[&old] - count), new, old))
        .filter(|(overlap, ..)| *overlap >= MIN_OVERLAP)
        .collect();
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| (one.1, one.2).cmp(&(other.1, other.2))));
    let (mut found, mut given) = (vec![None; clusters], BTreeSet::new());
    for (_, new, old) in pairs {
        if found.get(new) == Some(&None) && given.insert(old) {
            found[new] = Some(old);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_keeps_its_number_where_most_of_it_is_what_it_was() {
        // Old 5 stays, old 7 is split: its larger part keeps the number; old 9 is gone.
        let old: Vec<Option<u32>> = [vec![Some(5); 40], vec![Some(7); 60], vec![Some(9); 5], vec![None; 20]].concat();
        let new: Vec<usize> = [vec![0; 38], vec![1; 2], vec![1; 40], vec![2; 20], vec![0; 5], vec![3; 20]].concat();
        assert_eq!(matched(&old, &new, 4), [Some(5), Some(7), None, None]);
        assert_eq!(matched(&[], &[], 2), [None, None]);
    }

    #[test]
    fn a_number_is_given_once() {
        let old = vec![Some(1); 100];
        let new: Vec<usize> = (0..100).map(|row| usize::from(row >= 55)).collect();
        assert_eq!(matched(&old, &new, 2), [Some(1), None]);
    }
}
