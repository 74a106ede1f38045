//! What must hold for any bytes; called by the fuzzers (`make fuzz`). Each panics where it does not hold.

use bytes::Bytes;
use driftlead_store::clock::UnixNanos;
use driftlead_store::drain::Decode;
use driftlead_store::wal::{Frame, Position};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::admit::BytesInFlight;
use crate::body::{self, Compression};
use crate::json;
use crate::redact::{RedactConfig, Redaction};
use crate::wire::{self, ScanError};
use crate::{Decoder, Signal};

/// Most bytes that a fuzzed body may become.
const LIMIT_BYTES: usize = 1 << 20;
const RECEIVED_TIME: UnixNanos = UnixNanos(1_760_000_000_000_000_000);

/// The strictest redaction: everything is looked at.
///
/// # Panics
/// Never: its settings are right.
pub fn redaction() -> Redaction {
    Redaction::new(&RedactConfig {
        attributes: vec!["secret".to_owned(), "user.*".to_owned()],
        patterns: vec!["ticket-[0-9]+".to_owned()],
        detect: ["email", "phone", "card", "key"].map(str::to_owned).to_vec(),
        keep_text: false,
    })
    .expect("these settings are right")
}

fn prost_reads(signal: Signal, bytes: &[u8]) -> bool {
    match signal {
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).is_ok(),
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).is_ok(),
    }
}

/// The walk accepts what the decoder of the drain accepts; what is kept decodes, to as many records as were counted;
/// redaction leaves a request that is read again, and nothing in it that it would redact.
pub fn protobuf(signal: Signal, bytes: &[u8], redaction: &Redaction) {
    let reads = prost_reads(signal, bytes);
    let scan = match wire::scan(signal, bytes, redaction) {
        Ok(scan) => scan,
        Err(ScanError::TooMany) => return,
        Err(ScanError::Malformed(problem)) => return assert!(!reads, "the decoder reads what the walk refuses: {problem}"),
    };
    assert!(reads, "the walk accepts what the decoder cannot read");
    let payload = Bytes::copy_from_slice(bytes);
    decode(signal, &payload);
    match redaction.apply(signal, bytes).expect("it decodes") {
        None => {}
        Some(redacted) => {
            assert!(scan.concerns_redaction, "the walk passed by something to redact");
            assert!(prost_reads(signal, &redacted));
            decode(signal, &redacted.into());
        }
    }
}

fn decode(signal: Signal, payload: &Bytes) {
    let position = Position { segment: 1, offset: 64 };
    let frame = Frame {
        position,
        end: position,
        kind: signal.frame_kind(),
        received_time: RECEIVED_TIME,
        key_id: String::new(),
        payload: payload.clone(),
    };
    let (first, second) = (Decoder::default().decode(&frame), Decoder::default().decode(&frame));
    assert_eq!(format!("{first:?}"), format!("{second:?}"), "decoding is deterministic");
    let (errors, all_of_them) = (Decoder::default().errors(&frame), Decoder::default().find_errors(&frame));
    assert_eq!(format!("{errors:?}"), format!("{all_of_them:?}"), "the glance passed by an error");
}

/// JSON that is taken becomes protobuf that is taken.
pub fn json(signal: Signal, bytes: &[u8], redaction: &Redaction) {
    if let Ok(message) = json::to_protobuf(signal, bytes) {
        assert!(prost_reads(signal, &message));
        protobuf(signal, &message, redaction);
    }
}

/// Whatever is decompressed stays within its limit, and all bytes that were held are given back.
pub fn compressed(bytes: &[u8]) {
    let held_bytes = BytesInFlight::new(4 * LIMIT_BYTES);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut held = held_bytes.hold();
        held.take(bytes.len()).expect("a small body");
        if let Ok(body) = body::decompress(compression, Bytes::copy_from_slice(bytes), LIMIT_BYTES, &mut held) {
            assert!(body.len() <= LIMIT_BYTES);
        }
        drop(held);
        assert_eq!(held_bytes.held(), 0);
    }
}
