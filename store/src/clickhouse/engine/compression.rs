//! Compression of bodies: `Content-Encoding` gzip and zstd, and ClickHouse's own blocks
//! (`compress=1`, `decompress=1`).
//!
//! A native block is 16 bytes of CityHash 1.0.2 over what follows; one byte for the method (0x82 LZ4,
//! 0x90 ZSTD, 0x02 none); the compressed size, these nine bytes included; the size of the data, both 32 bits,
//! little endian; the compressed data.

use std::io::{Read, Write};

use super::exception::{Exception, code};

const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
const METHOD_ZSTD: u8 = 0x90;

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: zstd`.
    Zstd,
    /// ClickHouse's blocks with LZ4.
    Native,
}

impl Encoding {
    /// What `Accept-Encoding` allows, zstd before gzip.
    pub fn accepted(header: &str) -> Self {
        let names = || header.split(',').filter_map(accepted_name);
        if names().any(|name| name == "zstd") {
            Self::Zstd
        } else if names().any(|name| name == "gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// Value of `Content-Encoding`.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Identity | Self::Native => None,
        }
    }
}

/// The name in one entry of `Accept-Encoding`, unless its quality is 0.
fn accepted_name(entry: &str) -> Option<&str> {
    let (name, quality) = entry.split_once(";q=").unwrap_or((entry, "1"));
    (quality.trim().parse::<f32>().unwrap_or(1.0) > 0.0).then(|| name.trim())
}

fn broken(reason: impl std::fmt::Display) -> Exception {
    Exception::new(
        code::CANNOT_DECOMPRESS,
        "CANNOT_DECOMPRESS",
        format_args!("The body does not decompress: {reason}"),
    )
}

fn too_large(limit: usize) -> Exception {
    Exception::new(
        code::QUERY_IS_TOO_LARGE,
        "QUERY_IS_TOO_LARGE",
        format_args!("The body is larger than {limit} bytes after decompression"),
    )
}

/// Undoes a `Content-Encoding`; at most `limit` bytes.
///
/// # Errors
/// An encoding that is not known, broken data, or more than `limit`.
pub fn decode_content(encoding: &str, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Exception> {
    match encoding.trim() {
        "" | "identity" => Ok(bytes.to_vec()),
        "gzip" | "x-gzip" => read_bounded(flate2::read::MultiGzDecoder::new(bytes), limit),
        "zstd" => read_bounded(zstd::Decoder::new(bytes).map_err(broken)?, limit),
        other => Err(Exception::new(
            code::NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            format_args!("Content-Encoding {other:?} is not supported: send gzip or zstd"),
        )),
    }
}

fn read_bounded(reader: impl Read, limit: usize) -> Result<Vec<u8>, Exception> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

/// Undoes native blocks; at most `limit` bytes.
///
/// # Errors
/// A block that is cut, has a wrong checksum or an unknown method, or more than `limit`.
pub fn decode_native(mut bytes: &[u8], limit: usize) -> Result<Vec<u8>, Exception> {
    let mut decoded = Vec::new();
    while !bytes.is_empty() {
        let (block, rest) = next_block(bytes)?;
        let size = u32::from_le_bytes([block[5], block[6], block[7], block[8]]) as usize;
        if decoded.len() + size > limit {
            return Err(too_large(limit));
        }
        let data = &block[HEADER_BYTES..];
        let start = decoded.len();
        match block[0] {
            METHOD_NONE => decoded.extend_from_slice(data),
            METHOD_LZ4 => {
                decoded.resize(start + size, 0);
                lz4_flex::block::decompress_into(data, &mut decoded[start..]).map_err(broken)?;
            }
            METHOD_ZSTD => decoded.extend(zstd::bulk::decompress(data, size).map_err(broken)?),
            method => return Err(broken(format_args!("unknown method 0x{method:02x}"))),
        }
        if decoded.len() != start + size {
            return Err(broken("a block has another size than it says"));
        }
        bytes = rest;
    }
    Ok(decoded)
}

/// The first block, checksum cut off and checked, and what follows it.
fn next_block(bytes: &[u8]) -> Result<(&[u8], &[u8]), Exception> {
    let cut = || broken("a block is cut");
    let (checksum, rest) = bytes.split_at_checked(CHECKSUM_BYTES).ok_or_else(cut)?;
    let header = rest.get(..HEADER_BYTES).ok_or_else(cut)?;
    let size = u32::from_le_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let (block, rest) = rest
        .split_at_checked(size)
        .filter(|(block, _)| block.len() >= HEADER_BYTES)
        .ok_or_else(cut)?;
    if checksum != checksum_of(block) {
        return Err(broken("a block has a wrong checksum"));
    }
    Ok((block, rest))
}

fn checksum_of(block: &[u8]) -> [u8; CHECKSUM_BYTES] {
    // The two halves of the hash are written high half first.
    cityhash_rs::cityhash_102_128(block).rotate_left(64).to_le_bytes()
}

fn encode_native(bytes: &[u8]) -> Vec<u8> {
    let compressed = lz4_flex::block::compress(bytes);
    let mut block = Vec::with_capacity(HEADER_BYTES + compressed.len());
    block.push(METHOD_LZ4);
    block.extend_from_slice(&((compressed.len() + HEADER_BYTES) as u32).to_le_bytes());
    block.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    block.extend_from_slice(&compressed);
    let mut framed = checksum_of(&block).to_vec();
    framed.append(&mut block);
    framed
}

/// Compresses an answer piece by piece.
pub enum Encoder {
    /// Passes pieces through.
    Identity,
    /// A gzip stream.
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    /// A zstd frame.
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    /// Native blocks.
    Native,
}

/// Native blocks hold at most this much data, as ClickHouse's own do (1 MiB by default).
const NATIVE_BLOCK_BYTES: usize = 1 << 20;

impl Encoder {
    /// A compressor for one answer.
    ///
    /// # Errors
    /// zstd did not start.
    pub fn new(encoding: Encoding) -> Result<Self, Exception> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Native => Self::Native,
            Encoding::Gzip => Self::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()))),
            Encoding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), 1);
                Self::Zstd(Box::new(encoder.map_err(|error| Exception::internal(&error.to_string()))?))
            }
        })
    }

    /// Takes a piece and gives what can be sent so far.
    ///
    /// # Errors
    /// The compressor failed.
    pub fn push(&mut self, piece: Vec<u8>) -> Result<Vec<u8>, Exception> {
        let failed = |error: std::io::Error| Exception::internal(&error.to_string());
        match self {
            Self::Identity => Ok(piece),
            Self::Native => Ok(piece.chunks(NATIVE_BLOCK_BYTES).flat_map(encode_native).collect()),
            Self::Gzip(encoder) => {
                encoder.write_all(&piece).map_err(failed)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&piece).map_err(failed)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// What is left to send.
    ///
    /// # Errors
    /// The compressor failed.
    pub fn finish(self) -> Result<Vec<u8>, Exception> {
        let failed = |error: std::io::Error| Exception::internal(&error.to_string());
        match self {
            Self::Identity | Self::Native => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish().map_err(failed),
            Self::Zstd(encoder) => encoder.finish().map_err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(encoding: Encoding, pieces: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new(encoding).unwrap();
        let mut sent = Vec::new();
        for piece in pieces {
            sent.extend(encoder.push(piece.to_vec()).unwrap());
        }
        sent.extend(encoder.finish().unwrap());
        match encoding.header() {
            Some(header) => decode_content(header, &sent, 1 << 24).unwrap(),
            None if encoding == Encoding::Native => decode_native(&sent, 1 << 24).unwrap(),
            None => sent,
        }
    }

    #[test]
    fn what_is_encoded_decodes() {
        let long = b"drift".repeat(500_000);
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd, Encoding::Native] {
            assert_eq!(
                round_trip(encoding, &[b"a", b"", &long]),
                [b"a".as_slice(), &long].concat(),
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn broken_and_oversized_bodies_are_refused() {
        let good = encode_native(&b"drift".repeat(100));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode_native(&bad, 1 << 20).is_err(), "flipped byte {at}");
            assert!(decode_native(&good[..at.max(1)], 1 << 20).is_err(), "cut at {at}");
        }
        assert_eq!(decode_native(&good, 499).unwrap_err().code, code::QUERY_IS_TOO_LARGE);
        assert_eq!(decode_content("br", &[], 1).unwrap_err().code, code::NOT_IMPLEMENTED);
        assert_eq!(decode_content("gzip", &[1, 2, 3], 1).unwrap_err().code, code::CANNOT_DECOMPRESS);
    }

    #[test]
    fn the_accepted_encoding_is_chosen() {
        assert_eq!(Encoding::accepted("gzip, zstd"), Encoding::Zstd);
        assert_eq!(Encoding::accepted("gzip;q=0.5, zstd;q=0"), Encoding::Gzip);
        assert_eq!(Encoding::accepted("br"), Encoding::Identity);
    }
}
