//! What the front has to know about output formats: which of them can be streamed.
//!
//! The engine gives the answer of a streamed query in pieces, each a complete document of its own. In
//! formats without head and tail such pieces can simply follow each other, and in
//! `RowBinaryWithNamesAndTypes` the head of every piece but the first can be cut off. In all other formats
//! the answer has to be made as one document.

use super::exception::Exception;

/// How an answer in a format can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Pieces follow each other.
    Streamed,
    /// Pieces follow each other without their heads of names and types.
    StreamedWithoutHeads,
    /// One document, made in memory.
    Whole,
}

/// How an answer in `format` can be given.
pub fn delivery(format: &str) -> Delivery {
    const CONCATENABLE: [&str; 11] = [
        "RowBinary",
        "Native",
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "CSV",
        "JSONEachRow",
        "NDJSON",
        "JSONCompactEachRow",
        "LineAsString",
    ];
    match format {
        "RowBinaryWithNamesAndTypes" => Delivery::StreamedWithoutHeads,
        name if CONCATENABLE.contains(&name) => Delivery::Streamed,
        _ => Delivery::Whole,
    }
}

/// Media type of a format, as ClickHouse states it.
pub fn content_type(format: &str) -> &'static str {
    match format {
        "JSONEachRow" | "NDJSON" | "JSONCompactEachRow" => "application/x-ndjson; charset=UTF-8",
        name if name.starts_with("JSON") => "application/json; charset=UTF-8",
        name if name.starts_with("CSV") => "text/csv; charset=UTF-8; header=absent",
        name if name.starts_with("TSV") || name.starts_with("TabSeparated") => "text/tab-separated-values; charset=UTF-8",
        name if name.starts_with("Pretty") || name == "Vertical" || name == "Values" => "text/plain; charset=UTF-8",
        _ => "application/octet-stream",
    }
}

/// Length of the head of a piece of `RowBinaryWithNamesAndTypes`: the number of columns, their names,
/// their types; numbers and lengths as LEB128.
///
/// # Errors
/// The piece is shorter than its head says.
pub fn head_length(piece: &[u8]) -> Result<usize, Exception> {
    let broken = || Exception::internal("a piece of an answer has no head");
    let mut at = 0;
    let columns = leb128(piece, &mut at).ok_or_else(broken)?;
    for _ in 0..columns.saturating_mul(2) {
        let length = leb128(piece, &mut at).ok_or_else(broken)?;
        at = usize::try_from(length)
            .ok()
            .and_then(|length| at.checked_add(length))
            .ok_or_else(broken)?;
        if at > piece.len() {
            return Err(broken());
        }
    }
    Ok(at)
}

fn leb128(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_measured() {
        assert_eq!(head_length(b"\x01\x06number\x06UInt64\x07\x00").unwrap(), 15);
        assert_eq!(head_length(b"\x00").unwrap(), 1);
        assert!(head_length(b"\x01\x06num").is_err());
        assert!(head_length(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }
}
