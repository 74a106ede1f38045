//! Scalars as OTLP's JSON writes them. `null` reads as the default, as in all protobuf JSON.
//!
//! Texts are read as bytes: languages whose strings are UTF-16 write halves of surrogate pairs (`"\ud83d"`)
//! where a text was cut within a character, and that is to cost the character, not the request.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::ids::INVALID_ID;

/// `fixed64` and `uint64`.
#[derive(Default)]
pub(super) struct Unsigned64(pub(super) u64);
/// `sfixed64` and `int64`.
#[derive(Default)]
pub(super) struct Signed64(pub(super) i64);
/// `fixed32` and `uint32`.
#[derive(Default)]
pub(super) struct Unsigned32(pub(super) u32);
/// `int32` and `sint32`.
#[derive(Default)]
pub(super) struct Signed32(pub(super) i32);
/// `double`.
#[derive(Default)]
pub(super) struct Double(pub(super) f64);
/// `optional double`: `null` is absent.
pub(super) struct MaybeDouble(pub(super) Option<f64>);
/// `string`.
#[derive(Default)]
pub(super) struct Text(pub(super) String);
/// `bool`.
#[derive(Default)]
pub(super) struct Flag(pub(super) bool);
/// An id of a trace or a span: hex of any case.
#[derive(Default)]
pub(super) struct Id(pub(super) Vec<u8>);
/// Other bytes: base64, of either alphabet, padded or not.
#[derive(Default)]
pub(super) struct Base64(pub(super) Vec<u8>);
/// A list of scalars.
pub(super) struct Scalars<T>(pub(super) Vec<T>);

const WITH_ANY_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, WITH_ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, WITH_ANY_PADDING);

macro_rules! integer {
    ($codec:ident, $integer:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $codec {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct IntegerVisitor;
                impl Visitor<'_> for IntegerVisitor {
                    type Value = $codec;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($expected)
                    }

                    fn visit_u64<E: Error>(self, number: u64) -> Result<$codec, E> {
                        <$integer>::try_from(number)
                            .map($codec)
                            .map_err(|_| E::custom(format_args!("{number} is not {}", $expected)))
                    }

                    fn visit_i64<E: Error>(self, number: i64) -> Result<$codec, E> {
                        <$integer>::try_from(number)
                            .map($codec)
                            .map_err(|_| E::custom(format_args!("{number} is not {}", $expected)))
                    }

                    fn visit_f64<E: Error>(self, number: f64) -> Result<$codec, E> {
                        // Languages without integers write 1e3 or 5.0. Beyond 2^53 such a number is not exact.
                        const EXACT: f64 = 9_007_199_254_740_992.0;
                        let whole = number as $integer;
                        if number.abs() <= EXACT && whole as f64 == number {
                            Ok($codec(whole))
                        } else {
                            Err(E::custom(format_args!("{number} is not {}", $expected)))
                        }
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$codec, E> {
                        <$integer>::from_str(text)
                            .map($codec)
                            .map_err(|_| E::custom(concat!("a string is not ", $expected)))
                    }

                    fn visit_unit<E>(self) -> Result<$codec, E> {
                        Ok($codec::default())
                    }
                }
                deserializer.deserialize_any(IntegerVisitor)
            }
        }
    };
}

