//! Log-linear buckets of numbers: the one bucketing that profiles, latencies and drift share.
//!
//! A bucket is named by a signed key. Zero has key 0. A positive number has the key
//! `(bits(x) >> 45) + 1`: the exponent and the seven leading bits of the mantissa of its IEEE 754
//! form, so a bucket is at most 1/128 (0.78 %) wide relative to its lower edge and every integer up to
//! 256 has a bucket of its own. A negative number has the negated key of its magnitude. ClickHouse
//! computes the same key with `bitShiftRight(reinterpretAsUInt64(abs(x)), 45)`.

const DROPPED_MANTISSA_BITS: u32 = 45;

/// The key of a finite number's bucket. NaN and infinities have no bucket: `None`.
pub fn key_of(value: f64) -> Option<i32> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some(0);
    }
    let magnitude = (value.abs().to_bits() >> DROPPED_MANTISSA_BITS) as i32 + 1;
    Some(if value < 0.0 { -magnitude } else { magnitude })
}

/// The edge of the bucket that is nearer to zero; the bucket of a positive key holds
/// `edge(key) <= x < edge(key + 1)`.
pub fn edge(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    let magnitude = f64::from_bits(((key.unsigned_abs() - 1) as u64) << DROPPED_MANTISSA_BITS);
    if key < 0 { -magnitude } else { magnitude }
}

/// The middle of a bucket, for means and for display.
pub fn middle(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    let outer = if key > 0 { edge(key + 1) } else { edge(key - 1) };
    (edge(key) + outer) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_up_to_256_have_buckets_of_their_own() {
        for i in 1..=256 {
            let key = key_of(i as f64).unwrap();
            assert_eq!(edge(key), i as f64);
            assert_ne!(key_of((i - 1) as f64), Some(key));
        }
    }

    #[test]
    fn what_is_not_finite_has_no_bucket() {
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(key_of), [None; 3]);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_narrow(x in prop::num::f64::NORMAL) {
            let key = key_of(x).unwrap();
            let (near, far) = (edge(key).abs(), edge(key + key.signum()).abs());
            prop_assert!(near <= x.abs() && x.abs() < far);
            prop_assert!(far.is_infinite() || (far - near) / near <= 1.0 / 128.0 + 1e-12);
        }

        #[test]
        fn keys_keep_the_order(a in prop::num::f64::NORMAL, b in prop::num::f64::NORMAL) {
            if a < b { prop_assert!(key_of(a) <= key_of(b)); }
        }
    }
}
