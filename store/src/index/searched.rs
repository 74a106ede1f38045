//! Values as tantivy reads them: borrowed, and every text of an attribute a text.
//!
//! Not tantivy's own reading of JSON, which makes dates of texts that look like one.

use serde_json::Value;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};

use crate::records::{AllAttributes, ErrorDocument};

/// What is indexed.
#[derive(Debug, Clone)]
pub(super) enum Searched<'a> {
    /// A value of a field.
    Leaf(ReferenceValueLeaf<'a>),
    /// All attributes of an error.
    Attributes(&'a ErrorDocument),
    /// A value of one of them.
    Attribute(&'a Value),
}

/// The elements of an array.
#[derive(Debug)]
pub(super) struct Elements<'a>(std::slice::Iter<'a, Value>);

impl<'a> Iterator for Elements<'a> {
    type Item = Searched<'a>;

    fn next(&mut self) -> Option<Searched<'a>> {
        self.0.next().map(Searched::Attribute)
    }
}

/// The members of an object.
#[derive(Debug)]
pub(super) enum Members<'a> {
    Attributes(AllAttributes<'a>),
    Object(serde_json::map::Iter<'a>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Searched<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Attributes(members) => members.next().map(|(key, value)| (key, Searched::Attribute(value))),
            Self::Object(members) => members.next().map(|(key, value)| (key.as_str(), Searched::Attribute(value))),
        }
    }
}

impl<'a> tantivy::schema::Value<'a> for Searched<'a> {
    type ArrayIter = Elements<'a>;
    type ObjectIter = Members<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        let leaf = match self {
            Self::Leaf(leaf) => leaf.clone(),
            Self::Attributes(error) => return ReferenceValue::Object(Members::Attributes(error.all_attributes())),
            Self::Attribute(Value::Object(members)) => return ReferenceValue::Object(Members::Object(members.iter())),
            Self::Attribute(Value::Array(elements)) => return ReferenceValue::Array(Elements(elements.iter())),
            Self::Attribute(Value::String(text)) => ReferenceValueLeaf::Str(text),
            Self::Attribute(Value::Bool(flag)) => ReferenceValueLeaf::Bool(*flag),
            Self::Attribute(Value::Null) => ReferenceValueLeaf::Null,
            Self::Attribute(Value::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), _, _) => ReferenceValueLeaf::I64(whole),
                (_, Some(whole), _) => ReferenceValueLeaf::U64(whole),
                (_, _, real) => real.map_or(ReferenceValueLeaf::Null, ReferenceValueLeaf::F64),
            },
        };
        ReferenceValue::Leaf(leaf)
    }
}
