//! Reads the summary back from the product's API once the loop is closed.

use std::collections::BTreeMap;

use anyhow::Context;
use driftlead_store::clock::UnixNanos;
use serde_json::Value;

use super::configuration::SHIFT_THRESHOLD;
use super::people::YEARS;
use super::service::backfill_id;
use super::story::Story;
use super::summary::{Control, Rollback, SentAlert, Shift, Summary};
use super::telemetry::{ENVIRONMENT, MODEL};

/// The three versions.
pub const VERSIONS: [&str; 3] = ["1.0", "1.1", "1.2"];

/// When what ended, by the demo's clock.
pub struct Milestones {
    /// The back-fill was acknowledged.
    pub backfilled_at: UnixNanos,
}

/// Reads everything; the live service must have ended.
///
/// # Errors
/// The API does not answer.
pub async fn summarise(story: &Story, milestones: &Milestones) -> anyhow::Result<Summary> {
    let api = &story.api;
    let (total, stored) = api.stored_ids(&story.days()).await?;
    let backfilled = YEARS.iter().flat_map(|year| story.people.of_year(*year)).map(backfill_id);
    let lost_of_backfill = backfilled.filter(|id| !stored.contains_key(id)).count() as u64;
    let sent = story.sent.total();
    let listed = stored.len() as u64;
    let model: Value = api.get(&format!("/models/{MODEL}"), &[("environment", ENVIRONMENT)]).await?;
    let alerts: Value = api.get("/alerts", &[("model", MODEL), ("state", "firing,resolved")]).await?;
    let alerts = alerts["alerts"].as_array().context("alerts")?.clone();
    let mut summary = Summary {
        records_sent: sent,
        records_stored: total,
        records_lost: lost_of_backfill.max(sent.saturating_sub(listed)),
        records_doubled: stored.values().filter(|times| **times > 1).count() as u64 + listed.saturating_sub(sent),
        drifted_features: drifted_features(&alerts),
        alerts: alerts.iter().map(sent_alert).collect(),
        first_alert_seconds: first_alert_seconds(&alerts, milestones.backfilled_at),
        ..Summary::default()
    };
    for version in VERSIONS {
        let row = model["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["version"] == version)
            .cloned()
            .unwrap_or_default();
        summary.f1.insert(version.to_owned(), row["f1"]["value"].as_f64());
        summary.control.insert(
            version.to_owned(),
            Control {
                f1: row["replay"]["f1"].as_f64(),
            },
        );
        if let Some(verdict) = row["verdict"]["verdict"].as_str().filter(|_| version != VERSIONS[0]) {
            summary.gate.insert(version.to_owned(), verdict.to_owned());
        }
        summary.heldout_f1.insert(version.to_owned(), story.heldout_f1(version).await?);
    }
    summary.rollback = rollback(story, &model).await?;
    Ok(summary)
}

/// The feature that moved most, of an answer of `/drift`.
pub fn largest_shift(drift: &Value) -> Option<Shift> {
    let features = drift["features"].as_array()?.iter().filter(|feature| feature["role"] == "feature");
    let shifts = features.filter_map(|feature| Some((feature["feature"].as_str()?, feature["shift"]["value"].as_f64()?)));
    let (feature, value) = shifts.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Some(Shift {
        feature: feature.to_owned(),
        value,
        n: drift["n"].as_u64()?,
    })
}

fn drifted_features(alerts: &[Value]) -> Vec<String> {
    let mut features: Vec<_> = alerts
        .iter()
        .filter(|alert| alert["signal"] == "feature_shift")
        .filter_map(|alert| alert["subject"].as_str().map(str::to_owned))
        .collect();
    features.sort();
    features.dedup();
    features
}

fn sent_alert(alert: &Value) -> SentAlert {
    let delivered = alert["deliveries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|delivery| delivery["state"] == "delivered");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut sent_to: Vec<_> = delivered
        .map(|delivery| format!("{} {}", text(&delivery["channel"]), text(&delivery["route"])))
        .collect();
    sent_to.sort();
    sent_to.dedup();
    SentAlert {
        name: text(&alert["rule"]),
        sent_to,
    }
}

fn first_alert_seconds(alerts: &[Value], since: UnixNanos) -> Option<f64> {
    let fired = alerts.iter().filter_map(|alert| instant(&alert["firing_since"]));
    fired.min().map(|first| first.seconds_since(since))
}

async fn rollback(story: &Story, model: &Value) -> anyhow::Result<Option<Rollback>> {
    let actions: Value = story.api.get("/actions", &[("model", MODEL)]).await?;
    let Some(action) = actions["actions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|action| action["kind"] == "rollback")
    else {
        return Ok(None);
    };
    let version = model["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|row| row["version"] == VERSIONS[1]);
    let first_seen = version.and_then(|row| instant(&row["first_seen_at"]));
    let seconds_to_confirmed = instant(&action["finished_at"])
        .zip(first_seen)
        .map(|(end, first)| end.seconds_since(first));
    Ok(Some(Rollback {
        state: action["state"].as_str().unwrap_or_default().to_owned(),
        seconds_to_confirmed,
    }))
}

fn instant(value: &Value) -> Option<UnixNanos> {
    UnixNanos::parse(value.as_str()?).ok()
}

/// Whether the loop is closed: what is missing, in words.
pub fn missing(summary: &Summary) -> Vec<String> {
    let mut missing = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            missing.push(what.to_owned());
        }
    };
    check(
        summary.records_sent == summary.records_stored,
        "the number of records sent is not the number stored",
    );
    check(summary.records_lost == 0, "records were lost");
    check(summary.records_doubled == 0, "records were doubled");
    check(!summary.drifted_features.is_empty(), "no feature is reported as drifted");
    let gate = |version: &str| summary.gate.get(version).map(String::as_str);
    check(gate("1.1") == Some("fail"), "the gate did not fail 1.1");
    check(gate("1.2") == Some("pass"), "the gate did not pass 1.2");
    check(
        summary.rollback.as_ref().is_some_and(|rollback| rollback.state == "confirmed"),
        "the rollback is not confirmed",
    );
    check(
        summary.largest_shift.get("1.2").is_some_and(|shift| shift.value <= SHIFT_THRESHOLD),
        "what 1.2 serves differs from what it was trained on",
    );
    let sent_by = |channel: &str| {
        summary
            .alerts
            .iter()
            .any(|alert| alert.sent_to.iter().any(|to| to.starts_with(channel)))
    };
    check(sent_by("email") && sent_by("webhook"), "no alert went out by email and by webhook");
    missing
}

/// Values by version, for printing.
pub fn by_version<T>(values: &BTreeMap<String, T>, text: impl Fn(&T) -> String) -> String {
    values
        .iter()
        .map(|(version, value)| format!("{version}: {}", text(value)))
        .collect::<Vec<_>>()
        .join(", ")
}
