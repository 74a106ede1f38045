//! The configuration as it is written: one TOML file, overridden by `DRIFTLEAD_<SECTION>__<KEY>`.
//!
//! Everything has a default, so an empty file (or none) is a valid configuration. Unknown keys are errors:
//! a misspelt threshold must not be silently ignored.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::telemetry::TelemetryConfig;
use anyhow::{Context, bail};
use driftlead_alerting::config::{AlertingSettings, ReceiverConfig, SmtpConfig};
use driftlead_analyzer::{AnalyzerConfig, DEFAULT_FALSE_ALERTS_PER_MONTH, DEFAULT_MAX_SEGMENTS};
use driftlead_collector::{CollectorConfig, RedactConfig, ScrapeTarget, TlsConfig};
use driftlead_store::clickhouse::migrate::Retention;
use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::{ModelSettings, duration};

/// Prefix of the environment variables that override the file.
const ENVIRONMENT_PREFIX: &str = "DRIFTLEAD_";

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses.
    pub listen: ListenConfig,
    /// Who may send.
    pub otlp: OtlpConfig,
    /// The log.
    pub log: LogConfig,
    /// The embedded engine.
    pub engine: EngineConfig,
    /// A ClickHouse server or cluster instead of the embedded engine.
    pub clickhouse: Option<ClickHouseServerConfig>,
    /// What is kept of inputs.
    pub privacy: PrivacyConfig,
    /// How long what is kept.
    pub retention: RetentionConfig,
    /// How records are found.
    pub search: SearchConfig,
    /// When and how drift is looked at.
    pub drift: DriftConfig,
    /// Labels and quality.
    pub quality: QualityConfig,
    /// Where rules come from.
    pub rules: RulesConfig,
    /// How often people are told.
    pub alerts: AlertsConfig,
    /// Who is told.
    pub receivers: Vec<ReceiverConfig>,
    /// The mail server.
    pub smtp: Option<SmtpConfig>,
    /// What is declared about models.
    pub models: Vec<ModelSettings>,
    /// Pages of metrics to fetch.
    pub scrape: Vec<ScrapeConfig>,
    /// Where Driftlead's own telemetry goes.
    pub telemetry: TelemetryConfig,
    /// The address under which people reach the pages, for links in messages.
    pub public_url: Option<String>,
}

/// `[listen]`: port 0 takes a free one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    /// Pages and API.
    pub web: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            web: SocketAddr::from(([127, 0, 0, 1], 8080)),
            otlp_grpc: SocketAddr::from(([127, 0, 0, 1], 4317)),
            otlp_http: SocketAddr::from(([127, 0, 0, 1], 4318)),
        }
    }
}

impl ListenConfig {
    /// Whether only this machine can send telemetry.
    pub fn otlp_is_loopback(&self) -> bool {
        self.otlp_grpc.ip().is_loopback() && self.otlp_http.ip().is_loopback()
    }
}

/// `[otlp]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpConfig {
    /// Origins of pages that may send from a browser without a key, such as `https://shop.example`; `*` is any.
    /// Those of this machine always may, and all may where there are keys.
    pub allowed_origins: Vec<String>,
    /// Certificate and key of both ports; unset: nothing is encrypted.
    pub tls: Option<OtlpTlsConfig>,
}

/// `[otlp.tls]`: files in PEM, relative to the configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpTlsConfig {
    /// The certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of senders: given, only senders with a certificate of theirs may connect.
    pub client_ca: Option<PathBuf>,
}

/// `[[scrape]]`: a page in the format of Prometheus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Its address, such as `http://gpu-1:9400/metrics`.
    pub url: String,
    /// `service.name` of its points.
    pub service: String,
    /// `deployment.environment.name` of its points.
    #[serde(default)]
    pub environment: String,
    /// How often, such as `15s`.
    #[serde(default = "default_scrape_interval", with = "driftlead_store::model_settings::duration")]
    pub interval: std::time::Duration,
    /// How long an answer may take.
    #[serde(default = "default_scrape_timeout", with = "driftlead_store::model_settings::duration")]
    pub timeout: std::time::Duration,
    /// Sent as `authorization: Bearer …`.
    pub bearer_token: Option<String>,
}

