//! What names an inference within its model.

use xxhash_rust::xxh3::xxh3_128;

use super::MAX_NAME_BYTES;

/// What names an inference within its model: `ml.request.id`, else trace id and span id.
pub type RequestId = String;

/// Bytes of a long id that are kept, for people; with the hash it stays within the bound of names.
const KEPT_BYTES: usize = 200;

/// The id as it is stored: of one beyond [`MAX_NAME_BYTES`] the beginning and a hash of the whole (XXH3-128, 32
/// hex digits), so that two long ids stay two. Telemetry and outcomes shorten alike, and so meet.
pub fn bounded_request_id(mut id: String) -> RequestId {
    if id.len() <= MAX_NAME_BYTES {
        return id;
    }
    let hash = xxh3_128(id.as_bytes());
    let end = (0..=KEPT_BYTES).rev().find(|&end| id.is_char_boundary(end)).unwrap_or(0);
    id.truncate(end);
    format!("{id}{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_stay_apart_and_within_the_bound() {
        let long = |last: &str| format!("{}{last}", "x".repeat(MAX_NAME_BYTES));
        assert_eq!(bounded_request_id("r".into()), "r");
        let longest = "x".repeat(MAX_NAME_BYTES);
        assert_eq!(bounded_request_id(longest.clone()), longest);
        let (one, two) = (bounded_request_id(long("1")), bounded_request_id(long("2")));
        assert_ne!(one, two);
        assert_eq!((one.len(), &one[..KEPT_BYTES]), (KEPT_BYTES + 32, &longest[..KEPT_BYTES]));
        assert_eq!(bounded_request_id(one.clone()), one, "what is short already stays");
        assert_eq!(bounded_request_id("ß".repeat(200)).len(), KEPT_BYTES + 32);
        assert_eq!(bounded_request_id(format!("y{}", "ß".repeat(200))).len(), KEPT_BYTES - 1 + 32);
    }
}
