//! Whether alerts of drift were right: what the labels said, when they came, of the window that an alert was about, against the days
//! before it. So the false alerts that there were can be held to those that are borne, and features ranked by the quality that their
//! shifts really cost.
//!
//! Nothing of it is kept: it is read from firings and from quality signals, so a label that comes late or is corrected counts.

mod loss;

use std::collections::BTreeMap;

use driftlead_store::clickhouse::query::signals::{SignalFilter, signal_points};
use driftlead_store::clock::UnixNanos;
use driftlead_store::records::{Signal, names};
use driftlead_store::state::alerts::Firing;
use serde::Serialize;

use crate::detect::MEASURES;
use crate::error::AnalyzerError;
use crate::reference::References;
pub use loss::Loss;
use loss::{quality_before, quality_in};

/// Signals whose alerts are held to labels.
const OF_DRIFT: [&str; 3] = [names::FEATURE_SHIFT, names::PREDICTION_SHIFT, names::EMBEDDING_SHIFT];
/// Firings of one answer at most, the newest.
const MAX_FIRINGS: u32 = 500;
/// Days before a window whose quality it is compared with.
const BEFORE_SECONDS: i64 = 28 * 86_400;

/// What labels say of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Quality surely fell.
    BorneOut,
    /// Labels came and show no fall.
    NotBorneOut,
    /// Not all labels have come.
    AwaitingLabels,
    /// There is no quality of the window, or none before it to compare with.
    Unknown,
}

/// An alert of drift, one of the times that it fired.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftAlert {
    /// The alert.
    pub alert: String,
    /// The rule.
    pub rule: String,
    /// The signal.
    pub signal: String,
    /// The feature.
    pub subject: String,
    /// The version.
    pub version: String,
    /// The segment; empty for all traffic together.
    pub segment: String,
    /// When it began to fire.
    pub at: UnixNanos,
    /// Length of the window in seconds.
    pub window_s: u32,
    /// The shift then.
    pub value: Option<f64>,
    /// What labels say.
    pub verdict: Verdict,
    /// Quality of the window against the days before.
    pub loss: Option<Loss>,
}

/// A feature and what its shifts cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvenLoss {
    /// The feature.
    pub feature: String,
    /// Times that alerts about it fired.
    pub alerts: usize,
    /// Those that labels bore out.
    pub borne_out: usize,
    /// Those that they did not.
    pub not_borne_out: usize,
    /// Share of the quality that was lost in those that were borne out, in all.
    pub proven_loss: f64,
}

/// What became of a model's alerts of drift.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftAlerts {
    /// Firings that began from here on.
    pub from: UnixNanos,
    /// Up to here.
    pub to: UnixNanos,
    /// Whether there are more than are told of.
    pub is_cut: bool,
    /// Alerts that labels bore out.
    pub borne_out: usize,
    /// Alerts that they did not.
    pub not_borne_out: usize,
    /// Alerts of which nothing can be said yet, or ever.
    pub undecided: usize,
    /// Alerts that were not borne out, per 30 days.
    pub not_borne_out_per_month: f64,
    /// Features by what their shifts cost, most first.
    pub features: Vec<ProvenLoss>,
    /// The newest first.
    pub alerts: Vec<DriftAlert>,
}

/// The alerts of drift of a model that began to fire in a stretch of time, with what labels say of them.
///
/// # Errors
/// Telemetry or state cannot be read.
pub async fn drift_alerts(
    references: &References,
    model: &str,
    environment: Option<&str>,
    from: UnixNanos,
    to: UnixNanos,
) -> Result<DriftAlerts, AnalyzerError> {
    let firings = references.state().firings(model, environment, from, to, MAX_FIRINGS + 1).await?;
    let is_cut = firings.len() > MAX_FIRINGS as usize;
    let firings: Vec<Firing> = firings
        .into_iter()
        .filter(|firing| firing.from >= from && OF_DRIFT.contains(&firing.alert.signal.as_str()))
        .take(MAX_FIRINGS as usize)
        .collect();
    let mut quality: BTreeMap<(String, String, String, u32), Vec<Signal>> = BTreeMap::new();
    let mut alerts = Vec::new();
    for firing in &firings {
        let Some(window_seconds) = firing.alert.memory.window_seconds else {
            continue;
        };
        let series = &firing.alert.series;
        let key = (
            series.environment.clone(),
            series.version.clone(),
            series.segment.clone(),
            window_seconds,
        );
        if !quality.contains_key(&key) {
            let points = points(references, model, &key, from, to).await?;
            quality.insert(key.clone(), points);
        }
        alerts.push(judged(firing, window_seconds, &quality[&key]));
    }
    Ok(summed_up(alerts, from, to, is_cut))
}

