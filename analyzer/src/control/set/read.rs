//! Reading the three formats of an upload.

use std::fmt;

use driftlead_store::records::MAX_NAME_BYTES;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Example, Expected, Input, SetError};
use crate::models::{FeatureValue, Features};

/// Longest text of an example, in bytes: the bound on attribute values.
const MAX_TEXT_BYTES: usize = 32 << 10;
/// Features of an example, as the product's own limit has them.
const MAX_FEATURES: usize = 1_000;
/// Tags of an example.
const MAX_TAGS: usize = 64;

/// How an upload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetFormat {
    /// An array of examples, or an object with `examples`.
    Json,
    /// One example per line.
    JsonLines,
    /// One example per row, with a header.
    Csv,
}

impl SetFormat {
    /// From a content type, parameters ignored; `None` when it is none of the three.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "application/json" => Some(Self::Json),
            "application/jsonl" | "application/x-ndjson" | "application/ndjson" | "application/jsonlines" => Some(Self::JsonLines),
            "text/csv" | "application/csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl fmt::Display for SetFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::JsonLines => "JSONL",
            Self::Csv => "CSV",
        })
    }
}

/// One example as it was written, before it is checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadExample {
    id: Option<Name>,
    input: Option<ReadInput>,
    expected: Option<ReadExpected>,
    features: Option<ReadFeatures>,
    text: Option<String>,
    image: Option<String>,
    label: Option<Name>,
    value: Option<f64>,
    tolerance: Option<f64>,
    #[serde(default)]
    tags: Vec<String>,
    segment: Option<Name>,
}

type ReadFeatures = std::collections::BTreeMap<String, Option<FeatureValue>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadInput {
    features: Option<ReadFeatures>,
    text: Option<String>,
    image: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadExpected {
    label: Option<Name>,
    value: Option<f64>,
    tolerance: Option<f64>,
}

/// Text, where numbers and booleans are welcome too: ids and classes are often written as such.
#[derive(Debug, Serialize)]
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FeatureValue::deserialize(deserializer).map(|value| Self(value.as_category().into_owned()))
    }
}

impl ReadExample {
    /// Whether it says nothing of what is expected.
    pub(super) fn has_no_expectation(&self) -> bool {
        let nested = self
            .expected
            .as_ref()
            .is_some_and(|expected| expected.label.is_some() || expected.value.is_some());
        self.label.is_none() && self.value.is_none() && !nested
    }

    /// Checks it; `index` counts from 0 and names an example without an id.
    pub(super) fn into_example(self, index: usize) -> Result<Example, String> {
        let nested_input = self.input.unwrap_or_default();
        let nested_expected = self.expected.unwrap_or_default();
        let input = Input {
            features: present(self.features.or(nested_input.features).unwrap_or_default()),
            text: self.text.or(nested_input.text),
            image: self.image.or(nested_input.image),
        };
        check_input(&input)?;
        let expected = expected(
            self.label.or(nested_expected.label),
            self.value.or(nested_expected.value),
            self.tolerance.or(nested_expected.tolerance),
        )?;
        let id = self.id.map_or_else(|| (index + 1).to_string(), |Name(id)| id);
        let segment = self.segment.map(|Name(segment)| segment).filter(|segment| !segment.is_empty());
        if self.tags.len() > MAX_TAGS {
            return Err(format!("it has more than {MAX_TAGS} tags"));
        }
        check_name("id", &id)?;
        self.tags.iter().try_for_each(|tag| check_name("tag", tag))?;
        segment.iter().try_for_each(|segment| check_name("segment", segment))?;
        Ok(Example {
            id,
            input,
            expected,
            tags: self.tags,
            segment,
        })
    }
}

/// Without what is absent: nulls, and numbers that are none.
fn present(features: ReadFeatures) -> Features {
    features
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .filter(|(_, value)| !matches!(value, FeatureValue::Number(number) if !number.is_finite()))
        .collect()
}

fn check_input(input: &Input) -> Result<(), String> {
    if input.features.is_empty() && input.text.is_none() && input.image.is_none() {
        return Err("it has no input: give it `features`, `text` or `image`".to_owned());
    }
    if input.features.len() > MAX_FEATURES {
        return Err(format!("it has more than {MAX_FEATURES} features"));
    }
    input.features.keys().try_for_each(|name| check_name("feature", name))?;
    let texts = input.features.values().filter_map(|value| match value {
        FeatureValue::Text(text) => Some(text),
        FeatureValue::Number(_) => None,
    });
    if texts.chain(&input.text).chain(&input.image).any(|text| text.len() > MAX_TEXT_BYTES) {
        return Err(format!("it has a text of more than {MAX_TEXT_BYTES} bytes"));
    }
    Ok(())
}

