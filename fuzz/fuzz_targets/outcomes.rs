//! Bodies of outcomes: JSON, arrays and NDJSON; what is accepted is written to the log and read back the same.
#![no_main]

use driftlead_store::clock::UnixNanos;
use driftlead_store::records::outcome_line::{parse_body, read_payload, write_payload};
use libfuzzer_sys::fuzz_target;

const RECEIVED_TIME: UnixNanos = UnixNanos(1_760_000_000_000_000_000);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = parse_body(bytes, RECEIVED_TIME) {
        let (read, unreadable) = read_payload(&write_payload(&batch.accepted), RECEIVED_TIME);
        let expected: Vec<_> = batch.accepted.into_iter().map(|line| line.into_outcome(RECEIVED_TIME)).collect();
        assert_eq!((format!("{read:?}"), unreadable), (format!("{expected:?}"), 0));
    }
});
