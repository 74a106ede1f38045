//! k-means (Lloyd 1982, started by k-means++ of Arthur and Vassilvitskii 2007), and how many clusters there are.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::KMeans;
use ndarray::Array2;

use super::Undefined;

/// Starts of which the best is kept: any one may end in a poor place.
const STARTS: usize = 5;
/// Steps of one start at most.
const MAX_STEPS: u64 = 50;
/// Rows by which it is decided how many clusters there are: with so many a silhouette is known to a hundredth.
const ROWS_TO_CHOOSE_BY: usize = 1_000;

/// Rows of one length, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    values: Vec<f32>,
    dimensions: usize,
}

impl Points {
    /// Every `dimensions` values are a point.
    ///
    /// # Errors
    /// The values do not divide into points, or one of them is NaN or infinite.
    pub fn of(values: Vec<f32>, dimensions: usize) -> Result<Self, Undefined> {
        if dimensions == 0 || !values.len().is_multiple_of(dimensions) {
            return Err(Undefined::because(format!(
                "{} values are not points of {dimensions} numbers each",
                values.len()
            )));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Undefined::because("a value is not finite"));
        }
        Ok(Self { values, dimensions })
    }

    /// How many points.
    pub fn count(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimensions)
    }

    /// The first so many of them.
    fn first(&self, count: usize) -> Self {
        Self {
            values: self.values[..count.min(self.count()) * self.dimensions].to_vec(),
            dimensions: self.dimensions,
        }
    }
}

/// The centres of `k` clusters: those of the best of five starts, by the sum of the squared distances to the nearest centre. The same
/// points give the same centres. It is linfa's, which agrees with `sklearn.cluster.KMeans` up to the start.
///
/// # Errors
/// There are fewer points than clusters, or no clusters are asked for.
pub fn centres(points: &Points, k: usize) -> Result<Vec<Vec<f32>>, Undefined> {
    if k == 0 || points.count() < k {
        return Err(Undefined::because(format!("{} points have no {k} clusters", points.count())));
    }
    let shape = (points.count(), points.dimensions);
    let because = |error: &dyn std::fmt::Display| Undefined::because(error.to_string());
    let records = Array2::from_shape_vec(shape, points.values.clone()).map_err(|error| because(&error))?;
    let fit = KMeans::params(k).n_runs(STARTS).max_n_iterations(MAX_STEPS).tolerance(1e-4);
    let model = fit.fit(&DatasetBase::from(records)).map_err(|error| because(&error))?;
    Ok(model.centroids().outer_iter().map(|centre| centre.to_vec()).collect())
}

/// The centres of as many clusters, from two to `most`, as make the mean silhouette largest: how much nearer points are to their own
/// centre than to the next one, as a share of the farther (the simplified silhouette of Hruschka, de Castro and Campello 2004). It is
/// decided by the first points, so these should be any.
///
/// # Errors
/// There are fewer than ten points.
pub fn centres_of_best_number(points: &Points, most: usize) -> Result<Vec<Vec<f32>>, Undefined> {
    const FEWEST: usize = 10;
    if points.count() < FEWEST {
        return Err(Undefined::because(format!("{} points are too few for clusters", points.count())));
    }
    let some = points.first(ROWS_TO_CHOOSE_BY);
    let mut best: Option<(usize, f64)> = None;
    for k in 2..=most.min(some.count() / 5).max(2) {
        let silhouette = silhouette(&some, &centres(&some, k)?);
        if best.is_none_or(|(_, so_far)| silhouette > so_far) {
            best = Some((k, silhouette));
        }
    }
    centres(points, best.map_or(2, |(k, _)| k))
}

/// The mean of (b − a) / b over all points, a being the distance to the nearest centre and b that to the next one; 0 where both are 0.
fn silhouette(points: &Points, centres: &[Vec<f32>]) -> f64 {
    let of = |point: &[f32]| {
        let (mut nearest, mut next) = (f32::INFINITY, f32::INFINITY);
        for centre in centres {
            let distance = driftlead_store::clusters::squared_distance(point, centre);
            if distance < nearest {
                (nearest, next) = (distance, nearest);
            } else if distance < next {
                next = distance;
            }
        }
        let (nearest, next) = (f64::from(nearest).sqrt(), f64::from(next).sqrt());
        if next > 0.0 && next.is_finite() {
            (next - nearest) / next
        } else {
            0.0
        }
    };
    points.iter().map(of).sum::<f64>() / points.count() as f64
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Points around each of the places.
    fn around(places: &[[f32; 2]], each: usize, spread: f32) -> Points {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut values = Vec::new();
        for _ in 0..each {
            for place in places {
                values.extend(place.map(|at| at + spread * (random.random::<f32>() - 0.5)));
            }
        }
        Points::of(values, 2).unwrap()
    }

    #[test]
    fn clusters_that_are_there_are_found_and_counted() {
        for places in [
            vec![[0.0, 0.0], [10.0, 0.0]],
            vec![[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]],
            vec![[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [5.0, 25.0]],
        ] {
            let centres = centres_of_best_number(&around(&places, 200, 2.0), 10).unwrap();
            assert_eq!(centres.len(), places.len());
            for place in &places {
                let nearest = centres
                    .iter()
                    .map(|centre| driftlead_store::clusters::squared_distance(centre, place));
                assert!(nearest.fold(f32::INFINITY, f32::min) < 0.1, "{place:?} {centres:?}");
            }
        }
    }

    #[test]
    fn the_same_points_have_the_same_centres_and_too_few_have_none() {
        let points = around(&[[0.0, 0.0], [1.0, 0.0]], 100, 1.0);
        assert_eq!(centres(&points, 4).unwrap(), centres(&points, 4).unwrap());
        assert!(centres(&points.first(3), 4).is_err() && centres(&points, 0).is_err());
        assert!(centres_of_best_number(&points.first(9), 4).is_err());
        assert!(Points::of(vec![1.0; 3], 2).is_err() && Points::of(vec![f32::NAN; 2], 2).is_err());
        let equal = Points::of(vec![1.0; 40], 2).unwrap();
        assert_eq!(silhouette(&equal, &[vec![1.0, 1.0], vec![1.0, 1.0]]), 0.0);
    }
}
