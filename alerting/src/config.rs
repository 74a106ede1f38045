//! Who is told and how: `[[receivers]]` and `[smtp]` as written, and what alerting is given, resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::label_delays::LabelDelays;
use driftlead_store::model_settings::{ActionSettings, Approval, ModelSettings};
use lettre::message::Mailbox;
use reqwest::Url;
use serde::Deserialize;

use crate::notify::signature::WebhookSecret;
use crate::problem::{Problem, Problems};

/// Default of `[alerts] repeat_interval`: often enough not to be forgotten over a shift, seldom enough not
/// to be muted.
pub const DEFAULT_REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3_600);

/// Shortest `repeat_interval`: what is told more often is not read.
pub const MIN_REPEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Names that routes of the outbox use for what goes to deployers and trainers.
pub(crate) const RESERVED_RECEIVERS: [&str; 2] = ["rollback", "retrain"];

/// One `[[receivers]]` table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// What rules call it: `notify:<name>`.
    pub name: String,
    /// An address that takes HTTP POSTs.
    pub webhook: Option<WebhookConfig>,
    /// Mail addresses.
    pub email: Option<EmailConfig>,
}

/// `webhook = { url = "…", secret = "whsec_…" }`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where alerts are posted.
    pub url: String,
    /// Signs them; unset: they are not signed.
    pub secret: Option<String>,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookConfig(…)")
    }
}

/// `email = { to = ["oncall@example.org"] }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// Everybody gets a mail of their own.
    pub to: Vec<String>,
}

/// `[smtp]`: the mail server.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its name or address.
    pub host: String,
    /// Its port; unset: 25 without TLS, 587 with STARTTLS, 465 with TLS.
    pub port: Option<u16>,
    /// Who mails are from, such as `Driftlead <driftlead@example.org>`.
    pub from: String,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: SmtpTls,
    /// User, where the server asks for one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

impl fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpConfig({}:{:?}, {:?})", self.host, self.port, self.tls)
    }
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// By STARTTLS, which has to succeed.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
}

impl SmtpTls {
    fn default_port(self) -> u16 {
        match self {
            Self::None => 25,
            Self::Starttls => 587,
            Self::Tls => 465,
        }
    }
}

/// What alerting is told, as written.
#[derive(Debug, Clone, Default)]
pub struct AlertingSettings {
    /// `[[receivers]]`.
    pub receivers: Vec<ReceiverConfig>,
    /// `[smtp]`.
    pub smtp: Option<SmtpConfig>,
    /// Rule files or folders of them; empty: the built-in pack.
    pub rule_paths: Vec<PathBuf>,
    /// Address under which people reach the pages, for links in messages.
    pub public_url: String,
    /// Instants at which windows end beside full hours and midnights: `[drift] evaluate_at`.
    pub evaluate_at: Vec<UnixNanos>,
    /// How often receivers are told again of what still fires; unset: [`DEFAULT_REPEAT_INTERVAL`].
    pub repeat_interval: Option<Duration>,
}

/// An address that takes signed HTTP POSTs.
#[derive(Clone, PartialEq)]
pub struct Endpoint {
    /// The whole address, which may hold a secret: never shown.
    pub url: Url,
    /// What signs.
    pub secret: Option<WebhookSecret>,
}

impl Endpoint {
    fn parse(url: &str, secret: Option<&str>) -> Result<Self, String> {
        let url: Url = url
            .parse()
            .map_err(|error| format!("the webhook's url is not an address ({error}): write http:// or https:// and a host"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("the webhook's url is not one that can be posted to: write http:// or https:// and a host".into());
        }
        let secret = secret.map(WebhookSecret::parse).transpose()?;
        Ok(Self { url, secret })
    }

    /// Host and port: what pages and logs may show.
    pub fn shown(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shown())
    }
}

/// A receiver whose addresses are known to be well formed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receiver {
    /// Where alerts are posted.
    pub webhook: Option<Endpoint>,
    /// Who gets mail.
    pub email: Vec<Mailbox>,
}

/// A mail server whose settings are known to be well formed.
#[derive(Clone, PartialEq)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who mails are from.
    pub from: Mailbox,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

/// An action that can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionEndpoint {
    /// Where it is requested.
    pub endpoint: Endpoint,
    /// Who has to agree.
    pub approval: Approval,
    /// Shortest time between two that rules ask for.
    pub cool_down: Duration,
}

/// A model as alerting sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelActions {
    /// What was declared.
    pub settings: ModelSettings,
    /// How it is rolled back.
    pub rollback: Option<ActionEndpoint>,
    /// How it is trained again.
    pub retrain: Option<ActionEndpoint>,
}

/// What alerting works with.
#[derive(Debug, Clone, Default)]
pub struct AlertingConfig {
    /// Who can be told, by name.
    pub receivers: BTreeMap<String, Receiver>,
    /// The mail server.
    pub smtp: Option<Smtp>,
    /// Address of the pages without a slash at the end; empty where there is none.
    pub public_url: String,
    /// Instants at which windows end beside full hours and midnights.
    pub evaluate_at: Vec<UnixNanos>,
    /// How often receivers are told again of what still fires.
    pub repeat_interval: Duration,
    /// How long labels take.
    pub label_delays: LabelDelays,
}

