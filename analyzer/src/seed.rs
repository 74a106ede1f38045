//! Seeds that follow from what is computed, so that computing it again gives the same.

/// FNV-1a over the parts, each ended by a byte that no text holds.
pub fn seed_of(parts: &[&str]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        assert_eq!(seed_of(&["a", "b"]), seed_of(&["a", "b"]));
        assert_ne!(seed_of(&["a", "b"]), seed_of(&["ab", ""]));
        assert_ne!(seed_of(&["a", "b"]), seed_of(&["b", "a"]));
    }
}
