//! Statistics as pure functions: counts in, numbers with bounds out. One file per method, each naming its
//! source and the function of a known library that it agrees with (`tests/oracle`).
//!
//! Nothing here knows of time, storage or models. What has no value is an [`Undefined`] that says why,
//! never NaN, infinity or 0.

pub mod benjamini_hochberg;
pub mod classification;
pub mod dispersion;
pub mod hypergeometric;
pub mod miettinen_nurminen;
pub mod normal;
pub mod poisson;
pub mod quantile;
pub mod shift;
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