impl AlertingConfig {
    /// Checks what was written and turns it into what alerting works with.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn resolve(settings: &AlertingSettings) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let smtp = settings.smtp.as_ref().and_then(|smtp| noted(resolve_smtp(smtp), &mut problems));
        let mut receivers = BTreeMap::new();
        for written in &settings.receivers {
            let place = format!("receiver {:?}", written.name);
            let receiver = resolve_receiver(written, settings.smtp.is_some());
            let receiver = noted(receiver.map_err(|message| Problem::new(place.clone(), message)), &mut problems);
            if receivers.insert(written.name.clone(), receiver.unwrap_or_default()).is_some() {
                problems.push(Problem::new(place, "there are two of this name: rename one"));
            }
        }
        if settings.repeat_interval.is_some_and(|interval| interval < MIN_REPEAT_INTERVAL) {
            let message = format!(
                "repeat_interval is shorter than {} s, so receivers would be told without end: write one such as \"4h\"",
                MIN_REPEAT_INTERVAL.as_secs()
            );
            problems.push(Problem::new("[alerts]", message));
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(Self {
            receivers,
            smtp,
            public_url: settings.public_url.trim_end_matches('/').to_owned(),
            // Profiles know minutes, so that is where windows end.
            evaluate_at: settings.evaluate_at.iter().map(|instant| instant.floor_to(60)).collect(),
            repeat_interval: settings.repeat_interval.unwrap_or(DEFAULT_REPEAT_INTERVAL),
            label_delays: LabelDelays::default(),
        })
    }
}

/// Checks the webhooks of the declared models.
///
/// # Errors
/// Everything that is wrong.
pub fn resolve_models(models: &[ModelSettings]) -> Result<BTreeMap<String, ModelActions>, Problems> {
    let mut problems = Vec::new();
    let mut resolved = BTreeMap::new();
    for settings in models {
        let mut action = |kind: &str, written: &Option<ActionSettings>| {
            let written = written.as_ref()?;
            let endpoint = Endpoint::parse(&written.url, written.secret.as_deref())
                .map_err(|message| Problem::new(format!("model {:?}, {kind}", settings.name), message));
            noted(endpoint, &mut problems).map(|endpoint| ActionEndpoint {
                endpoint,
                approval: written.approval,
                cool_down: written.cool_down,
            })
        };
        let model = ModelActions {
            rollback: action("rollback", &settings.rollback),
            retrain: action("retrain", &settings.retrain),
            settings: settings.clone(),
        };
        resolved.insert(settings.name.clone(), model);
    }
    if problems.is_empty() {
        Ok(resolved)
    } else {
        Err(Problems(problems))
    }
}

/// Places of webhooks that are posted without a signature: whoever finds their address can pretend to be
/// Driftlead.
pub(crate) fn unsigned_webhooks(config: &AlertingConfig, models: &BTreeMap<String, ModelActions>) -> Vec<String> {
    let receivers = config.receivers.iter();
    let receivers = receivers.filter_map(|(name, receiver)| Some((format!("receiver {name:?}"), receiver.webhook.as_ref()?)));
    let actions = models.iter().flat_map(|(name, model)| {
        let kinds = [("rollback", model.rollback.as_ref()), ("retrain", model.retrain.as_ref())];
        kinds
            .into_iter()
            .filter_map(move |(kind, action)| Some((format!("{kind} of {name:?}"), &action?.endpoint)))
    });
    let unsigned = receivers.chain(actions).filter(|(_, endpoint)| endpoint.secret.is_none());
    unsigned.map(|(place, _)| place).collect()
}

fn noted<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn resolve_receiver(written: &ReceiverConfig, has_smtp: bool) -> Result<Receiver, String> {
    if !is_name(&written.name) || RESERVED_RECEIVERS.contains(&written.name.as_str()) {
        return Err("a receiver's name is letters, digits, '-', '_' and '.', and not \"rollback\" or \"retrain\"".into());
    }
    if written.webhook.is_none() && written.email.is_none() {
        return Err("it has no address: add webhook = { url = \"…\" } or email = { to = [\"…\"] }".into());
    }
    if written.email.is_some() && !has_smtp {
        return Err("it has mail addresses, but there is no mail server: add [smtp] with host and from".into());
    }
    let webhook = written
        .webhook
        .as_ref()
        .map(|webhook| Endpoint::parse(&webhook.url, webhook.secret.as_deref()))
        .transpose()?;
    let addresses = written.email.iter().flat_map(|email| &email.to);
    let email = addresses.map(|address| mailbox(address)).collect::<Result<_, _>>()?;
    Ok(Receiver { webhook, email })
}