fn default_scrape_interval() -> std::time::Duration {
    std::time::Duration::from_secs(15)
}

fn default_scrape_timeout() -> std::time::Duration {
    std::time::Duration::from_secs(10)
}

/// `[log]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Bytes on disk past which requests are refused retryably; unset: 20 GiB or 80 % of the free space.
    pub max_bytes: Option<u64>,
    /// Bytes of a segment; unset: 64 MiB.
    pub segment_bytes: Option<u64>,
}

/// `[engine]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// `libchdb.so`; unset: beside the executable, then `../engine/`.
    pub library: Option<PathBuf>,
}

/// `[clickhouse]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickHouseServerConfig {
    /// Address of its HTTP interface.
    pub url: String,
    /// User.
    #[serde(default = "default_user")]
    pub user: String,
    /// Password.
    #[serde(default)]
    pub password: String,
    /// Database.
    #[serde(default = "default_database")]
    pub database: String,
    /// Name of the cluster, for replicated and distributed tables.
    pub cluster: Option<String>,
}

fn default_user() -> String {
    "default".into()
}

fn default_database() -> String {
    "driftlead".into()
}

/// `[search]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// Whether the words of log records are indexed in ClickHouse, where it can.
    pub text_index: bool,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { text_index: true }
    }
}

/// `[privacy]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyConfig {
    /// Keep the texts of inputs; otherwise their lengths and hashes.
    pub keep_text: bool,
    /// Attributes whose values are replaced before anything is written: names, or `prefix.*`.
    pub redact: Vec<String>,
    /// Regular expressions; what they find is replaced wherever it stands.
    pub redact_patterns: Vec<String>,
    /// Built-in detectors that do the same: `email`, `phone`, `card`, `key`.
    pub detect: Vec<String>,
}

/// `[retention]`, in days.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Raw telemetry.
    pub raw_days: u32,
    /// Inferences and outcomes.
    pub inferences_days: u32,
    /// Profiles by minute and 10-second buckets.
    pub minute_profiles_days: u32,
    /// Signals and coarser profiles.
    pub signals_days: u32,
    /// The error index.
    pub errors_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            raw_days: 30,
            inferences_days: 90,
            minute_profiles_days: 14,
            signals_days: 400,
            errors_days: 30,
        }
    }
}

/// Beyond this many false alerts a month nobody looks at alerts any more.
const MOST_FALSE_ALERTS_PER_MONTH: f64 = 1_000.0;

/// `[drift]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftConfig {
    /// Ends of the 1-day windows (RFC 3339); unset: every midnight UTC.
    pub evaluate_at: Vec<String>,
    /// Segments of a version that have signals of their own, those with the most traffic; 0: none.
    pub segments: u64,
    /// False alerts of drift that are borne in 30 days, of all models together.
    pub false_alerts_per_month: f64,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self {
            evaluate_at: Vec::new(),
            segments: DEFAULT_MAX_SEGMENTS,
            false_alerts_per_month: DEFAULT_FALSE_ALERTS_PER_MONTH,
        }
    }
}

/// `[quality]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityConfig {
    /// Shortest time between two computations of one window when labels keep coming.
    #[serde(with = "driftlead_store::model_settings::duration")]
    pub recompute_interval: std::time::Duration,
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self {
            recompute_interval: std::time::Duration::from_secs(300),
        }
    }
}

/// `[rules]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Rule files, relative to the configuration file; unset: the built-in pack `onboarding`.
    pub paths: Vec<PathBuf>,
}

/// `[alerts]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// How often receivers are told again of what still fires, such as `4h`.
    pub repeat_interval: Option<String>,
}

/// What is wrong with a configuration; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file or a variable is not what is expected.
    #[error("the configuration {origin}: {message}")]
    Invalid {
        /// The file, or "from the environment".
        origin: String,
        /// What is wrong and where.
        message: String,
    },
}

