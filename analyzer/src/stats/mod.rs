//! Statistics as pure functions: counts in, numbers with bounds out. One file per method, each naming its
//! source and the function of a known library that it agrees with (`tests/oracle`).
//!
//! Nothing here knows of time, storage or models. What has no value is an [`Undefined`] that says why,
//! never NaN, infinity or 0.

pub mod adaptive_windowing;
pub mod anderson_darling;
pub mod benjamini_hochberg;
pub mod binning;
pub mod bootstrap;
pub mod calibration;
pub mod chi_square;
pub mod classification;
pub mod compatible;
pub mod confidence_sequence;
pub mod confident_learning;
pub mod cramer_von_mises;
pub mod cusum;
pub mod dispersion;
pub mod domain_classifier;
pub mod energy_distance;
pub mod estimated_error;
pub mod estimated_quality;
pub mod g_test;
pub mod hellinger;
pub mod hypergeometric;
pub mod isotonic;
pub mod jensen_shannon;
pub mod k_means;
pub mod kolmogorov;
pub mod kolmogorov_smirnov;
pub mod kullback_leibler;
pub mod l_infinity;
pub mod linear_trend;
pub mod logistic;
pub mod mann_whitney;
pub mod maximum_mean_discrepancy;
pub mod miettinen_nurminen;
pub mod neighbours;
pub mod normal;
pub mod page_hinkley;
pub mod poisson;
pub mod population_stability_index;
pub mod principal_components;
pub mod quantile;
pub mod ranking;
pub mod ratio_of_shares;
pub mod regression;
pub mod sample;
pub mod scored;
pub mod shift;
pub mod slice_search;
pub mod total_variation;
pub mod wasserstein;
pub mod wilson;

/// Why a statistic has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undefined(pub String);

impl Undefined {
    /// With this reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A lower and an upper bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Not above the true value, at the level that was asked for.
    pub lower: f64,
    /// Not below the true value, at the level that was asked for.
    pub upper: f64,
}
