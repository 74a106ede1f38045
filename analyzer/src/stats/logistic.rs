//! Logistic regression with an L2 penalty, by Newton's method (iteratively reweighted least squares; Hastie, Tibshirani
//! and Friedman, "The elements of statistical learning", 4.4).

use super::Undefined;

/// Columns that a model may have: each of a few rounds solves a system of so many equations.
pub const MAX_COLUMNS: usize = 512;
/// What the squares of the coefficients cost against the log loss of the rows: scikit-learn's C = 1.
const PENALTY: f64 = 1.0;
/// Rounds of Newton's method; seven or so are usual.
const MAX_ROUNDS: usize = 100;
/// The squared length of a step, measured by the curvature, after which the next one changes nothing.
const CONVERGED: f64 = 1e-14;
/// The share of the objective by which rounding may make it grow.
const ROUNDING: f64 = 1e-12;
/// Halvings of a step that makes the objective grow.
const MAX_HALVINGS: usize = 60;

/// A model: log-odds = intercept + Σ coefficient · (value − mean) / deviation.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// The log-odds of a row whose values are all at their means.
    pub intercept: f64,
    /// One for each column, in units of its deviation; 0 for a column of one value.
    pub coefficients: Vec<f64>,
    /// The mean of each column.
    pub means: Vec<f64>,
    /// The standard deviation of each column, with divisor n; 1 for a column of one value.
    pub deviations: Vec<f64>,
}

impl Logistic {
    /// What each value of a row adds to its log-odds.
    pub fn terms(&self, row: &[f64]) -> impl Iterator<Item = f64> {
        let scales = self.means.iter().zip(&self.deviations);
        let coefficients = self.coefficients.iter().zip(scales);
        row.iter()
            .zip(coefficients)
            .map(|(value, (coefficient, (mean, deviation)))| coefficient * ((value - mean) / deviation))
    }

    /// The log-odds of a row.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        self.intercept + self.terms(row).sum::<f64>()
    }
}

/// Fits a model to rows of numbers and whether each had the outcome. Deterministic; the minimum is the only one, and found
/// to the last digits. Agrees with scikit-learn's `LogisticRegression(C=1)` after its `StandardScaler`.
///
/// A round costs rows × (values of a row that are not 0)² / 2 and columns³ / 3 operations. Values from buckets move the
/// coefficients about as much as the values, 0.4 %.
///
/// # Errors
/// There are no rows, more than [`MAX_COLUMNS`] columns, rows of different lengths, a value that is not finite or not to be
/// squared, or only one of the two outcomes, which every intercept would fit better than the one before.
pub fn fit(rows: &[&[f64]], outcomes: &[bool]) -> Result<Logistic, Undefined> {
    let columns = rows.first().map_or(0, |row| row.len());
    if columns > MAX_COLUMNS {
        return Err(Undefined::because(format!("there are {columns} columns, more than {MAX_COLUMNS}")));
    }
    if rows.len() != outcomes.len() || rows.iter().any(|row| row.len() != columns) {
        return Err(Undefined::because("the rows have different lengths, or not an outcome each"));
    }
    if !(outcomes.contains(&true) && outcomes.contains(&false)) {
        return Err(Undefined::because("there are not both outcomes"));
    }
    let scales = (0..columns).map(|column| Scale::of(rows, column)).collect::<Result<Vec<_>, _>>()?;
    let problem = Problem {
        columns,
        rows: rows
            .iter()
            .flat_map(|row| row.iter().zip(&scales).map(|(value, scale)| scale.apply(*value)))
            .collect(),
        outcomes,
    };
    let mut solution = problem.minimise()?;
    let intercept = solution.pop().unwrap_or_default();
    // The columns that were not moved to mean 0 have taken a part of the intercept.
    let moved = solution
        .iter()
        .zip(&scales)
        .map(|(coefficient, scale)| coefficient * (scale.mean - scale.origin) / scale.deviation);
    Ok(Logistic {
        intercept: intercept + moved.sum::<f64>(),
        coefficients: solution,
        means: scales.iter().map(|scale| scale.mean).collect(),
        deviations: scales.iter().map(|scale| scale.deviation).collect(),
    })
}

/// How a column is standardised.
struct Scale {
    mean: f64,
    deviation: f64,
    /// What becomes 0: the mean, or 0 itself in a column that is mostly 0, so that the zeros of categories cost nothing.
    /// There the mean is at most one deviation, and the intercept makes up for it exactly.
    origin: f64,
}

