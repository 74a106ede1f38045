//! One walk over the bytes of an OTLP request, without building it: is it well formed, what does it hold of
//! each service, which records are refused, and does redaction concern it at all.
//!
//! Most requests pass through to the log untouched, so this walk is all that they cost. It accepts exactly
//! what the decoder of the drain (prost) accepts; a test holds the two to each other on mutated requests.

mod glance;
mod reader;
mod schema;

use crate::ids;
use crate::limits::{
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES, MAX_EXPANDED_BYTES, MAX_GROUPS_PER_REQUEST, MAX_MESSAGES_PER_REQUEST, MAX_NESTING,
    MAX_RECORDS_PER_REQUEST,
};
use crate::redact::Redaction;
use crate::signal::Signal;
pub(crate) use glance::may_hold_errors;
use reader::{Reader, WireType};
use schema::{KEY_VALUE, Kind, LOGS_REQUEST, METRICS_REQUEST, Role, Schema, TRACES_REQUEST};

/// Depth to which messages may nest: the decoder's limit.
const MAX_DEPTH: u32 = 100;

const SERVICE_NAME: &str = "service.name";
const ENVIRONMENTS: [&str; 2] = ["deployment.environment.name", "deployment.environment"];

/// Why a request cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    /// Not the protobuf of such a request.
    #[error("{0}")]
    Malformed(&'static str),
    /// More records, resources or messages than a request may hold, or more bytes than its rows may.
    #[error("too many records")]
    TooMany,
}

/// What a request holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scan<'a> {
    /// One entry for each `Resource…` message.
    pub groups: Vec<Group<'a>>,
    /// Redaction may concern it: it has to be decoded to be sure.
    pub concerns_redaction: bool,
    /// Messages of any kind.
    pub messages: u64,
}

/// What one resource sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    /// `service.name`, or empty.
    pub service: &'a str,
    /// Every value of the environment's attributes: one, unless the sender contradicts itself.
    pub environments: Vec<&'a str>,
    /// Records that are kept.
    pub records: u64,
    /// Records that are refused for ids of a wrong length.
    pub invalid_ids: u64,
    /// Attributes beyond the limit of their record.
    pub surplus_attributes: u64,
    /// Attribute values beyond the limit of their length.
    pub long_values: u64,
    /// Values beyond the limit of nesting.
    pub deep_values: u64,
}

/// Walks over a request.
///
/// # Errors
/// The bytes are not such a request, or it holds too much.
pub(crate) fn scan<'a>(signal: Signal, bytes: &'a [u8], redaction: &Redaction) -> Result<Scan<'a>, ScanError> {
    let schema = match signal {
        Signal::Logs => &LOGS_REQUEST,
        Signal::Traces => &TRACES_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
    };
    let mut walk = Walk {
        redaction,
        scan: Scan::default(),
        group: Group::default(),
        record: RecordIds::default(),
        in_body: false,
        records: 0,
        expanded_bytes: bytes.len() as u64,
    };
    walk.message(schema, bytes, MAX_DEPTH, 0)?;
    Ok(walk.scan)
}

struct Walk<'a, 'r> {
    redaction: &'r Redaction,
    scan: Scan<'a>,
    group: Group<'a>,
    record: RecordIds<'a>,
    in_body: bool,
    records: u64,
    /// Bytes of the rows: the request's own, and for each record those that it shares with others.
    expanded_bytes: u64,
}

#[derive(Default)]
struct RecordIds<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
}

