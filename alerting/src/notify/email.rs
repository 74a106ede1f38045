//! Mail: rendered as plain text when it is decided, sent by SMTP.
//!
//! Every text that comes from outside is stripped of control characters before it is part of a subject, and
//! addresses were parsed when the configuration was read, so nothing can add a header or a recipient.

use driftlead_store::model_settings::duration;
use driftlead_store::state::actions::{Action, ActionKind, ActionState};
use driftlead_store::state::alerts::Severity;
use driftlead_store::state::outbox::Message as OutboxMessage;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use serde::{Deserialize, Serialize};

use super::notice::{AlertNews, AlertSaid, MAX_ALERTS_LISTED, page, page_of};
use super::{ATTEMPT_TIMEOUT, Delivery};
use crate::config::{Smtp, SmtpTls};

/// Characters of a subject: what phones show, and far under the limit on a header's line.
const MAX_SUBJECT_CHARACTERS: usize = 160;

/// A rendered mail, as the outbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl Mail {
    fn new(subject: &str, text: String) -> Self {
        Self {
            subject: one_line(subject),
            text,
        }
    }

    /// As the outbox keeps it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a mail is two texts")
    }
}

/// The mail about alerts of one group, the most severe first.
pub fn about_alerts(news: AlertNews, alerts: &[AlertSaid<'_>], public_url: &str) -> Mail {
    let mut ordered: Vec<&AlertSaid<'_>> = alerts.iter().collect();
    ordered.sort_by_key(|said| {
        (
            std::cmp::Reverse(said.alert.severity),
            said.alert.firing_since,
            said.alert.rule.clone(),
        )
    });
    let first = ordered.first().expect("a mail is about at least one alert").alert;
    let tag = match (news, first.severity) {
        (AlertNews::Resolved, _) => "resolved",
        (AlertNews::Firing, Severity::Critical) => "critical",
        (AlertNews::Firing, Severity::Warning) => "warning",
        (AlertNews::Firing, Severity::Info) => "info",
    };
    let others = match ordered.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let what = named(&first.series.model, &first.series.version, &first.series.environment);
    let mut text = String::new();
    for said in ordered.iter().take(MAX_ALERTS_LISTED) {
        text.push_str(&paragraph(news, said));
        text.push('\n');
    }
    if ordered.len() > MAX_ALERTS_LISTED {
        text.push_str(&format!("… and {} more.\n\n", ordered.len() - MAX_ALERTS_LISTED));
    }
    text.push_str(&format!("{}\n", page_of(first, public_url)));
    // What a rule searches for is no trouble of Driftlead's own.
    let subject = match &first.memory.query {
        Some(_) => format!("[{tag}] {}{others}", first.rule),
        None => format!("[{tag}] {what}: {}{others}", first.rule),
    };
    Mail::new(&subject, text)
}

fn paragraph(news: AlertNews, said: &AlertSaid<'_>) -> String {
    let alert = said.alert;
    let since = alert.firing_since.unwrap_or(alert.since);
    let verb = match news {
        AlertNews::Firing => format!("fires since {since}"),
        AlertNews::Resolved => match alert.resolved_at {
            Some(at) => format!("is resolved; it fired for {}", lasted(at.seconds_since(since))),
            None => "is resolved".into(),
        },
    };
    let mut text = format!("{} {verb}\n  {}\n", alert.rule, alert.memory.reason);
    if news == AlertNews::Firing {
        // The comparison stands above.
        for reason in alert.memory.because.iter().filter(|reason| **reason != alert.memory.reason) {
            text.push_str(&format!("  {reason}\n"));
        }
        text.push_str(&format!("  {}\n", alert.why));
    }
    for note in &said.actions {
        let (kind, outcome) = (note.kind.as_str(), note.state.map(ActionState::as_str));
        match (&note.action, outcome) {
            (Some(action), Some(state)) => text.push_str(&format!("  {kind} {state} ({action})\n")),
            _ => text.push_str(&format!("  no {kind}: {}\n", note.reason.as_deref().unwrap_or("not asked for"))),
        }
    }
    text
}

fn lasted(seconds: f64) -> String {
    duration::format(std::time::Duration::from_secs(seconds.max(0.0) as u64))
}

/// The mail about an action.
pub fn about_action(action: &Action, note: &str, public_url: &str) -> Mail {
    let what = match action.kind {
        ActionKind::Rollback => format!(
            "rollback of {} from {} to {}",
            named(&action.model, "", &action.environment),
            action.from_version.as_deref().unwrap_or("?"),
            action.to_version.as_deref().unwrap_or("?")
        ),
        ActionKind::Retrain => format!("retraining of {}", named(&action.model, "", &action.environment)),
    };
    let mut text = format!("The {what} ({}) is {}.\n  {note}\n", action.id, action.state.as_str());
    if !action.because.is_empty() {
        text.push_str("\nAsked for because:\n");
        for reason in &action.because {
            text.push_str(&format!("  - {reason}\n"));
        }
    }
    let asked_by = match &action.rule {
        Some(rule) => format!("the rule {rule}"),
        None => action.requested_by.clone(),
    };
    text.push_str(&format!(
        "\nAsked for by {asked_by} at {}.\n\n{}\n",
        action.requested_at,
        page(public_url, &action.model, &action.environment)
    ));
    Mail::new(&format!("[{}] {what}", action.state.as_str()), text)
}

fn named(model: &str, version: &str, environment: &str) -> String {
    let mut named = if model.is_empty() {
        "Driftlead".to_owned()
    } else {
        model.to_owned()
    };
    if !version.is_empty() {
        named.push_str(&format!(" {version}"));
    }
    if !environment.is_empty() {
        named.push_str(&format!(" ({environment})"));
    }
    named
}

/// A subject is one line: what could begin another becomes a space.
fn one_line(text: &str) -> String {
    let printable = text.chars().map(|c| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            ' '
        } else {
            c
        }
    });
    printable.take(MAX_SUBJECT_CHARACTERS).collect()
}

