//! Compressed bodies: gzip and zstd.
#![no_main]

use driftlead_collector::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzz::compressed(bytes));
