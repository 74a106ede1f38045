//! Measures of predicted numbers.

use driftlead_store::clickhouse::query::quality::LabelledWindow;
use driftlead_store::records::{Signal, names};
use serde_json::json;

use super::{MIN_N, Z};
use crate::detect::frame::{Estimate, Frame};
use crate::stats::regression::Sums;

/// The signals of a window in which numbers were predicted; none where none were.
pub(super) fn signals_of_window(frame: &Frame<'_>, window: &LabelledWindow) -> Vec<Signal> {
    let values = &window.values;
    let n = values.n;
    if n == 0 {
        return Vec::new();
    }
    let sums = Sums {
        n,
        errors: values.errors.into(),
        absolute_errors: values.absolute_errors.into(),
        squared_errors: values.squared_errors.into(),
        fourth_powers: values.fourth_powers.into(),
        truths: values.truths.into(),
        squared_truths: values.squared_truths.into(),
    };
    let details = json!({ "mean_error": sums.mean_error().ok(), "r2": sums.r2().ok() });
    let mae = sums
        .mean_absolute_error()
        .and_then(|mae| Ok(Estimate::bounded(mae, sums.mean_absolute_error_bounds(Z)?)));
    let rmse = sums
        .root_mean_squared_error()
        .and_then(|rmse| Ok(Estimate::bounded(rmse, sums.root_mean_squared_error_bounds(Z)?)));
    let signals = [(names::MAE, mae), (names::RMSE, rmse)].map(|(name, measure)| match measure {
        _ if n < MIN_N => {
            let reason = format!("{n} labelled numbers, fewer than {MIN_N}");
            frame.insufficient(name, "", n, "insufficient", reason)
        }
        Ok(estimate) => frame.signal(name, "", estimate, n, details.clone()),
        Err(undefined) => frame.insufficient(name, "", n, "insufficient", undefined.to_string()),
    });
    signals.into()
}

#[cfg(test)]
mod tests {
    use driftlead_store::clickhouse::query::quality::Values;

    use super::*;

    const FRAME: Frame<'static> = Frame::EXAMPLE;

    #[test]
    fn errors_have_their_mean_and_their_root_with_bounds() {
        // Half of the errors are 1, half are -3.
        let values = Values {
            n: 100,
            errors: -100.0,
            absolute_errors: 200.0,
            squared_errors: 500.0,
            fourth_powers: 50.0 + 50.0 * 81.0,
            truths: 0.0,
            squared_truths: 1_000.0,
        };
        let window = LabelledWindow {
            values,
            ..LabelledWindow::default()
        };
        let [mae, rmse] = signals_of_window(&FRAME, &window).try_into().unwrap();
        assert_eq!((mae.value, rmse.value), (Some(2.0), Some(5.0_f64.sqrt())));
        assert_eq!((&mae.details["mean_error"], &mae.details["r2"]), (&json!(-1.0), &json!(0.5)));
        for signal in [&mae, &rmse] {
            assert!(signal.lower < signal.value && signal.value < signal.upper, "{signal:?}");
        }
        assert!(signals_of_window(&FRAME, &LabelledWindow::default()).is_empty());
    }
}
