//! The directions in which points differ most (Pearson 1901), the first few of them.

use super::Undefined;

/// Steps until which a direction has settled: with an eigenvalue 5 % above the next it is right to 1e-6 by then.
const MAX_STEPS: usize = 300;
/// A direction that turns by less has settled.
const SETTLED: f64 = 1e-10;

/// Points seen along the directions in which they differ most.
#[derive(Debug, Clone, PartialEq)]
pub struct Projected {
    /// The coordinates of each point.
    pub points: Vec<[f64; 2]>,
    /// The share of all variance that lies along each of the two directions, the larger first.
    pub explained_variance: [f64; 2],
}

/// The first two principal components of points, by subspace iteration on the centred points, so that the covariance is never formed.
/// Each costs points x dimensions for a step. Agrees with `sklearn.decomposition.PCA(n_components=2)` up to the signs, which here make the
/// coordinate of the largest magnitude of each direction positive.
///
/// # Errors
/// There are fewer than two points, they have different lengths, or do not differ.
pub fn first_two(points: &[&[f32]]) -> Result<Projected, Undefined> {
    let dimensions = points.first().map_or(0, |point| point.len());
    if points.len() < 2 || dimensions == 0 {
        return Err(Undefined::because("there are fewer than two points"));
    }
    if points.iter().any(|point| point.len() != dimensions) {
        return Err(Undefined::because("the points have different lengths"));
    }
    let mut mean = vec![0.0; dimensions];
    for point in points {
        mean.iter_mut().zip(*point).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    mean.iter_mut().for_each(|sum| *sum /= points.len() as f64);
    let centred: Vec<Vec<f64>> = points
        .iter()
        .map(|point| point.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect())
        .collect();
    let total: f64 = centred.iter().flatten().map(|value| value * value).sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(Undefined::because("the points do not differ"));
    }
    let mut directions: Vec<Vec<f64>> = Vec::new();
    let mut variances = [0.0; 2];
    for variance in &mut variances {
        let direction = next_direction(&centred, &directions);
        *variance = centred.iter().map(|point| dot(point, &direction).powi(2)).sum::<f64>() / total;
        directions.push(direction);
    }
    let along = |point: &Vec<f64>| [dot(point, &directions[0]), dot(point, &directions[1])];
    Ok(Projected {
        points: centred.iter().map(along).collect(),
        explained_variance: variances,
    })
}

/// The direction of the largest variance among those at right angles to `before`; zeros where there is none left.
fn next_direction(centred: &[Vec<f64>], before: &[Vec<f64>]) -> Vec<f64> {
    // The point farthest out is nearly never at right angles to it.
    let mut direction = centred
        .iter()
        .map(|point| at_right_angles(point.clone(), before))
        .max_by(|one, other| dot(one, one).total_cmp(&dot(other, other)))
        .unwrap_or_default();
    if !is_scaled(&mut direction) {
        return vec![0.0; direction.len()];
    }
    for _ in 0..MAX_STEPS {
        let mut next = vec![0.0; direction.len()];
        for point in centred {
            let along = dot(point, &direction);
            next.iter_mut().zip(point).for_each(|(sum, value)| *sum += along * value);
        }
        let mut next = at_right_angles(next, before);
        if !is_scaled(&mut next) {
            return vec![0.0; direction.len()];
        }
        let has_settled = 1.0 - dot(&next, &direction).abs() < SETTLED;
        direction = next;
        if has_settled {
            break;
        }
    }
    let largest = direction
        .iter()
        .copied()
        .max_by(|one, other| one.abs().total_cmp(&other.abs()))
        .unwrap_or(0.0);
    if largest < 0.0 {
        direction.iter_mut().for_each(|value| *value = -*value);
    }
    direction
}

fn at_right_angles(mut vector: Vec<f64>, to: &[Vec<f64>]) -> Vec<f64> {
    for direction in to {
        let along = dot(&vector, direction);
        vector.iter_mut().zip(direction).for_each(|(value, part)| *value -= along * part);
    }
    vector
}

/// Brings a vector to length 1; not where it has next to none.
fn is_scaled(vector: &mut [f64]) -> bool {
    let length = dot(vector, vector).sqrt();
    if length <= 1e-12 {
        return false;
    }
    vector.iter_mut().for_each(|value| *value /= length);
    true
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_seen_along_its_axes() {
        // Along (3, 4) / 5 by 10, across by 1, and a third direction in which nothing differs.
        let cloud: Vec<[f32; 3]> = [(-10.0, 0.0), (10.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
            .iter()
            .map(|(along, across): &(f32, f32)| [0.6 * along - 0.8 * across + 7.0, 0.8 * along + 0.6 * across, 5.0])
            .collect();
        let points: Vec<&[f32]> = cloud.iter().map(<[f32; 3]>::as_slice).collect();
        let seen = first_two(&points).unwrap();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        close(seen.explained_variance[0], 100.0 / 101.0);
        close(seen.explained_variance[1], 1.0 / 101.0);
        close(seen.points[1][0], 10.0);
        close(seen.points[1][1], 0.0);
        close(seen.points[2][1].abs(), 1.0);
    }

    #[test]
    fn what_does_not_differ_has_no_directions() {
        assert!(first_two(&[]).is_err() && first_two(&[&[1.0]]).is_err());
        assert!(first_two(&[&[1.0, 2.0], &[1.0, 2.0]]).is_err());
        assert!(first_two(&[&[1.0, 2.0], &[1.0]]).is_err());
        let line = first_two(&[&[1.0, 2.0], &[2.0, 4.0], &[3.0, 6.0]]).unwrap();
        assert!((line.explained_variance[0] - 1.0).abs() < 1e-12 && line.explained_variance[1] == 0.0);
        assert!(line.points.iter().all(|point| point[1] == 0.0));
    }
}
