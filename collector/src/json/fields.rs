//! Messages as JSON objects: each message lists its fields once, with how each is read.
//!
//! serde's traits carry no state from one value to the next, so the room that is left for messages is kept
//! beside them, per thread: a text is read by one thread from its beginning to its end.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::str::Utf8Error;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A message that can be read field by field.
pub(super) trait FromJson: Default {
    /// Reads the value of the field with this name; `false`, with nothing read, when there is none.
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Implements [`FromJson`]: `"jsonName" | "proto_name" => field: How to read it`.
macro_rules! json_fields {
    ($message:ty { $($name:literal $(| $other:literal)* => $field:ident: $codec:ty),* $(,)? }) => {
        impl $crate::json::fields::FromJson for $message {
            fn field<'de, A: serde::de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
                match name {
                    $($name $(| $other)* => self.$field = map.next_value::<$codec>()?.0.into(),)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}
pub(super) use json_fields;

/// Why a text cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is not UTF-8, anywhere: also what would be ignored is looked at.
    NotUtf8(Utf8Error),
    /// It is not the JSON of such a message.
    Json(serde_json::Error),
    /// Its messages take more memory than there is room for.
    OutOfRoom,
}

thread_local! {
    /// Bytes that the messages of the text that this thread reads may still take; `None`: they took too many.
    static ROOM: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Takes room for one more message of a list.
fn take_room<M, E: Error>() -> Result<(), E> {
    ROOM.set(ROOM.get().and_then(|room| room.checked_sub(size_of::<M>())));
    ROOM.get().map(|_| ()).ok_or_else(|| E::custom("too many messages"))
}

/// Reads a whole text as one message; the messages of its lists may take `room` bytes.
pub(super) fn read_message<M: FromJson>(body: &[u8], room: usize) -> Result<M, ReadError> {
    let text = std::str::from_utf8(body).map_err(ReadError::NotUtf8)?;
    ROOM.set(Some(room));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = deserializer.deserialize_map(MessageVisitor(PhantomData));
    match message.and_then(|message| deserializer.end().map(|()| message)) {
        Ok(message) => Ok(message),
        Err(_) if ROOM.get().is_none() => Err(ReadError::OutOfRoom),
        Err(error) => Err(ReadError::Json(error)),
    }
}

/// A message that may be absent; `null` is absent.
pub(super) struct Message<M>(pub(super) Option<M>);

/// A list of messages; `null` is the empty list, but no element may be `null`.
pub(super) struct List<M>(pub(super) Vec<M>);

/// One message.
pub(super) struct Present<M>(pub(super) M);

impl<'de, M: FromJson> Deserialize<'de> for Message<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Present<M>>::deserialize(deserializer).map(|message| Self(message.map(|present| present.0)))
    }
}

impl<'de, M: FromJson> Deserialize<'de> for Present<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MessageVisitor(PhantomData)).map(Self)
    }
}

impl<'de, M: FromJson> Deserialize<'de> for List<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<M>(PhantomData<M>);
        impl<'de, M: FromJson> Visitor<'de> for ListVisitor<M> {
            type Value = List<M>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of objects")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(List(Vec::new()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Self::Value, S::Error> {
                let mut list = Vec::new();
                while let Some(Present(element)) = elements.next_element::<Present<M>>()? {
                    take_room::<M, S::Error>()?;
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct MessageVisitor<M>(PhantomData<M>);

impl<'de, M: FromJson> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        while let Some(Name(name)) = map.next_key()? {
            if !message.field(&name, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(message)
    }
}

/// A field's name, borrowed where it holds no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
