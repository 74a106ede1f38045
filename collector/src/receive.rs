//! The one way that a request takes, however it came: decompress, make JSON protobuf, walk over it, redact,
//! append, answer. Nothing is answered with success before it is durable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use driftlead_store::clock::Clock;
use driftlead_store::wal::{AppendError, Appended, Log, NewFrame};
use xxhash_rust::xxh3::Xxh3;

use crate::admit::{HeldBytes, KeyChecker, KeyGrant};
use crate::body::{self, Compression};
use crate::decode::cuts::reasons;
use crate::json::{self, JsonError};
use crate::limits::{BYTES_PER_MESSAGE, INLINE_BYTES, MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES};
use crate::redact::Redaction;
use crate::refusal::{Refusal, echo};
use crate::signal::Signal;
use crate::status::{CollectorStatus, ServiceShare};
use crate::wire::{self, Group, Scan, ScanError};

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// A request whose sender was let in and whose body has come.
pub(crate) struct Request {
    pub(crate) signal: Signal,
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    pub(crate) grant: KeyGrant,
    pub(crate) body: Bytes,
    pub(crate) held: HeldBytes,
}

/// The answer to a request that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Records that were not kept although the request was.
    pub(crate) rejected: u64,
    /// Why; empty when nothing was rejected.
    pub(crate) message: String,
}

/// Takes requests into the log.
#[derive(Clone)]
pub(crate) struct Receiver {
    log: Log,
    redaction: Arc<Redaction>,
    status: CollectorStatus,
    keys: Arc<dyn KeyChecker>,
    clock: Clock,
}

impl Receiver {
    pub(crate) fn new(log: Log, redaction: Redaction, status: CollectorStatus, keys: Arc<dyn KeyChecker>, clock: Clock) -> Self {
        Self {
            log,
            redaction: Arc::new(redaction),
            status,
            keys,
            clock,
        }
    }

    pub(crate) fn status(&self) -> &CollectorStatus {
        &self.status
    }

    /// Keeps a request. Refusals are not counted here: the caller counts those of every layer alike.
    pub(crate) async fn receive(&self, request: Request) -> Result<Answer, Refusal> {
        let signal = request.signal;
        let prepared = self.prepare(request).await?;
        let answer = prepared.answer();
        // A request without a record that can be kept has nothing to be durable.
        let outcome = if prepared.records() > 0 {
            self.append(signal, &prepared).await
        } else {
            Ok(None)
        };
        // What is refused costs its sender nothing: it comes again.
        if outcome.is_ok() {
            self.keys.charge(&prepared.grant, prepared.records(), prepared.body_bytes);
        }
        match outcome {
            Ok(Some(Appended::Repeated)) => self.status.repeated(),
            Ok(_) => self
                .status
                .accepted(signal, &prepared.shares, prepared.body_bytes, prepared.redacted, self.clock.now()),
            Err(refusal) => {
                self.status.refused_records(refusal.reason(), &prepared.shares);
                return Err(refusal);
            }
        }
        Ok(answer)
    }

    async fn append(&self, signal: Signal, prepared: &Prepared) -> Result<Option<Appended>, Refusal> {
        let frame = NewFrame {
            kind: signal.frame_kind(),
            key_id: prepared.grant.key_id.clone(),
            content_hash: prepared.content_hash,
            payload: prepared.payload.clone(),
        };
        self.log.append(frame).await.map(Some).map_err(|error| match error {
            AppendError::Full { .. } => Refusal::LogFull,
            AppendError::Poisoned { .. } | AppendError::Closed => Refusal::LogUnavailable,
            AppendError::TooLarge { .. } => Refusal::TooLarge {
                limit_bytes: MAX_REQUEST_BYTES,
            },
        })
    }

    async fn prepare(&self, request: Request) -> Result<Prepared, Refusal> {
        if request.body.len() <= INLINE_BYTES && request.compression == Compression::Identity {
            return prepare(request, &self.redaction);
        }
        let redaction = Arc::clone(&self.redaction);
        match tokio::task::spawn_blocking(move || prepare(request, &redaction)).await {
            Ok(prepared) => prepared,
            // Only a runtime that is stopping cancels it; the client still has the request.
            Err(_) => Err(Refusal::LogUnavailable),
        }
    }
}

/// A request that is ready for the log.
struct Prepared {
    grant: KeyGrant,
    payload: Bytes,
    content_hash: u128,
    body_bytes: u64,
    redacted: bool,
    shares: Vec<ServiceShare>,
    /// Counts the payload until it is in the log.
    _held: HeldBytes,
}

impl Prepared {
    fn records(&self) -> u64 {
        self.shares.iter().map(|share| share.records).sum()
    }

    fn answer(&self) -> Answer {
        let rejected: u64 = self.shares.iter().flat_map(|share| share.refused.values()).sum();
        let message = match rejected {
            0 => String::new(),
            _ => {
                format!("{rejected} records were not kept: a trace id has 16 bytes (32 hex digits), a span id 8 (16), and a span has both")
            }
        };
        Answer { rejected, message }
    }
}