/// Sends a mail once, to one address, over a connection of its own.
pub async fn send(smtp: &Smtp, to: &Mailbox, message: &OutboxMessage) -> Delivery {
    let impossible = |error: String| Delivery::Impossible { status: None, error };
    let mail: Mail = match serde_json::from_str(&message.body) {
        Ok(mail) => mail,
        Err(error) => return impossible(format!("the outbox holds a mail that cannot be read: {error}")),
    };
    let built = Message::builder()
        .from(smtp.from.clone())
        .to(to.clone())
        .subject(one_line(&mail.subject))
        .message_id(Some(format!("<{}@{}>", message.id, smtp.from.email.domain())))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text);
    let built = match built {
        Ok(built) => built,
        Err(error) => return impossible(format!("the mail cannot be written: {error}")),
    };
    let transport = match transport(smtp) {
        Ok(transport) => transport,
        Err(error) => return impossible(format!("the mail server's settings cannot be used: {error}")),
    };
    match tokio::time::timeout(ATTEMPT_TIMEOUT, transport.send(built)).await {
        Ok(Ok(_)) => Delivery::Delivered { status: None },
        Ok(Err(error)) => failed(in_words(&error)),
        Err(_) => failed(format!(
            "the mail server did not take the mail within {} s",
            ATTEMPT_TIMEOUT.as_secs()
        )),
    }
}

fn failed(error: String) -> Delivery {
    Delivery::Failed {
        status: None,
        error,
        retry_after: None,
    }
}

fn transport(smtp: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let builder = match smtp.tls {
        SmtpTls::None => Transport::builder_dangerous(&smtp.host),
        SmtpTls::Starttls => Transport::starttls_relay(&smtp.host)?,
        SmtpTls::Tls => Transport::relay(&smtp.host)?,
    };
    let mut builder = builder.port(smtp.port).timeout(Some(ATTEMPT_TIMEOUT));
    if let Some((user, password)) = &smtp.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    Ok(builder.build())
}

/// The error with its sources; lettre's own words alone rarely say what happened.
fn in_words(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