impl Scale {
    fn of(rows: &[&[f64]], column: usize) -> Result<Self, Undefined> {
        let values = || rows.iter().map(|row| row[column]);
        let n = rows.len() as f64;
        let first = rows[0][column];
        if first.is_finite() && values().all(|value| value == first) {
            return Ok(Self {
                mean: first,
                deviation: 1.0,
                origin: first,
            });
        }
        let mean = values().sum::<f64>() / n;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        if !(deviation.is_finite() && deviation > 0.0) {
            return Err(Undefined::because(format!(
                "the values of column {column} are not all finite, or too large or too small to be squared"
            )));
        }
        let is_mostly_zero = values().filter(|value| *value == 0.0).count() * 2 > rows.len();
        Ok(Self {
            mean,
            deviation,
            origin: if is_mostly_zero { 0.0 } else { mean },
        })
    }

    fn apply(&self, value: f64) -> f64 {
        (value - self.origin) / self.deviation
    }
}

/// The penalised log loss. A solution holds a coefficient for each column, then the intercept.
struct Problem<'a> {
    columns: usize,
    /// Standardised, row by row.
    rows: Vec<f64>,
    outcomes: &'a [bool],
}

impl Problem<'_> {
    fn minimise(&self) -> Result<Vec<f64>, Undefined> {
        let unknowns = self.columns + 1;
        let mut solution = vec![0.0; unknowns];
        let mut objective = self.objective(&solution);
        for _ in 0..MAX_ROUNDS {
            let (gradient, curvature) = self.derivatives(&solution);
            let Some(step) = solve(curvature, &gradient) else {
                return Err(Undefined::because("the model's equations have no solution in double precision"));
            };
            let squared_length = dot(&gradient, &step);
            let after = |size: f64| {
                solution
                    .iter()
                    .zip(&step)
                    .map(|(old, change)| old - size * change)
                    .collect::<Vec<f64>>()
            };
            if squared_length <= CONVERGED {
                return Ok(after(1.0));
            }
            let sizes = (0..MAX_HALVINGS).map(|halvings| 0.5_f64.powi(halvings as i32));
            let mut tried = sizes.map(after).map(|next| (self.objective(&next), next));
            let Some((lower, next)) = tried.find(|(next, _)| *next <= objective * (1.0 + ROUNDING)) else {
                break;
            };
            (objective, solution) = (lower, next);
        }
        Err(Undefined::because("the model did not converge"))
    }

    fn row(&self, index: usize) -> &[f64] {
        &self.rows[index * self.columns..(index + 1) * self.columns]
    }

    fn log_odds(&self, solution: &[f64], index: usize) -> f64 {
        dot(self.row(index), solution) + solution[self.columns]
    }

    fn objective(&self, solution: &[f64]) -> f64 {
        let losses = self.outcomes.iter().enumerate().map(|(index, outcome)| {
            let log_odds = self.log_odds(solution, index);
            let margin = if *outcome { log_odds } else { -log_odds };
            // ln(1 + exp(−margin)), which does not overflow.
            (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
        });
        let coefficients = &solution[..self.columns];
        losses.sum::<f64>() + PENALTY / 2.0 * dot(coefficients, coefficients)
    }

    /// The gradient and the lower triangle of the second derivatives.
    fn derivatives(&self, solution: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (columns, unknowns) = (self.columns, self.columns + 1);
        let mut gradient: Vec<f64> = solution.iter().map(|coefficient| PENALTY * coefficient).collect();
        gradient[columns] = 0.0;
        let mut curvature = vec![0.0; unknowns * unknowns];
        (0..columns).for_each(|column| curvature[column * unknowns + column] = PENALTY);
        let mut present: Vec<(usize, f64)> = Vec::with_capacity(unknowns);
        for (index, outcome) in self.outcomes.iter().enumerate() {
            let probability = 1.0 / (1.0 + (-self.log_odds(solution, index)).exp());
            let (error, weight) = (probability - f64::from(u8::from(*outcome)), probability * (1.0 - probability));
            present.clear();
            present.extend(self.row(index).iter().copied().enumerate().filter(|(_, value)| *value != 0.0));
            present.push((columns, 1.0));
            for (at, (column, value)) in present.iter().enumerate() {
                gradient[*column] += error * value;
                let line = &mut curvature[column * unknowns..(column + 1) * unknowns];
                present[..=at]
                    .iter()
                    .for_each(|(other, factor)| line[*other] += weight * value * factor);
            }
        }
        (gradient, curvature)
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Solves `matrix · x = right` by Cholesky's decomposition. Of the symmetric matrix the lower triangle is read; where it is
/// not positive definite there is no solution.
fn solve(mut matrix: Vec<f64>, right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    for line in 0..n {
        let (above, from_line) = matrix.split_at_mut(line * n);
        for column in 0..line {
            let other = &above[column * n..=column * n + column];
            from_line[column] = (from_line[column] - dot(&from_line[..column], other)) / other[column];
        }
        let pivot = from_line[line] - dot(&from_line[..line], &from_line[..line]);
        if !(pivot.is_finite() && pivot > 0.0) {
            return None;
        }
        from_line[line] = pivot.sqrt();
    }
    let mut x = right.to_vec();
    for line in 0..n {
        x[line] = (x[line] - dot(&matrix[line * n..line * n + line], &x[..line])) / matrix[line * n + line];
    }
    for line in (0..n).rev() {
        x[line] /= matrix[line * n + line];
        let (before, value) = (&matrix[line * n..line * n + line], x[line]);
        x.iter_mut().zip(before).for_each(|(other, factor)| *other -= factor * value);
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fitted(rows: &[Vec<f64>], outcomes: &[bool]) -> Result<Logistic, Undefined> {
        fit(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), outcomes)
    }

    #[test]
    fn without_columns_the_intercept_is_the_log_of_the_odds() {
        let found = fitted(&vec![vec![]; 4], &[true, true, true, false]).unwrap();
        assert!((found.intercept - 3.0_f64.ln()).abs() < 1e-12, "{found:?}");
        assert!((found.log_odds(&[]) - 3.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_column_of_one_value_says_nothing() {
        let rows: Vec<Vec<f64>> = (0..9).map(|row| vec![0.1, f64::from(row)]).collect();
        let outcomes = [false, false, true, false, true, true, false, true, true];
        let found = fitted(&rows, &outcomes).unwrap();
        assert_eq!((found.coefficients[0], found.means[0], found.deviations[0]), (0.0, 0.1, 1.0));
        assert!(found.coefficients[1] > 0.5);
    }

    #[test]
    fn outcomes_that_a_column_separates_keep_finite_coefficients() {
        let rows: Vec<Vec<f64>> = (0..1_000)
            .map(|row| vec![1e9 + f64::from(row), f64::from(u8::from(row == 3))])
            .collect();
        let outcomes: Vec<bool> = (0..1_000).map(|row| row >= 500).collect();
        let found = fitted(&rows, &outcomes).unwrap();
        assert!(found.coefficients[0].is_finite() && found.coefficients[0] > 3.0, "{found:?}");
    }

    #[test]
    fn what_cannot_be_fitted_says_why() {
        let because = |rows: &[Vec<f64>], outcomes: &[bool]| fitted(rows, outcomes).unwrap_err().0;
        assert_eq!(because(&[], &[]), "there are not both outcomes");
        assert_eq!(because(&vec![vec![1.0]; 2], &[true, true]), "there are not both outcomes");
        assert_eq!(
            because(&[vec![1.0], vec![]], &[true, false]),
            "the rows have different lengths, or not an outcome each"
        );
        assert_eq!(
            because(&vec![vec![1.0]; 2], &[true]),
            "the rows have different lengths, or not an outcome each"
        );
        assert_eq!(
            because(&vec![vec![0.0; 513]; 2], &[true, false]),
            "there are 513 columns, more than 512"
        );
        let values = "the values of column 0 are not all finite, or too large or too small to be squared";
        for value in [f64::NAN, f64::INFINITY, 1e300, 1e-300] {
            assert_eq!(because(&[vec![value], vec![0.0]], &[true, false]), values);
        }
    }

    proptest! {
        /// At the minimum of a convex function its gradient is zero.
        #[test]
        fn the_gradient_vanishes(
            rows in prop::collection::vec((prop::collection::vec(-3.0..3.0, 3), 0_u8..4, any::<bool>()), 2..60)
        ) {
            let outcomes: Vec<bool> = rows.iter().map(|row| row.2).collect();
            prop_assume!(outcomes.contains(&true) && outcomes.contains(&false));
            let mostly_zero = |kind: u8| f64::from(u8::from(kind == 0));
            let rows: Vec<Vec<f64>> = rows.iter().map(|row| [row.0.as_slice(), &[mostly_zero(row.1)]].concat()).collect();
            let found = fitted(&rows, &outcomes).unwrap();
            let error = |index: usize| 1.0 / (1.0 + (-found.log_odds(&rows[index])).exp()) - f64::from(u8::from(outcomes[index]));
            prop_assert!((0..rows.len()).map(error).sum::<f64>().abs() < 1e-9);
            for column in 0..4 {
                let standardised = |index: usize| (rows[index][column] - found.means[column]) / found.deviations[column];
                let loss: f64 = (0..rows.len()).map(|index| error(index) * standardised(index)).sum();
                prop_assert!((loss + PENALTY * found.coefficients[column]).abs() < 1e-9);
            }
        }
    }
}
