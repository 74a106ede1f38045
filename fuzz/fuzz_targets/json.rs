//! OTLP as JSON: the first byte says which signal, the rest is the request.
#![no_main]

use std::sync::LazyLock;

use driftlead_collector::redact::Redaction;
use driftlead_collector::{Signal, fuzz};
use libfuzzer_sys::fuzz_target;

static REDACTION: LazyLock<Redaction> = LazyLock::new(fuzz::redaction);

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, request)) = bytes.split_first() {
        fuzz::json(Signal::ALL[usize::from(*first) % Signal::ALL.len()], request, &REDACTION);
    }
});