fn expected(label: Option<Name>, value: Option<f64>, tolerance: Option<f64>) -> Result<Expected, String> {
    match (label, value) {
        (Some(_), Some(_)) => Err("it has a label and a value: give it one of them".to_owned()),
        (Some(_), None) if tolerance.is_some() => Err("a tolerance belongs to a value, it has a label".to_owned()),
        (Some(Name(label)), None) => {
            check_name("label", &label)?;
            Ok(Expected::Label(label))
        }
        (None, Some(value)) => {
            let tolerance = tolerance.unwrap_or_default();
            if !value.is_finite() || !tolerance.is_finite() || tolerance < 0.0 {
                return Err("value and tolerance must be finite, the tolerance not negative".to_owned());
            }
            Ok(Expected::Value { value, tolerance })
        }
        (None, None) => Err("it has no label and no value".to_owned()),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("its {what} is empty"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("its {what} is longer than {MAX_NAME_BYTES} bytes"));
    }
    Ok(())
}

/// Reads an upload of any of the formats. Errors name the place, never the text that stands there.
pub(super) fn read(format: SetFormat, body: &[u8]) -> Result<Vec<ReadExample>, SetError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let outcome = match format {
        SetFormat::Json => read_json(body),
        SetFormat::JsonLines => read_lines(body),
        SetFormat::Csv => read_csv(body),
    };
    outcome.map_err(|reason| SetError::Unreadable { format, reason })
}

fn read_json(body: &[u8]) -> Result<Vec<ReadExample>, String> {
    #[derive(Deserialize)]
    struct Wrapped {
        examples: Vec<ReadExample>,
    }
    if body.trim_ascii_start().starts_with(b"{") {
        let wrapped: Wrapped = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        return Ok(wrapped.examples);
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn read_lines(body: &[u8]) -> Result<Vec<ReadExample>, String> {
    body.split(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(index, line)| serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", index + 1)))
        .collect()
}

fn read_csv(body: &[u8]) -> Result<Vec<ReadExample>, String> {
    let mut reader = csv::Reader::from_reader(body);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    rows.iter()
        .enumerate()
        .map(|(index, row)| read_row(&header, row).map_err(|problem| format!("row {}: {problem}", index + 1)))
        .collect()
}

fn read_row(header: &csv::StringRecord, row: &csv::StringRecord) -> Result<ReadExample, String> {
    let mut example = ReadExample::default();
    let mut features = ReadFeatures::new();
    for (name, field) in header.iter().zip(row) {
        if field.is_empty() {
            continue;
        }
        let name_of = || Some(Name(field.to_owned()));
        match name {
            "id" => example.id = name_of(),
            "text" => example.text = Some(field.to_owned()),
            "image" => example.image = Some(field.to_owned()),
            "label" => example.label = name_of(),
            "value" => example.value = Some(number(name, field)?),
            "tolerance" => example.tolerance = Some(number(name, field)?),
            "tags" => {
                example.tags = field
                    .split(';')
                    .map(|tag| tag.trim().to_owned())
                    .filter(|tag| !tag.is_empty())
                    .collect()
            }
            "segment" => example.segment = name_of(),
            // A code such as 02134 is no number, and a model that needs one reads it from the text.
            feature => {
                features.insert(feature.to_owned(), Some(FeatureValue::Text(field.to_owned())));
            }
        }
    }
    example.features = Some(features);
    Ok(example)
}

fn number(column: &str, field: &str) -> Result<f64, String> {
    field.trim().parse().map_err(|_| format!("the column {column:?} needs a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_csv_are_kept_as_they_are_written() {
        let read = read(SetFormat::Csv, b"id,zip,age,note,label\n1,02134,39,,01\n2,10115, 40.50 ,x,1\n").unwrap();
        let examples: Vec<Example> = (0..).zip(read).map(|(index, read)| read.into_example(index).unwrap()).collect();
        let zip = &examples[0].input.features["zip"];
        assert_eq!((zip.as_category().as_ref(), zip.as_number()), ("02134", Some(2134.0)));
        assert_eq!(examples[1].input.features["age"].as_number(), Some(40.5));
        assert!(!examples[0].input.features.contains_key("note"), "an empty field is absent");
        assert_eq!(examples[0].expected, Expected::Label("01".to_owned()));
    }
}
