//! A segment of the log, damaged: payloads are cut from the bytes, the first of which say what is damaged and how.
#![no_main]

use std::cell::RefCell;

use driftlead_store::wal::fuzz::Segment;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static SEGMENT: RefCell<Segment> = RefCell::new(Segment::create(std::path::Path::new(
        if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." },
    )));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_at_checked(6) else { return };
    let place = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let length = usize::from(head[2]) + 1;
    let payloads: Vec<&[u8]> = rest.chunks(usize::from(head[3]).max(1)).take(64).collect();
    SEGMENT.with_borrow_mut(|segment| {
        segment.check(&payloads, |all| {
            let from = place % all.len();
            match head[4] % 4 {
                // The end is torn off.
                0 => all.truncate(from),
                // Bytes are others.
                1 => {
                    let to = (from + length).min(all.len());
                    all[from..to].iter_mut().for_each(|byte| *byte ^= head[5] | 1);
                }
                // Bytes are those of another place of the file.
                2 => {
                    let to = (from + length).min(all.len());
                    let source = usize::from(head[5]) * 64 % all.len();
                    let other: Vec<u8> = all.iter().cycle().skip(source).take(to - from).copied().collect();
                    all[from..to].copy_from_slice(&other);
                }
                // Nothing.
                _ => {}
            }
        });
    });
});
