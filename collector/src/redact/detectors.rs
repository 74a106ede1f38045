//! What the built-in detectors look for: email addresses, phone numbers, payment cards and keys.
//!
//! They are meant to be left on, so each rather misses an odd one than takes an id, a version or a time for one:
//! numbers must be written as people write phone numbers, cards must be of a known issuer and pass Luhn's check.

use std::ops::Range;

/// Looks for one kind of text.
pub(super) struct Detector {
    /// As the configuration names it.
    pub(super) name: &'static str,
    /// What stands in its place.
    pub(super) replacement: &'static str,
    /// Any of these finds it; a group named `secret` is what is replaced.
    pub(super) expressions: &'static [&'static str],
    /// Whether what was found is meant.
    pub(super) is_meant: fn(&str, Range<usize>) -> bool,
    /// Whether a whole number may be one.
    pub(super) numbers: bool,
}

/// All of them.
pub(super) static DETECTORS: [Detector; 4] = [
    Detector {
        name: "email",
        replacement: "[email]",
        expressions: &[r"(?i)[a-z0-9._%+'\-]{1,64}@(?:[a-z0-9](?:[a-z0-9\-]{0,62})\.){1,8}[a-z]{2,24}"],
        is_meant: ends_alone,
        numbers: false,
    },
    Detector {
        name: "phone",
        replacement: "[phone]",
        expressions: &[
            // International: +49 30 901820, +1 (617) 555-0123, +79161234567.
            r"\+[1-9](?:[ .\-]?\(?[0-9]\)?){7,14}",
            // North America: (617) 555-0123, 617-555-0123, 617.555.0123.
            r"(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.\-])[2-9][0-9]{2}[.\-][0-9]{4}",
            // Russia: 8 (916) 123-45-67, 8-916-123-45-67.
            r"8[ \-]?\(?[3489][0-9]{2}\)?[ \-]?[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{2}",
        ],
        is_meant: stands_alone,
        numbers: false,
    },
    Detector {
        name: "card",
        replacement: "[card]",
        expressions: &[
            r"[2-6][0-9]{12,18}",
            r"[2-6][0-9]{3}(?:[ \-][0-9]{4}){3}",
            r"3[47][0-9]{2}[ \-][0-9]{6}[ \-][0-9]{5}",
        ],
        is_meant: is_card,
        numbers: true,
    },
    Detector {
        name: "key",
        replacement: "[key]",
        expressions: &[
            r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(?s:.)*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|\z)",
            r"(?i)bearer\s+(?P<secret>[a-z0-9._~+/\-]{16,}=*)",
            r"(?i)authorization\W{0,4}basic\s+(?P<secret>[a-z0-9+/]{8,}=*)",
            // User and password of an address.
            r"[a-z][a-z0-9+.\-]{1,20}://(?P<secret>[^\s/:@]{0,128}:[^\s/@]{1,256})@",
            // JSON Web Tokens.
            r"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*",
            // AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI and Anthropic, Hugging Face, npm, PyPI, our own.
            r"(?:AKIA|ASIA)[0-9A-Z]{16}",
            r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}",
            r"glpat-[A-Za-z0-9_\-]{20,255}",
            r"xox[abeoprs]-[A-Za-z0-9\-]{10,255}",
            r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}|whsec_[A-Za-z0-9+/=]{24,255}",
            r"AIza[A-Za-z0-9_\-]{35}",
            r"sk-[A-Za-z0-9]{20,255}|sk-(?:proj|ant|svcacct|admin)-[A-Za-z0-9_\-]{20,255}",
            r"hf_[A-Za-z0-9]{30,255}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_\-]{50,255}",
            r"dl_[0-9a-f]{64}",
        ],
        is_meant: begins_alone,
        numbers: false,
    },
];

impl Detector {
    /// The detector of this name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        DETECTORS.iter().find(|detector| detector.name == name)
    }
}

/// Nothing that would make it a part of a longer word or number stands before it.
fn begins_alone(text: &str, found: Range<usize>) -> bool {
    text[..found.start]
        .chars()
        .next_back()
        .is_none_or(|before| !before.is_alphanumeric())
}

/// It is no part of a longer word, number, version or path.
fn stands_alone(text: &str, found: Range<usize>) -> bool {
    let before = text[..found.start].chars().next_back();
    before.is_none_or(|before| !before.is_alphanumeric() && !matches!(before, '.' | '-' | '_' | '+' | '/')) && ends_alone(text, found)
}

/// No word or number goes on after it.
fn ends_alone(text: &str, found: Range<usize>) -> bool {
    let mut after = text[found.end..].chars();
    let (next, one_further) = (after.next(), after.next());
    // `…0123.` ends a sentence, `…0123.4` goes on; so does `…0123-4`.
    let goes_on = match next {
        Some('.' | '-' | ',' | ':') => one_further.is_some_and(|further| further.is_ascii_digit()),
        Some(next) => next.is_alphanumeric() || next == '_',
        None => false,
    };
    !goes_on
}

fn is_card(text: &str, found: Range<usize>) -> bool {
    let digits: Vec<u8> = text[found.clone()]
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| digit - b'0')
        .collect();
    stands_alone(text, found) && has_issuer(&digits) && passes_luhn(&digits)
}