impl<'a> Walk<'a, '_> {
    fn message(&mut self, schema: &'static Schema, bytes: &'a [u8], depth: u32, nesting: usize) -> Result<(), ScanError> {
        self.scan.messages += 1;
        if self.scan.messages > MAX_MESSAGES_PER_REQUEST {
            return Err(ScanError::TooMany);
        }
        let nesting = self.enter(schema.role, nesting);
        let mut attributes = 0;
        let (records_before, mut shared_bytes) = (self.records, 0);
        let mut reader = Reader::new(bytes);
        while let Some((number, wire_type)) = reader.key()? {
            match schema.field(number) {
                Kind::Unknown => reader.skip(number, wire_type, depth)?,
                Kind::Varint => {
                    wire_type.expect(WireType::Varint)?;
                    reader.varint()?;
                }
                Kind::Fixed32 => {
                    wire_type.expect(WireType::Fixed32)?;
                    reader.take(4)?;
                }
                Kind::Fixed64 => {
                    wire_type.expect(WireType::Fixed64)?;
                    reader.take(8)?;
                }
                Kind::PackedFixed64 if wire_type == WireType::Length => {
                    if reader.delimited(wire_type)?.len() % 8 != 0 {
                        return Err(ScanError::Malformed("a packed field ends within a number"));
                    }
                }
                Kind::PackedFixed64 => {
                    wire_type.expect(WireType::Fixed64)?;
                    reader.take(8)?;
                }
                Kind::PackedVarint if wire_type == WireType::Length => Reader::new(reader.delimited(wire_type)?).all_varints()?,
                Kind::PackedVarint => {
                    wire_type.expect(WireType::Varint)?;
                    reader.varint()?;
                }
                Kind::Text => {
                    reader.text(wire_type)?;
                }
                Kind::SharedText => shared_bytes += reader.text(wire_type)?.len() as u64,
                Kind::Bytes => {
                    reader.delimited(wire_type)?;
                }
                Kind::FreeText => self.free_text(reader.text(wire_type)?),
                Kind::IntValue => {
                    wire_type.expect(WireType::Varint)?;
                    let number = reader.varint()?.cast_signed();
                    self.scan.concerns_redaction |= self.redaction.may_concern_number(number);
                }
                Kind::TextValue => {
                    let text = reader.text(wire_type)?;
                    self.free_text(text);
                    self.value_length(text.len(), nesting);
                }
                Kind::BytesValue => self.value_length(reader.delimited(wire_type)?.len(), nesting),
                Kind::Key => {
                    let key = reader.text(wire_type)?;
                    self.scan.concerns_redaction |= match nesting {
                        0 => self.redaction.may_concern_attribute(key),
                        _ => self.redaction.may_concern_nested(key),
                    };
                }
                Kind::EventName => {
                    let name = reader.text(wire_type)?;
                    self.scan.concerns_redaction |= self.redaction.concerns_body_of(name);
                }
                Kind::TraceId => self.record.trace_id = reader.delimited(wire_type)?,
                Kind::SpanId => self.record.span_id = reader.delimited(wire_type)?,
                Kind::ParentSpanId => self.record.parent_span_id = reader.delimited(wire_type)?,
                Kind::Attribute => {
                    attributes += 1;
                    let attribute = reader.delimited(wire_type)?;
                    self.nested(&KEY_VALUE, attribute, depth, 0)?;
                    if schema.role == Role::Resource {
                        self.resource_attribute(attribute)?;
                    }
                }
                Kind::Body(inner) => {
                    self.in_body = true;
                    self.nested(inner, reader.delimited(wire_type)?, depth, nesting)?;
                    self.in_body = false;
                }
                Kind::Message(inner) => {
                    let message = reader.delimited(wire_type)?;
                    if matches!(inner.role, Role::Resource | Role::Scope) {
                        shared_bytes += message.len() as u64;
                    }
                    self.nested(inner, message, depth, nesting)?;
                }
            }
        }
        self.expand(self.records - records_before, shared_bytes)?;
        self.group.surplus_attributes += (attributes as u64).saturating_sub(MAX_ATTRIBUTES as u64);
        self.leave(schema.role)
    }

    /// Counts what the records of a message carry of it in their rows.
    fn expand(&mut self, records: u64, shared_bytes: u64) -> Result<(), ScanError> {
        self.expanded_bytes = self.expanded_bytes.saturating_add(records.saturating_mul(shared_bytes));
        match shared_bytes {
            1.. if self.expanded_bytes > MAX_EXPANDED_BYTES => Err(ScanError::TooMany),
            _ => Ok(()),
        }
    }

    fn nested(&mut self, schema: &'static Schema, bytes: &'a [u8], depth: u32, nesting: usize) -> Result<(), ScanError> {
        if depth == 0 {
            return Err(ScanError::Malformed("messages nest too deep"));
        }
        self.message(schema, bytes, depth - 1, nesting)
    }

    fn enter(&mut self, role: Role, nesting: usize) -> usize {
        match role {
            Role::Group => self.group = Group::default(),
            Role::Log | Role::Span => self.record = RecordIds::default(),
            Role::Value => {
                self.group.deep_values += u64::from(nesting == MAX_NESTING);
                return nesting + 1;
            }
            Role::Plain | Role::Resource | Role::Scope | Role::Point => {}
        }
        nesting
    }

    fn leave(&mut self, role: Role) -> Result<(), ScanError> {
        let ids = &self.record;
        let valid = match role {
            Role::Plain | Role::Resource | Role::Scope | Role::Value => return Ok(()),
            Role::Group => {
                if self.scan.groups.len() == MAX_GROUPS_PER_REQUEST {
                    return Err(ScanError::TooMany);
                }
                self.scan.groups.push(std::mem::take(&mut self.group));
                return Ok(());
            }
            Role::Log => ids::log_ids_valid(ids.trace_id, ids.span_id),
            Role::Span => ids::span_ids_valid(ids.trace_id, ids.span_id, ids.parent_span_id),
            Role::Point => true,
        };
        self.records += 1;
        if self.records > MAX_RECORDS_PER_REQUEST {
            return Err(ScanError::TooMany);
        }
        self.group.records += u64::from(valid);
        self.group.invalid_ids += u64::from(!valid);
        Ok(())
    }

    fn free_text(&mut self, text: &str) {
        // Once it is known that the request has to be decoded, nothing more has to be found.
        self.scan.concerns_redaction = self.scan.concerns_redaction || self.redaction.may_concern_text(text);
    }

    fn value_length(&mut self, bytes: usize, nesting: usize) {
        self.group.long_values += u64::from(nesting == 1 && !self.in_body && bytes > MAX_ATTRIBUTE_VALUE_BYTES);
    }

    fn resource_attribute(&mut self, attribute: &'a [u8]) -> Result<(), ScanError> {
        let (key, value) = text_attribute(attribute)?;
        if key == SERVICE_NAME {
            self.group.service = value;
        } else if ENVIRONMENTS.contains(&key) {
            self.group.environments.push(value);
        }
        Ok(())
    }
}

/// Name and text of an attribute that was found well formed; a value that is no text reads as empty.
fn text_attribute(attribute: &[u8]) -> Result<(&str, &str), ScanError> {
    let (mut key, mut text) = ("", "");
    let mut reader = Reader::new(attribute);
    while let Some((number, wire_type)) = reader.key()? {
        match number {
            1 => key = reader.text(wire_type)?,
            2 => {
                let mut value = Reader::new(reader.delimited(wire_type)?);
                while let Some((number, wire_type)) = value.key()? {
                    match number {
                        1 => text = value.text(wire_type)?,
                        // Of the fields of a value the last that was written holds.
                        2..=8 => {
                            value.skip(number, wire_type, MAX_DEPTH)?;
                            text = "";
                        }
                        _ => value.skip(number, wire_type, MAX_DEPTH)?,
                    }
                }
            }
            _ => reader.skip(number, wire_type, MAX_DEPTH)?,
        }
    }
    Ok((key, text))
}

#[cfg(test)]
mod tests;
