//! Posts a message with the headers of a Standard Webhook.

use std::time::Duration;

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::outbox::Message;
use futures_util::StreamExt;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};

use super::{ATTEMPT_TIMEOUT, Delivery};
use crate::config::Endpoint;

/// Bytes of an answer that are read: enough for the words of an error, too few to fill the memory.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// Characters of an answer that are kept with the message.
const MAX_ANSWER_CHARACTERS: usize = 200;

/// A receiver may ask to be left alone for this long; longer is taken as this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Idle connections to one receiver that are kept for the next message.
const MAX_IDLE_CONNECTIONS: usize = 2;

/// A client that posts webhooks: bounded in time, follows no redirect (a POST would become a GET, and the
/// address would not be the one that was configured).
///
/// # Errors
/// The system offers no way to connect, which says why.
pub fn client() -> Result<Client, reqwest::Error> {
    // The process may have chosen a provider already, in which case that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .user_agent(concat!("driftlead/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Posts a message once.
pub async fn post(client: &Client, endpoint: &Endpoint, message: &Message, now: UnixNanos) -> Delivery {
    let timestamp = now.seconds();
    let mut request = client
        .post(endpoint.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", timestamp);
    if let Some(secret) = &endpoint.secret {
        request = request.header("webhook-signature", secret.sign(&message.id, timestamp, &message.body));
    }
    match request.body(message.body.clone()).send().await {
        Ok(response) => judge(response, now).await,
        Err(error) => Delivery::Failed {
            status: None,
            error: in_words(error),
            retry_after: None,
        },
    }
}

async fn judge(response: Response, now: UnixNanos) -> Delivery {
    let status = response.status();
    if status.is_success() {
        return Delivery::Delivered {
            status: Some(status.as_u16()),
        };
    }
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| parse_retry_after(text, now));
    let error = if status.is_redirection() {
        format!("the receiver answered {status}, and redirects are not followed: configure the address that it points to")
    } else {
        let answer = read_bounded(response).await;
        let separator = if answer.is_empty() { "" } else { ": " };
        format!("the receiver answered {status}{separator}{answer}")
    };
    let status_number = Some(status.as_u16());
    if status == StatusCode::GONE {
        // The specification's way of saying that nobody listens here any more.
        return Delivery::Impossible {
            status: status_number,
            error,
        };
    }
    Delivery::Failed {
        status: status_number,
        error,
        retry_after,
    }
}

async fn read_bounded(response: Response) -> String {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while bytes.len() < MAX_ANSWER_BYTES {
        match stream.next().await {
            Some(Ok(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER_BYTES - bytes.len())]),
            Some(Err(_)) | None => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(MAX_ANSWER_CHARACTERS).collect::<String>().trim().to_owned()
}

/// Seconds, or a date as HTTP has it.
fn parse_retry_after(text: &str, now: UnixNanos) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::from_secs(u64::try_from(at.as_second().saturating_sub(now.seconds())).unwrap_or(0))
        }
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

/// The innermost reason, without the address, which may hold a secret.
fn in_words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("the receiver did not answer within {} s", ATTEMPT_TIMEOUT.as_secs());
    }
    let what = if error.is_connect() {
        "the receiver cannot be reached"
    } else {
        "the connection to the receiver broke"
    };
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    format!("{what}: {innermost}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = UnixNanos::parse("2026-11-23T10:00:00Z").unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("999999", Some(3_600)),
            ("Mon, 23 Nov 2026 10:01:30 GMT", Some(90)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(parse_retry_after(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
