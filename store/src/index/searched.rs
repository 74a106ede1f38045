//! Attributes as tantivy reads them: borrowed, and every text a text.
//!
//! Not tantivy's own reading of JSON, which makes dates of texts that look like one.

use std::collections::BTreeMap;
use std::collections::btree_map;

use serde_json::Value;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};

/// What is indexed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Searched<'a> {
    /// All attributes of an error.
    All(&'a BTreeMap<&'a str, &'a Value>),
    /// A value of one of them.
    One(&'a Value),
}

/// The elements of an array.
#[derive(Debug)]
pub(super) struct Elements<'a>(std::slice::Iter<'a, Value>);

impl<'a> Iterator for Elements<'a> {
    type Item = Searched<'a>;

    fn next(&mut self) -> Option<Searched<'a>> {
        self.0.next().map(Searched::One)
    }
}

/// The members of an object.
#[derive(Debug)]
pub(super) enum Members<'a> {
    All(btree_map::Iter<'a, &'a str, &'a Value>),
    One(serde_json::map::Iter<'a>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Searched<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::All(members) => members.next().map(|(key, value)| (*key, Searched::One(value))),
            Self::One(members) => members.next().map(|(key, value)| (key.as_str(), Searched::One(value))),
        }
    }
}

impl<'a> tantivy::schema::Value<'a> for Searched<'a> {
    type ArrayIter = Elements<'a>;
    type ObjectIter = Members<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        let leaf = match *self {
            Self::All(attributes) => return ReferenceValue::Object(Members::All(attributes.iter())),
            Self::One(Value::Object(members)) => return ReferenceValue::Object(Members::One(members.iter())),
            Self::One(Value::Array(elements)) => return ReferenceValue::Array(Elements(elements.iter())),
            Self::One(Value::String(text)) => ReferenceValueLeaf::Str(text),
            Self::One(Value::Bool(flag)) => ReferenceValueLeaf::Bool(*flag),
            Self::One(Value::Null) => ReferenceValueLeaf::Null,
            Self::One(Value::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), _, _) => ReferenceValueLeaf::I64(whole),
                (_, Some(whole), _) => ReferenceValueLeaf::U64(whole),
                (_, _, real) => real.map_or(ReferenceValueLeaf::Null, ReferenceValueLeaf::F64),
            },
        };
        ReferenceValue::Leaf(leaf)
    }
}