async fn points(
    references: &References,
    model: &str,
    (environment, version, segment, window_seconds): &(String, String, String, u32),
    from: UnixNanos,
    to: UnixNanos,
) -> Result<Vec<Signal>, AnalyzerError> {
    let measures: Vec<String> = MEASURES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let filter = SignalFilter {
        names: &measures,
        environment: Some(environment),
        version: Some(version),
        segment: Some(segment),
        window_seconds: Some(*window_seconds),
        with_details: false,
        ..SignalFilter::of_model(
            model,
            from.plus_seconds(-BEFORE_SECONDS),
            to.plus_seconds(i64::from(*window_seconds)),
        )
    };
    Ok(signal_points(references.clickhouse(), filter).await?)
}

fn judged(firing: &Firing, window_seconds: u32, quality: &[Signal]) -> DriftAlert {
    let alert = &firing.alert;
    let now = quality_in(quality, firing.from, window_seconds);
    let (verdict, loss) = match now {
        None => (Verdict::Unknown, None),
        Some((_, _, now)) if now.provisional => (Verdict::AwaitingLabels, None),
        Some((name, is_gain, now)) => {
            match quality_before(quality, name, now).and_then(|before| Loss::between(name, is_gain, &before, now)) {
                None => (Verdict::Unknown, None),
                Some(loss) if loss.lower > 0.0 => (Verdict::BorneOut, Some(loss)),
                Some(loss) => (Verdict::NotBorneOut, Some(loss)),
            }
        }
    };
    DriftAlert {
        alert: alert.id.clone(),
        rule: alert.rule.clone(),
        signal: alert.signal.clone(),
        subject: alert.series.subject.clone(),
        version: alert.series.version.clone(),
        segment: alert.series.segment.clone(),
        at: firing.from,
        window_s: window_seconds,
        value: firing.value,
        verdict,
        loss,
    }
}

fn summed_up(alerts: Vec<DriftAlert>, from: UnixNanos, to: UnixNanos, is_cut: bool) -> DriftAlerts {
    let count = |verdict: Verdict| alerts.iter().filter(|alert| alert.verdict == verdict).count();
    let (borne_out, not_borne_out) = (count(Verdict::BorneOut), count(Verdict::NotBorneOut));
    let mut by_feature: BTreeMap<&str, ProvenLoss> = BTreeMap::new();
    for alert in &alerts {
        let of = by_feature.entry(&alert.subject).or_insert_with(|| ProvenLoss {
            feature: alert.subject.clone(),
            alerts: 0,
            borne_out: 0,
            not_borne_out: 0,
            proven_loss: 0.0,
        });
        of.alerts += 1;
        of.borne_out += usize::from(alert.verdict == Verdict::BorneOut);
        of.not_borne_out += usize::from(alert.verdict == Verdict::NotBorneOut);
        if let (Verdict::BorneOut, Some(loss)) = (alert.verdict, &alert.loss) {
            of.proven_loss += loss.value;
        }
    }
    let mut features: Vec<ProvenLoss> = by_feature.into_values().collect();
    features.sort_by(|a, b| b.proven_loss.total_cmp(&a.proven_loss).then_with(|| b.borne_out.cmp(&a.borne_out)));
    let months = to.seconds_since(from) / (30.0 * 86_400.0);
    DriftAlerts {
        from,
        to,
        is_cut,
        borne_out,
        not_borne_out,
        undecided: alerts.len() - borne_out - not_borne_out,
        not_borne_out_per_month: if months > 0.0 { not_borne_out as f64 / months } else { 0.0 },
        features,
        alerts,
    }
}

#[cfg(test)]
mod tests;