/// Whether the number begins as those of an issuer do and is as long: Visa, Mastercard, Mir, American Express,
/// Diners Club, JCB, Discover and UnionPay (ISO/IEC 7812).
fn has_issuer(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0, |number, digit| number * 10 + u32::from(*digit));
    let lengths = match prefix {
        2200..=2204 => 16..=19,
        2221..=2720 | 5100..=5599 => 16..=16,
        3400..=3499 | 3700..=3799 => 15..=15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => 14..=19,
        3528..=3589 | 6011 | 6440..=6599 | 6200..=6299 => 16..=19,
        4000..=4999 => return matches!(digits.len(), 13 | 16 | 19),
        _ => return false,
    };
    lengths.contains(&digits.len())
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::patterns::Patterns;
    use super::*;

    fn check(detector: &str, cases: &[(&str, &str)]) {
        let patterns = Patterns::new(&[], &[detector.to_owned()]).unwrap();
        for (text, expected) in cases {
            let redacted = patterns.redacted(text).unwrap_or_else(|| (*text).to_owned());
            assert_eq!(redacted, *expected, "{detector}");
        }
    }

    #[test]
    fn emails() {
        check(
            "email",
            &[
                ("bob@example.com", "[email]"),
                ("Bob <bob.o'neil+x@mail.example.co.uk>, hello", "Bob <[email]>, hello"),
                ("from a@b.io to c@d.org.", "from [email] to [email]."),
                ("почта:ivan@пример.рф or ivan@primer.ru!", "почта:ivan@пример.рф or [email]!"),
                ("GET /users/bob@example.com/orders", "GET /users/[email]/orders"),
                ("user@host", "user@host"),
                ("@decorator", "@decorator"),
                ("git@github", "git@github"),
                ("sha256@0123", "sha256@0123"),
                ("3 @ 4.5 each", "3 @ 4.5 each"),
            ],
        );
    }

    #[test]
    fn phones() {
        check(
            "phone",
            &[
                ("call +49 30 901820 now", "call [phone] now"),
                ("+1 (617) 555-0123", "[phone]"),
                ("+79161234567,", "[phone],"),
                ("(617) 555-0123", "[phone]"),
                ("617-555-0123.", "[phone]."),
                ("тел. 8 (916) 123-45-67", "тел. [phone]"),
                ("8-916-123-45-67", "[phone]"),
                ("2026-11-26T08:30:00+0100", "2026-11-26T08:30:00+0100"),
                ("1e+10", "1e+10"),
                ("617-555-01234", "617-555-01234"),
                ("v1.617.555.0123", "v1.617.555.0123"),
                ("10.0.0.1:4317", "10.0.0.1:4317"),
                ("took 1234567890 ns", "took 1234567890 ns"),
                ("id 550e8400-e29b-41d4-a716-446655440000", "id 550e8400-e29b-41d4-a716-446655440000"),
            ],
        );
    }

    #[test]
    fn cards() {
        check(
            "card",
            &[
                ("4111111111111111", "[card]"),
                ("card 4111 1111 1111 1111, thanks", "card [card], thanks"),
                ("4111 1111 1111 1111 2026", "[card] 2026"),
                ("3400 000000 00009", "[card]"),
                ("5500-0000-0000-0004", "[card]"),
                ("340000000000009", "[card]"),
                ("2200 0000 0000 0004", "[card]"),
                ("6011000000000004", "[card]"),
                ("4111111111111112", "4111111111111112"),
                ("41111111111111", "41111111111111"),
                ("0.4111111111111111", "0.4111111111111111"),
                ("order-4111111111111111", "order-4111111111111111"),
                ("4111111111111111abc", "4111111111111111abc"),
                ("1764144000000000000", "1764144000000000000"),
                ("7000000000000005", "7000000000000005"),
            ],
        );
    }

    #[test]
    fn keys() {
        let hex = "0123456789abcdef".repeat(4);
        let letters = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
        let owned: Vec<(String, &str)> = vec![
            (format!("dl_{hex}"), "[key]"),
            ("AKIAIOSFODNN7EXAMPLE".into(), "[key]"),
            (format!("token ghp_{letters}."), "token [key]."),
            (format!("sk-{letters}"), "[key]"),
            (format!("hf_{letters}"), "[key]"),
            ("Authorization: Bearer abcdefghijklmnop1234".into(), "Authorization: Bearer [key]"),
            ("authorization=basic dXNlcjpwYXNzd29yZA==".into(), "authorization=basic [key]"),
            (
                "postgres://app:s3cret@db:5432/x and http://ok/".into(),
                "postgres://[key]@db:5432/x and http://ok/",
            ),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP".into(), "[key]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n+/=\n-----END RSA PRIVATE KEY-----\nrest".into(),
                "[key]\nrest",
            ),
            ("sk-learn-pipeline-of-version-two".into(), "sk-learn-pipeline-of-version-two"),
            ("basic authentication-is-not-enough".into(), "basic authentication-is-not-enough"),
            ("disk-usage-is-high-on-node-12".into(), "disk-usage-is-high-on-node-12"),
            ("the bearer of good news".into(), "the bearer of good news"),
            (hex.clone(), hex.as_str()),
            (format!("xsk-{letters}"), ""),
        ];
        let mut cases: Vec<(&str, &str)> = owned.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
        // A part of a longer word is no key.
        let last = cases.len() - 1;
        cases[last].1 = cases[last].0;
        check("key", &cases);
    }

    #[test]
    fn luhn_finds_every_single_wrong_digit() {
        let valid = [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        assert!(passes_luhn(&valid));
        for place in 0..valid.len() {
            for digit in (0..10).filter(|digit| *digit != valid[place]) {
                let mut wrong = valid;
                wrong[place] = digit;
                assert!(!passes_luhn(&wrong));
            }
        }
    }
}