fn prepare(mut request: Request, redaction: &Redaction) -> Result<Prepared, Refusal> {
    let body = body::decompress(request.compression, request.body, MAX_REQUEST_BYTES, &mut request.held)?;
    let content_hash = content_hash(request.signal, &request.grant.key_id, &body);
    let body_bytes = body.len() as u64;
    let payload = match request.encoding {
        Encoding::Protobuf => body,
        Encoding::Json => {
            request.held.take(message_bytes(json::objects_in(&body), body.len()))?;
            let protobuf = json::to_protobuf(request.signal, &body).map_err(refusal_of_json)?;
            drop(body);
            request.held.keep(protobuf.len());
            protobuf.into()
        }
    };
    let scan = wire::scan(request.signal, &payload, redaction).map_err(refusal_of_scan)?;
    check_environments(&scan, &request.grant)?;
    let shares = shares_of(&scan);
    let redacted = if scan.concerns_redaction {
        request.held.take(message_bytes(scan.messages, payload.len()))?;
        redact(redaction, request.signal, &payload)?
    } else {
        None
    };
    let was_redacted = redacted.is_some();
    let payload = redacted.unwrap_or(payload);
    request.held.keep(payload.len());
    Ok(Prepared {
        grant: request.grant,
        redacted: was_redacted,
        payload,
        content_hash,
        body_bytes,
        shares,
        _held: request.held,
    })
}

/// What a body takes in memory when it is read as messages and written again: neither their texts nor the
/// outcome are longer than the body.
fn message_bytes(messages: u64, body_bytes: usize) -> usize {
    let messages = usize::try_from(messages).unwrap_or(usize::MAX);
    messages
        .saturating_mul(BYTES_PER_MESSAGE)
        .saturating_add(body_bytes.saturating_mul(2))
        .min(MAX_MESSAGE_BYTES)
}

fn redact(redaction: &Redaction, signal: Signal, payload: &[u8]) -> Result<Option<Bytes>, Refusal> {
    let redacted = redaction.apply(signal, payload).map_err(|error| Refusal::Malformed {
        problem: echo(&error.to_string()),
    })?;
    Ok(redacted.map(Bytes::from))
}

/// Names a request by its kind, its key and the client's own bytes, so that a second attempt is recognised
/// whatever redaction makes of it.
fn content_hash(signal: Signal, key_id: &str, body: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&[signal.frame_kind() as u8]);
    hasher.update(&(key_id.len() as u64).to_le_bytes());
    hasher.update(key_id.as_bytes());
    hasher.update(body);
    hasher.digest128()
}

fn check_environments(scan: &Scan<'_>, grant: &KeyGrant) -> Result<(), Refusal> {
    for group in &scan.groups {
        let stated: Cow<'_, [&str]> = if group.environments.is_empty() {
            Cow::Owned(vec![""])
        } else {
            Cow::Borrowed(&group.environments)
        };
        if let Some(environment) = stated.iter().find(|environment| !grant.permits(environment)) {
            return Err(Refusal::EnvironmentRefused {
                environment: echo(environment),
            });
        }
    }
    Ok(())
}

fn shares_of(scan: &Scan<'_>) -> Vec<ServiceShare> {
    scan.groups.iter().map(share_of).collect()
}

fn share_of(group: &Group<'_>) -> ServiceShare {
    let counted = |counts: &[(&'static str, u64)]| -> BTreeMap<&'static str, u64> {
        counts.iter().copied().filter(|(_, count)| *count > 0).collect()
    };
    ServiceShare {
        service: group.service.to_owned(),
        records: group.records,
        refused: counted(&[(reasons::INVALID_IDS, group.invalid_ids)]),
        cut: counted(&[
            (reasons::TOO_MANY_ATTRIBUTES, group.surplus_attributes),
            (reasons::ATTRIBUTE_VALUE_TOO_LONG, group.long_values),
            (reasons::NESTING_TOO_DEEP, group.deep_values),
        ]),
    }
}

fn refusal_of_json(error: JsonError) -> Refusal {
    match error {
        JsonError::Malformed(problem) => Refusal::Malformed { problem },
        JsonError::TooMany => Refusal::TooManyRecords,
    }
}

fn refusal_of_scan(error: ScanError) -> Refusal {
    match error {
        ScanError::Malformed(problem) => Refusal::Malformed {
            problem: problem.to_owned(),
        },
        ScanError::TooMany => Refusal::TooManyRecords,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_by_kind_key_and_bytes() {
        let name = |signal, key_id, body: &[u8]| content_hash(signal, key_id, body);
        let one = name(Signal::Logs, "k", b"body");
        assert_eq!(one, name(Signal::Logs, "k", b"body"));
        for other in [
            name(Signal::Traces, "k", b"body"),
            name(Signal::Logs, "l", b"body"),
            name(Signal::Logs, "kb", b"ody"),
            name(Signal::Logs, "", b"kbody"),
            name(Signal::Logs, "k", b"bodx"),
        ] {
            assert_ne!(one, other);
        }
    }
}
