//! Reads protobuf's wire format from a slice.

use super::ScanError;

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Length,
    GroupStart,
    GroupEnd,
    Fixed32,
}

impl WireType {
    pub(super) fn expect(self, expected: Self) -> Result<(), ScanError> {
        if self == expected {
            Ok(())
        } else {
            Err(ScanError::Malformed("a field has the wrong wire type"))
        }
    }
}

/// Longest varint of 64 bits.
const MAX_VARINT_BYTES: usize = 10;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Number and wire type of the next field; `None` at the end.
    pub(super) fn key(&mut self) -> Result<Option<(u32, WireType)>, ScanError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| ScanError::Malformed("a field's key is too large"))?;
        let wire_type = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Length,
            3 => WireType::GroupStart,
            4 => WireType::GroupEnd,
            5 => WireType::Fixed32,
            _ => return Err(ScanError::Malformed("a field has an unknown wire type")),
        };
        match key >> 3 {
            0 => Err(ScanError::Malformed("a field has the number 0")),
            number => Ok(Some((number, wire_type))),
        }
    }

    pub(super) fn varint(&mut self) -> Result<u64, ScanError> {
        // Keys and lengths of one byte are nearly all there are.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(MAX_VARINT_BYTES).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                if index + 1 == MAX_VARINT_BYTES && byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(ScanError::Malformed("a number is cut off or too long"))
    }

    pub(super) fn all_varints(mut self) -> Result<(), ScanError> {
        while !self.rest.is_empty() {
            self.varint()?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ScanError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ScanError::Malformed("the message is cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn delimited(&mut self, wire_type: WireType) -> Result<&'a [u8], ScanError> {
        wire_type.expect(WireType::Length)?;
        let length = usize::try_from(self.varint()?).map_err(|_| ScanError::Malformed("the message is cut off"))?;
        self.take(length)
    }

    pub(super) fn text(&mut self, wire_type: WireType) -> Result<&'a str, ScanError> {
        std::str::from_utf8(self.delimited(wire_type)?).map_err(|_| ScanError::Malformed("a string is not UTF-8"))
    }

    /// Skips a field that no schema names.
    pub(super) fn skip(&mut self, number: u32, wire_type: WireType, depth: u32) -> Result<(), ScanError> {
        if depth == 0 {
            return Err(ScanError::Malformed("messages nest too deep"));
        }
        match wire_type {
            WireType::Varint => self.varint().map(|_| ()),
            WireType::Fixed32 => self.take(4).map(|_| ()),
            WireType::Fixed64 => self.take(8).map(|_| ()),
            WireType::Length => self.delimited(wire_type).map(|_| ()),
            WireType::GroupStart => self.skip_group(number, depth),
            WireType::GroupEnd => Err(ScanError::Malformed("a group ends that never began")),
        }
    }

    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), ScanError> {
        loop {
            match self.key()? {
                None => return Err(ScanError::Malformed("a group does not end")),
                Some((inner, WireType::GroupEnd)) if inner == number => return Ok(()),
                Some((_, WireType::GroupEnd)) => return Err(ScanError::Malformed("a group ends that never began")),
                Some((inner, wire_type)) => self.skip(inner, wire_type, depth - 1)?,
            }
        }
    }
}
