//! A cell in eight bytes: a number as it is, anything else in the payload of a NaN that no arithmetic gives.

/// Sign, exponent and the two highest bits of the fraction: a negative quiet NaN with one more bit, which is made nowhere else.
const TAGGED: u64 = 0xfffc << 48;
/// Where the tag of what is no number begins.
const KIND_AT: u32 = 48;
/// What an index may be.
const MAX_INDEX: u64 = (1 << 32) - 1;

const ABSENT: u64 = 0;
const TEXT: u64 = 1;
const ARRAY: u64 = 2;

/// A cell: absent, a number, or which text or array of its column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed(u64);

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unpacked {
    /// Nothing.
    Absent,
    /// A number; NaN and the infinite ones are numbers here.
    Number(f64),
    /// The text with this index.
    Text(usize),
    /// The array with this index.
    Array(usize),
}

impl Packed {
    /// A cell without a value.
    pub const ABSENT: Self = Self(TAGGED | (ABSENT << KIND_AT));

    /// Of every NaN there is one.
    pub fn number(number: f64) -> Self {
        let number = if number.is_nan() { f64::NAN.abs() } else { number };
        Self(number.to_bits())
    }

    /// The text with this index.
    pub fn text(index: usize) -> Self {
        Self(TAGGED | (TEXT << KIND_AT) | bounded(index))
    }

    /// The array with this index.
    pub fn array(index: usize) -> Self {
        Self(TAGGED | (ARRAY << KIND_AT) | bounded(index))
    }

    /// What it holds.
    pub fn unpacked(self) -> Unpacked {
        if self.0 & TAGGED != TAGGED {
            return Unpacked::Number(f64::from_bits(self.0));
        }
        let index = (self.0 & MAX_INDEX) as usize;
        match (self.0 >> KIND_AT) & 0b11 {
            TEXT => Unpacked::Text(index),
            ARRAY => Unpacked::Array(index),
            _ => Unpacked::Absent,
        }
    }
}

fn bounded(index: usize) -> u64 {
    let index = index as u64;
    assert!(index <= MAX_INDEX, "a column has more than 4,294,967,296 different values");
    index
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_number_is_told_apart() {
        assert_eq!(Packed::ABSENT.unpacked(), Unpacked::Absent);
        for index in [0, 1, MAX_INDEX as usize] {
            assert_eq!(Packed::text(index).unpacked(), Unpacked::Text(index));
            assert_eq!(Packed::array(index).unpacked(), Unpacked::Array(index));
        }
    }

    proptest! {
        #[test]
        fn every_number_stays_what_it_is(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            match Packed::number(number).unpacked() {
                Unpacked::Number(found) => prop_assert!(found.to_bits() == bits || (found.is_nan() && number.is_nan())),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