fn resolve_smtp(written: &SmtpConfig) -> Result<Smtp, Problem> {
    let wrong = |message: String| Problem::new("[smtp]", message);
    if written.host.is_empty() || written.host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("host is not the name or address of a server".into()));
    }
    let credentials = match (&written.user, &written.password) {
        (None, None) => None,
        (Some(user), Some(password)) => Some((user.clone(), password.clone())),
        _ => return Err(wrong("user and password come together: write both or neither".into())),
    };
    Ok(Smtp {
        host: written.host.clone(),
        port: written.port.unwrap_or(written.tls.default_port()),
        from: mailbox(&written.from).map_err(wrong)?,
        tls: written.tls,
        credentials,
    })
}

fn mailbox(address: &str) -> Result<Mailbox, String> {
    address
        .parse()
        .map_err(|error| format!("{address:?} is not a mail address ({error}): write name@host or Name <name@host>"))
}

/// Names of receivers and rules: they appear in routes, subjects and links.
pub(crate) fn is_name(text: &str) -> bool {
    const MAX_NAME_BYTES: usize = 128;
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> AlertingSettings {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            receivers: Vec<ReceiverConfig>,
            smtp: Option<SmtpConfig>,
        }
        let file: File = toml::from_str(text).unwrap();
        AlertingSettings {
            receivers: file.receivers,
            smtp: file.smtp,
            ..AlertingSettings::default()
        }
    }

    #[test]
    fn what_is_right_is_resolved() {
        let config = AlertingConfig::resolve(&settings(
            r#"
            smtp = { host = "mail.example.org", from = "Driftlead <driftlead@example.org>" }
            [[receivers]]
            name = "oncall"
            webhook = { url = "https://hooks.example.org/very-secret", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }
            email = { to = ["Ana <ana@example.org>", "bo@example.org"] }
            "#,
        ))
        .unwrap();
        assert_eq!(config.smtp.as_ref().unwrap().port, 587);
        let oncall = &config.receivers["oncall"];
        assert_eq!(oncall.email.len(), 2);
        let shown = format!("{config:?}");
        assert!(
            shown.contains("hooks.example.org") && !shown.contains("very-secret") && !shown.contains("MfKQ"),
            "{shown}"
        );
    }

    #[test]
    fn webhooks_without_a_secret_are_named() {
        let config = AlertingConfig::resolve(&settings(
            r#"
            receivers = [
                { name = "signed", webhook = { url = "http://x", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } },
                { name = "bare", webhook = { url = "http://x" } },
            ]
            "#,
        ))
        .unwrap();
        let mut model = ModelSettings::undeclared("employment");
        model.retrain = Some(ActionSettings {
            url: "http://x".into(),
            approval: Approval::Auto,
            secret: None,
            cool_down: Duration::ZERO,
        });
        let models = resolve_models(&[model]).unwrap();
        assert_eq!(
            unsigned_webhooks(&config, &models),
            ["receiver \"bare\"", "retrain of \"employment\""]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        let check = |text: &str, place: &str, hint: &str| {
            let problems = AlertingConfig::resolve(&settings(text)).unwrap_err();
            let shown = problems.to_string();
            assert!(shown.contains(place) && shown.contains(hint), "{shown}");
        };
        let smtp = "smtp = { host = \"h\", from = \"a@b\" }\n";
        check("receivers = [{ name = \"a\" }]", "receiver \"a\"", "add webhook");
        check(
            "receivers = [{ name = \"a\", email = { to = [\"a@b\"] } }]",
            "receiver \"a\"",
            "add [smtp]",
        );
        check(
            "receivers = [{ name = \"a\", webhook = { url = \"ftp://x\" } }]",
            "receiver \"a\"",
            "http",
        );
        check(
            "receivers = [{ name = \"a\", webhook = { url = \"no url\" } }]",
            "receiver \"a\"",
            "http",
        );
        check(
            "receivers = [{ name = \"a\", webhook = { url = \"http://x\", secret = \"abc\" } }]",
            "receiver \"a\"",
            "whsec_",
        );
        check(
            &format!("{smtp}receivers = [{{ name = \"a\", email = {{ to = [\"a@b\\r\\nBcc: x@y\"] }} }}]"),
            "receiver \"a\"",
            "not a mail address",
        );
        check(
            "receivers = [{ name = \"rollback\", webhook = { url = \"http://x\" } }]",
            "rollback",
            "not",
        );
        check(
            "receivers = [{ name = \"a\", webhook = { url = \"http://x\" } }, { name = \"a\", webhook = { url = \"http://x\" } }]",
            "receiver \"a\"",
            "two",
        );
        check("smtp = { host = \"h\", from = \"nobody\" }", "[smtp]", "not a mail address");
        check("smtp = { host = \"h\", from = \"a@b\", user = \"u\" }", "[smtp]", "both");
        let without_pause = AlertingSettings {
            repeat_interval: Some(Duration::ZERO),
            ..AlertingSettings::default()
        };
        let problems = AlertingConfig::resolve(&without_pause).unwrap_err().to_string();
        assert!(problems.contains("[alerts]") && problems.contains("4h"), "{problems}");
    }
}