impl Config {
    /// Reads the file (none: the defaults), then applies the environment's overrides.
    ///
    /// # Errors
    /// The file is unreadable or not valid, or a variable names a key that does not exist.
    pub fn load(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let (mut table, origin) = match path {
            None => (toml::Table::new(), "from the environment".to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                // Deserialised once from the text as well, because only then errors name line and column.
                toml::from_str::<Self>(&text).map_err(|error| invalid(path.display(), error))?;
                (
                    text.parse().map_err(|error| invalid(path.display(), error))?,
                    path.display().to_string(),
                )
            }
        };
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                override_key(&mut table, key, &value);
            }
        }
        let mut config: Self = table.try_into().map_err(|error| invalid(&origin, error))?;
        if let Some(folder) = path.and_then(Path::parent) {
            for rules in &mut config.rules.paths {
                *rules = folder.join(&*rules);
            }
            if let Some(tls) = &mut config.otlp.tls {
                tls.certificate = folder.join(&tls.certificate);
                tls.key = folder.join(&tls.key);
                tls.client_ca = tls.client_ca.as_deref().map(|path| folder.join(path));
            }
        }
        Ok(config)
    }
}

impl Config {
    /// What alerting is told; pages are linked at `public_url`, else at the address that is listened on.
    ///
    /// # Errors
    /// An instant of `[drift] evaluate_at` is none.
    pub fn alerting_settings(&self, web: &str) -> anyhow::Result<AlertingSettings> {
        Ok(AlertingSettings {
            receivers: self.receivers.clone(),
            smtp: self.smtp.clone(),
            rule_paths: self.rules.paths.clone(),
            public_url: self.public_url.clone().unwrap_or_else(|| format!("http://{web}")),
            evaluate_at: self.evaluate_at()?,
            repeat_interval: self
                .alerts
                .repeat_interval
                .as_deref()
                .map(duration::parse)
                .transpose()
                .map_err(anyhow::Error::msg)?,
        })
    }

    /// What the collector is told.
    pub fn collector(&self) -> CollectorConfig {
        CollectorConfig {
            redact: RedactConfig {
                attributes: self.privacy.redact.clone(),
                patterns: self.privacy.redact_patterns.clone(),
                detect: self.privacy.detect.clone(),
                keep_text: self.privacy.keep_text,
            },
            allowed_origins: self.otlp.allowed_origins.clone(),
            tls: self.otlp.tls.clone().map(|tls| TlsConfig {
                certificate: tls.certificate,
                key: tls.key,
                client_ca: tls.client_ca,
            }),
            scrape: self
                .scrape
                .iter()
                .cloned()
                .map(|target| ScrapeTarget {
                    url: target.url,
                    interval: target.interval,
                    timeout: target.timeout,
                    service: target.service,
                    environment: target.environment,
                    bearer_token: target.bearer_token,
                })
                .collect(),
        }
    }

    /// What the analyzer is told.
    ///
    /// # Errors
    /// As [`Config::alerting_settings`].
    pub fn analyzer(&self) -> anyhow::Result<AnalyzerConfig> {
        Ok(AnalyzerConfig {
            evaluate_at: self.evaluate_at()?,
            quality_interval: self.quality.recompute_interval,
            keeps_texts: self.privacy.keep_text,
            max_segments: self.drift.segments,
            false_alerts_per_month: self.false_alerts_per_month()?,
            ..AnalyzerConfig::default()
        })
    }

    /// How long tables keep their rows.
    pub fn retention(&self) -> Retention {
        Retention {
            raw_days: self.retention.raw_days,
            inferences_days: self.retention.inferences_days,
            minute_profiles_days: self.retention.minute_profiles_days,
            signals_days: self.retention.signals_days,
        }
    }

    fn false_alerts_per_month(&self) -> anyhow::Result<f64> {
        let borne = self.drift.false_alerts_per_month;
        if !(borne > 0.0 && borne <= MOST_FALSE_ALERTS_PER_MONTH) {
            bail!(
                "[drift] false_alerts_per_month: {borne} is not above 0 and up to {MOST_FALSE_ALERTS_PER_MONTH}: write how many false alerts of \
                 drift you can bear in 30 days, such as 1 or 0.1"
            );
        }
        Ok(borne)
    }

    /// To the minute: windows are made of minutes, and rules look at the windows that were computed.
    fn evaluate_at(&self) -> anyhow::Result<Vec<UnixNanos>> {
        let read = |text: &String| {
            UnixNanos::parse(text)
                .map(|at| at.floor_to(60))
                .with_context(|| format!("[drift] evaluate_at: {text:?} is not an instant: write RFC 3339, such as 2026-10-05T00:00:00Z"))
        };
        self.drift.evaluate_at.iter().map(read).collect()
    }
}

