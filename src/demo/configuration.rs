//! What a user of Driftlead would write for this model: the demo's configuration and rule file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use driftlead_store::clock::UnixNanos;

use super::service::YEAR_SECONDS;
use super::telemetry::MODEL;

/// The floor of F1 that the model declares: such an MLP reaches 0.84, and 100 examples cannot tell 0.84 from 0.80.
pub const F1_FLOOR: f64 = 0.75;
/// The threshold of the demo's own drift rule: at this size a true 4.3 % is not surely above 3 %.
pub const SHIFT_THRESHOLD: f64 = 0.02;

/// What the configuration is made of.
pub struct Configuration<'a> {
    /// Where rollback, retraining and alerts go.
    pub systems: SocketAddr,
    /// The mail server.
    pub mail: SocketAddr,
    /// Address of the runner.
    pub runner: &'a str,
    /// End of the back-fill: each year is one day, the last ends here.
    pub end: UnixNanos,
    /// Where pages and API listen.
    pub web: SocketAddr,
}

impl Configuration<'_> {
    /// Writes configuration and rules into the folder; returns the configuration's path.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        std::fs::write(folder.join("rules.toml"), rules()).context("cannot write the demo's rules")?;
        let path = folder.join("driftlead.toml");
        std::fs::write(&path, self.text()).context("cannot write the demo's configuration")?;
        Ok(path)
    }

    fn text(&self) -> String {
        let Self {
            systems,
            mail,
            runner,
            end,
            web,
        } = self;
        let evaluate_at: Vec<String> = (0..4).map(|day| format!("\"{}\"", end.plus_seconds(-day * YEAR_SECONDS))).collect();
        let first_day = end.plus_seconds(-4 * YEAR_SECONDS);
        format!(
            r#"# Written by `driftlead demo`.
public_url = "http://{web}"

[listen]
web = "{web}"
otlp_grpc = "127.0.0.1:0"
otlp_http = "127.0.0.1:0"

[privacy]
keep_text = true

[drift]
evaluate_at = [{evaluate_at}]

[quality]
recompute_interval = "30s"

[rules]
paths = ["rules.toml"]

[smtp]
host = "{mail_host}"
port = {mail_port}
tls = "none"
from = "Driftlead <driftlead@example.org>"

[[receivers]]
name = "oncall"
webhook = {{ url = "http://{systems}/alerts" }}
email = {{ to = ["oncall@example.org"] }}

[[models]]
name = "{MODEL}"
positive_class = "1"
f1_floor = {F1_FLOOR}
label_delay = "10s"
reference = {{ pinned = ["{first_day}", "{first_day_end}"] }}
runner = {{ candle = "{runner}" }}
rollback = {{ url = "http://{systems}/rollback", approval = "auto" }}
retrain = {{ url = "http://{systems}/retrain", approval = "auto", cool_down = "5s" }}
"#,
            evaluate_at = evaluate_at.join(", "),
            mail_host = mail.ip(),
            mail_port = mail.port(),
            first_day_end = first_day.plus_seconds(YEAR_SECONDS),
        )
    }
}

fn rules() -> String {
    format!(
        r#"# The demo's own rules. The built-in pack warns at 3 %; at the demo's size 2 % is what can be told surely.
[[rules]]
name = "feature-shift"
signal = "feature_shift"
window = "1d"
above = {SHIFT_THRESHOLD}
severity = "warning"
actions = ["notify:oncall", "retrain"]
why = "The population moved away from the one that the model learnt from: retrain on recent data."

[[rules]]
name = "gate-failed"
signal = "gate_failed"
above = 0.5
severity = "critical"
actions = ["notify:oncall", "rollback"]
why = "The version fails its control examples: bring the previous version back."

[[rules]]
name = "error-ratio"
signal = "error_ratio"
above = 0.02
for = "10s"
severity = "critical"
actions = ["notify:oncall"]
why = "More than 2 % of the requests fail."
"#
    )
}
