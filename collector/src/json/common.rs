//! Attributes, values, resources and scopes.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::de::MapAccess;

use super::fields::{FromJson, List, Message, json_fields};
use super::scalars::{Base64, Double, Flag, Signed64, Text, Texts, Unsigned32};

json_fields!(KeyValue {
    "key" => key: Text,
    "value" => value: Message<AnyValue>,
});

json_fields!(ArrayValue {
    "values" => values: List<AnyValue>,
});

json_fields!(KeyValueList {
    "values" => values: List<KeyValue>,
});

json_fields!(Resource {
    "attributes" => attributes: List<KeyValue>,
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count: Unsigned32,
    "entityRefs" | "entity_refs" => entity_refs: List<EntityRef>,
});

json_fields!(EntityRef {
    "schemaUrl" | "schema_url" => schema_url: Text,
    "type" => r#type: Text,
    "idKeys" | "id_keys" => id_keys: Texts,
    "descriptionKeys" | "description_keys" => description_keys: Texts,
});

json_fields!(InstrumentationScope {
    "name" => name: Text,
    "version" => version: Text,
    "attributes" => attributes: List<KeyValue>,
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count: Unsigned32,
});

impl FromJson for AnyValue {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let value = match name {
            "stringValue" | "string_value" => map.next_value::<Option<Text>>()?.map(|text| Value::StringValue(text.0)),
            "boolValue" | "bool_value" => map.next_value::<Option<Flag>>()?.map(|flag| Value::BoolValue(flag.0)),
            "intValue" | "int_value" => map.next_value::<Option<Signed64>>()?.map(|number| Value::IntValue(number.0)),
            "doubleValue" | "double_value" => map.next_value::<Option<Double>>()?.map(|number| Value::DoubleValue(number.0)),
            "arrayValue" | "array_value" => map.next_value::<Message<ArrayValue>>()?.0.map(Value::ArrayValue),
            "kvlistValue" | "kvlist_value" => map.next_value::<Message<KeyValueList>>()?.0.map(Value::KvlistValue),
            "bytesValue" | "bytes_value" => map.next_value::<Option<Base64>>()?.map(|bytes| Value::BytesValue(bytes.0)),
            _ => return Ok(false),
        };
        if value.is_some() {
            self.value = value;
        }
        Ok(true)
    }
}
