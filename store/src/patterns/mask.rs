//! Takes out of a word what varies by its looks: numbers with their units, hexadecimal ids, UUIDs, addresses, times.
//!
//! A word is looked at in runs of letters and digits. A run varies when it begins with a digit (`35ms`, `2026`, `0x7f`) or is
//! a hexadecimal number with digits in it (`9f86d081`); names with a number at their end (`utf8`, `s3`, `worker7`) stay:
//! where those vary, the templates learn it. Runs that vary are replaced with their punctuation between them, so that a
//! date, an address and a path of ids are one gap each.

/// What stands in the place of what was taken out.
pub(super) const GAP: &str = "<*>";

/// Hexadecimal runs are ids from this length on; shorter ones may be words, such as `dead` or `b2b`.
const MIN_HEX: usize = 6;

/// Appends the word with gaps to `masked`.
pub(super) fn mask_word(word: &str, masked: &mut String) {
    if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        masked.push_str(word);
        return;
    }
    let bytes = word.as_bytes();
    let mut at = 0;
    // Whether the gap that was written last may take in what follows.
    let mut in_gap = false;
    // Punctuation after a gap, held back until it is known whether the gap goes on.
    let mut held = 0..0;
    while at < bytes.len() {
        let start = at;
        let is_run = is_of_run(bytes[at]);
        while at < bytes.len() && is_of_run(bytes[at]) == is_run {
            at += 1;
        }
        if !is_run {
            held = start..at;
            if !in_gap {
                masked.push_str(&word[start..at]);
            }
            continue;
        }
        let varies = varies(&bytes[start..at]) || (in_gap && is_joined_hex(&bytes[start..at], bytes, at));
        match (varies, in_gap) {
            (true, true) if joins(&bytes[held.clone()]) => {}
            (true, true) => {
                masked.push_str(&word[held.clone()]);
                masked.push_str(GAP);
            }
            (true, false) => masked.push_str(GAP),
            (false, true) => {
                masked.push_str(&word[held.clone()]);
                masked.push_str(&word[start..at]);
            }
            (false, false) => masked.push_str(&word[start..at]),
        }
        in_gap = varies;
        held = at..at;
    }
    if in_gap {
        masked.push_str(&word[held]);
    }
}

/// Bytes beyond ASCII are parts of letters.
fn is_of_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn varies(run: &[u8]) -> bool {
    run[0].is_ascii_digit() || (run.len() >= MIN_HEX && is_hex(run) && run.iter().any(u8::is_ascii_digit))
}

fn is_hex(run: &[u8]) -> bool {
    run.iter().all(u8::is_ascii_hexdigit)
}

/// A group of a UUID that has letters only: four or more hexadecimal digits amid others.
fn is_joined_hex(run: &[u8], word: &[u8], end: usize) -> bool {
    run.len() >= 4 && is_hex(run) && matches!(word.get(end), None | Some(b'-'))
}

/// Punctuation that holds one number, time, address or id together.
fn joins(between: &[u8]) -> bool {
    matches!(between, [b'.' | b':' | b'-' | b'/' | b',' | b'+' | b'_'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(word: &str) -> String {
        let mut masked = String::new();
        mask_word(word, &mut masked);
        masked
    }

    #[test]
    fn what_varies_by_its_looks_is_taken_out() {
        for (word, expected) in [
            ("connection", "connection"),
            ("35ms", "<*>"),
            ("35ms,", "<*>,"),
            ("(42)", "(<*>)"),
            ("-1.5e-3", "-<*>"),
            ("2026-11-26T15:24:37.123Z", "<*>"),
            ("10.0.0.1:8080", "<*>"),
            ("/users/42/orders/77", "/users/<*>/orders/<*>"),
            ("550e8400-e29b-41d4-a716-446655440000", "<*>"),
            ("550e8400-abcd-41d4-abcd-446655440000", "<*>"),
            ("0x7f3a9c", "<*>"),
            ("9f86d081884c7d65", "<*>"),
            ("deadbeef", "deadbeef"),
            ("utf8", "utf8"),
            ("s3://bucket", "s3://bucket"),
            ("sha256", "sha256"),
            ("HTTP/1.1", "HTTP/<*>"),
            ("code=500", "code=<*>"),
            ("a=1;b=2", "a=<*>;b=<*>"),
            ("[1, ", "[<*>, "),
            ("worker7", "worker7"),
            ("тариф9", "тариф9"),
            ("9шт", "<*>"),
            ("5", "<*>"),
            ("", ""),
        ] {
            assert_eq!(masked(word), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_never_left(number in any::<u64>(), before in "[a-z]{0,5}[=:/(]", after in "[)/,;]?") {
            let word = format!("{before}{number}{after}");
            prop_assert_eq!(masked(&word), format!("{before}<*>{after}"));
        }

        #[test]
        fn any_word_is_masked_within_its_bounds(word in "\\PC{0,40}") {
            let once = masked(&word);
            prop_assert!(once.len() <= word.len() * 3 + GAP.len());
        }
    }
}