fn invalid(origin: impl std::fmt::Display, error: toml::de::Error) -> ConfigError {
    ConfigError::Invalid {
        origin: origin.to_string(),
        message: error.to_string().trim_end().to_owned(),
    }
}

/// `LISTEN__WEB` sets `listen.web`. A value that reads as TOML is taken as that, anything else as text. Names
/// without `__` are not keys (`DRIFTLEAD_URL` and the like belong to tools).
fn override_key(table: &mut toml::Table, key: &str, value: &str) {
    let Some((section, key)) = key.split_once("__") else { return };
    let parsed = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let section = table
        .entry(section.to_ascii_lowercase())
        .or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_ascii_lowercase(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("driftlead.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(
            Some(&path),
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn nothing_written_is_the_defaults() {
        let config = Config::load(None, std::iter::empty()).unwrap();
        assert_eq!(config.listen.web.port(), 8080);
        assert_eq!(config.retention.inferences_days, 90);
    }

    #[test]
    fn the_examples_of_the_book_are_taken() {
        let book = include_str!("../docs/configuration.md");
        let mut examples = book.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("driftlead.toml");
        std::fs::write(&path, examples.next().unwrap()).unwrap();
        std::fs::write(folder.path().join("rules.toml"), examples.next().unwrap()).unwrap();
        let config = Config::load(Some(&path), std::iter::empty()).unwrap();
        let settings = config.alerting_settings("127.0.0.1:8080").unwrap();
        config.collector().check().unwrap();
        let rules = driftlead_alerting::check(&settings, &config.models).unwrap();
        assert!(rules > 1, "the example's rule and those of the pack");
        assert_eq!(config.models.len(), 2);
    }

    #[test]
    fn the_environment_wins() {
        let config = load(
            "[listen]\nweb = \"127.0.0.1:1\"",
            &[("DRIFTLEAD_LISTEN__WEB", "127.0.0.1:0"), ("DRIFTLEAD_PRIVACY__KEEP_TEXT", "true")],
        );
        let config = config.unwrap();
        assert_eq!(config.listen.web.port(), 0);
        assert!(config.privacy.keep_text);
    }

    #[test]
    fn pages_that_may_send_are_listed() {
        let config = load("[otlp]\nallowed_origins = [\"https://shop.example\"]", &[]).unwrap();
        assert_eq!(config.otlp.allowed_origins, ["https://shop.example"]);
    }

    #[test]
    fn what_is_redacted_is_checked_before_the_start() {
        let config = load("[privacy]\ndetect = [\"card\"]\nredact_patterns = ['x+']", &[]).unwrap();
        assert!(config.collector().check().is_ok());
        let wrong = load("[privacy]\ndetect = [\"cards\"]", &[])
            .unwrap()
            .collector()
            .check()
            .unwrap_err();
        assert!(wrong.to_string().contains("email, phone, card, key"), "{wrong}");
    }

    #[test]
    fn both_ports_of_telemetry_must_be_of_this_machine() {
        for (text, expected) in [
            ("", true),
            ("[listen]\notlp_grpc = \"0.0.0.0:0\"", false),
            ("[listen]\notlp_http = \"[::]:0\"", false),
            ("[listen]\nweb = \"0.0.0.0:0\"\notlp_http = \"[::1]:0\"", true),
        ] {
            assert_eq!(load(text, &[]).unwrap().listen.otlp_is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn drift_is_evaluated_at_full_minutes() {
        let config = load("[drift]\nevaluate_at = [\"2026-10-05T00:00:59.9Z\"]", &[]).unwrap();
        assert_eq!(config.evaluate_at().unwrap(), [UnixNanos::parse("2026-10-05T00:00:00Z").unwrap()]);
    }

    #[test]
    fn what_is_misspelt_is_named() {
        let error = load("[drift]\nevaluate_att = []", &[]).unwrap_err().to_string();
        assert!(error.contains("evaluate_att") && error.contains("line 2"), "{error}");
        let error = load("", &[("DRIFTLEAD_DRIFT__EVALUATE_ATT", "[]")]).unwrap_err().to_string();
        assert!(error.contains("evaluate_att"), "{error}");
    }
}