integer!(Unsigned64, u64, "a whole number of 64 bits");
integer!(Signed64, i64, "a signed whole number of 64 bits");
integer!(Unsigned32, u32, "a whole number of 32 bits");
integer!(Signed32, i32, "a signed whole number of 32 bits");

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DoubleVisitor;
        impl Visitor<'_> for DoubleVisitor {
            type Value = Double;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Double, E> {
                Ok(Double(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Double, E> {
                Ok(Double(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Double, E> {
                Ok(Double(number as f64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Double, E> {
                match text {
                    "NaN" => Ok(Double(f64::NAN)),
                    "Infinity" => Ok(Double(f64::INFINITY)),
                    "-Infinity" => Ok(Double(f64::NEG_INFINITY)),
                    _ => text.parse().map(Double).map_err(|_| E::custom("a string is not a number")),
                }
            }

            fn visit_unit<E>(self) -> Result<Double, E> {
                Ok(Double::default())
            }
        }
        deserializer.deserialize_any(DoubleVisitor)
    }
}

impl<'de> Deserialize<'de> for MaybeDouble {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Double>::deserialize(deserializer).map(|number| Self(number.map(|double| double.0)))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Lossy>::deserialize(deserializer).map(|text| Self(text.map(|text| text.0).unwrap_or_default()))
    }
}

/// A text in which what is no character is replaced.
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LossyVisitor;
        impl Visitor<'_> for LossyVisitor {
            type Value = Lossy;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(LossyVisitor)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<bool>::deserialize(deserializer).map(|flag| Self(flag.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is no hex has no bytes to stand for it; as an id of a wrong length it costs its record alone.
        let Text(text) = Text::deserialize(deserializer)?;
        Ok(Self(hex::decode(&text).unwrap_or_else(|_| INVALID_ID.to_vec())))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        STANDARD
            .decode(&text)
            .or_else(|_| URL_SAFE.decode(&text))
            .map(Self)
            .map_err(|_| D::Error::custom("bytes are not base64"))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Scalars<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarsVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ScalarsVisitor<T> {
            type Value = Scalars<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<Scalars<T>, E> {
                Ok(Scalars(Vec::new()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Scalars<T>, S::Error> {
                let mut list = Vec::new();
                while let Some(element) = elements.next_element()? {
                    list.push(element);
                }
                Ok(Scalars(list))
            }
        }
        deserializer.deserialize_any(ScalarsVisitor(std::marker::PhantomData))
    }
}

/// Lists of numbers, as the messages hold them.
pub(super) struct Counts(pub(super) Vec<u64>);
/// Lists of numbers, as the messages hold them.
pub(super) struct Doubles(pub(super) Vec<f64>);
/// Lists of strings, as the messages hold them.
pub(super) struct Texts(pub(super) Vec<String>);

macro_rules! list_of {
    ($list:ident, $codec:ty) => {
        impl<'de> Deserialize<'de> for $list {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Scalars::<$codec>::deserialize(deserializer).map(|list| Self(list.0.into_iter().map(|element| element.0).collect()))
            }
        }
    };
}

list_of!(Counts, Unsigned64);
list_of!(Doubles, Double);
list_of!(Texts, Text);

/// An enum: its number, or its name as protobuf's own JSON writes it.
pub(super) struct Enumeration<E>(pub(super) i32, std::marker::PhantomData<E>);

/// An enum whose names are known.
pub(super) trait Named {
    /// The number of the value with this name.
    fn number_of(name: &str) -> Option<i32>;
}

impl<'de, E: Named> Deserialize<'de> for Enumeration<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnumVisitor<E>(std::marker::PhantomData<E>);
        impl<E: Named> Visitor<'_> for EnumVisitor<E> {
            type Value = i32;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the number of an enum's value")
            }

            fn visit_u64<Er: Error>(self, number: u64) -> Result<i32, Er> {
                i32::try_from(number).map_err(|_| Er::custom("the number of an enum's value is too large"))
            }

            fn visit_i64<Er: Error>(self, number: i64) -> Result<i32, Er> {
                i32::try_from(number).map_err(|_| Er::custom("the number of an enum's value is too small"))
            }

            fn visit_str<Er: Error>(self, name: &str) -> Result<i32, Er> {
                E::number_of(name)
                    .or_else(|| name.parse().ok())
                    .ok_or_else(|| Er::custom("a string is not an enum's value"))
            }

            fn visit_unit<Er>(self) -> Result<i32, Er> {
                Ok(0)
            }
        }
        deserializer
            .deserialize_any(EnumVisitor::<E>(std::marker::PhantomData))
            .map(|number| Self(number, std::marker::PhantomData))
    }
}
