//! Whether points have the same neighbours in two spaces: what a search by nearest neighbours would notice of a change.

use super::Undefined;

/// Of each point, the share of its `k` nearest neighbours by the cosine in the first space that are among its `k` nearest in the second. The
/// vectors of point i stand at i in both. Each pair is compared once: points² / 2 × dimensions operations a space.
///
/// # Errors
/// The spaces have different numbers of points, there are no more points than neighbours, no neighbours are asked for, a vector has another
/// length than the others of its space, or has none.
pub fn kept(before: &[&[f32]], after: &[&[f32]], k: usize) -> Result<Vec<f64>, Undefined> {
    if before.len() != after.len() {
        return Err(Undefined::because("the spaces have different numbers of points"));
    }
    if k == 0 || before.len() <= k {
        return Err(Undefined::because(format!("{} points have no {k} neighbours each", before.len())));
    }
    let (before, after) = (nearest(before, k)?, nearest(after, k)?);
    let share = |(one, other): (&Vec<usize>, &Vec<usize>)| one.iter().filter(|index| other.contains(index)).count() as f64 / k as f64;
    Ok(before.iter().zip(&after).map(share).collect())
}

/// The indices of the `k` nearest others of each point; of those that are as near the first.
fn nearest(points: &[&[f32]], k: usize) -> Result<Vec<Vec<usize>>, Undefined> {
    let length = points.first().map_or(0, |point| point.len());
    let scaled: Vec<Vec<f64>> = points.iter().map(|point| scaled(point, length)).collect::<Result<_, _>>()?;
    let n = scaled.len();
    let mut cosines = vec![vec![0.0; n]; n];
    for one in 0..n {
        for other in one + 1..n {
            let cosine: f64 = scaled[one].iter().zip(&scaled[other]).map(|(a, b)| a * b).sum();
            (cosines[one][other], cosines[other][one]) = (cosine, cosine);
        }
    }
    let of_point = |(point, cosines): (usize, Vec<f64>)| {
        let mut others: Vec<usize> = (0..n).filter(|other| *other != point).collect();
        others.sort_by(|a, b| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b)));
        others.truncate(k);
        others
    };
    Ok(cosines.into_iter().enumerate().map(of_point).collect())
}

fn scaled(point: &[f32], length: usize) -> Result<Vec<f64>, Undefined> {
    let norm = point.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if point.len() != length || !(norm > 0.0 && norm.is_finite()) {
        return Err(Undefined::because("a vector has another length than the others, or no direction"));
    }
    Ok(point.iter().map(|value| f64::from(*value) / norm).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_space_keeps_its_neighbours_and_a_shuffled_one_does_not() {
        // A ring: each point's two nearest are those beside it.
        let ring = |turn: f32| -> Vec<[f32; 2]> {
            (0..12)
                .map(|at| (at as f32 * std::f32::consts::PI / 6.0 + turn).sin_cos())
                .map(|(sin, cos)| [3.0 * cos, 3.0 * sin])
                .collect()
        };
        let (before, turned) = (ring(0.0), ring(1.0));
        let slices = |points: &'static [[f32; 2]]| points.iter().map(<[f32; 2]>::as_slice).collect::<Vec<_>>();
        let before = slices(before.leak());
        let turned = slices(turned.leak());
        assert_eq!(kept(&before, &turned, 2).unwrap(), [1.0; 12]);
        // Every second one changes places with the opposite one: beside each point lie others now.
        let mut shuffled = before.clone();
        (0..6).step_by(2).for_each(|at| shuffled.swap(at, at + 6));
        assert_eq!(kept(&before, &shuffled, 2).unwrap(), [0.0; 12]);
    }

    #[test]
    fn what_has_no_neighbours_says_why() {
        let (one, other): (&[f32], &[f32]) = (&[1.0, 0.0], &[0.0, 1.0]);
        assert!(kept(&[one, other], &[one, other], 2).is_err());
        assert!(kept(&[one, other], &[one, other], 0).is_err());
        assert!(kept(&[one, other], &[one], 1).is_err());
        assert!(kept(&[one, &[0.0, 0.0]], &[one, other], 1).is_err());
        assert!(kept(&[one, &[1.0]], &[one, other], 1).is_err());
    }
}
