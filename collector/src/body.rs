//! Reads bodies within the limits: of bytes, of bytes in flight, of time, and of bytes after decompression.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};

use crate::admit::HeldBytes;
use crate::limits::{BODY_IDLE_TIMEOUT, BODY_TIMEOUT};
use crate::refusal::Refusal;

/// Reserved at once for a body whose length is declared; more is reserved as it comes, since a declaration
/// costs the client nothing.
const MAX_RESERVED_BYTES: usize = 1024 * 1024;
/// Of a body that is too large so much is read all the same: twice the limit, which is what a batch size that is set a
/// little too high gives. Larger bodies are answered at once, and their senders may see the connection close.
const MAX_DISCARDED_BYTES: usize = 128 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// Decompressed at once between two looks at the limits.
const CHUNK_BYTES: usize = 64 * 1024;
/// Largest window of zstd, as a power of two: the request limit, which encoders that know the whole
/// content choose as the window.
const MAX_ZSTD_WINDOW_LOG: u32 = 26;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Identity,
    Gzip,
    Zstd,
}

impl Compression {
    /// Reads the name that headers use.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Reads a whole body of at most `limit` bytes. `check` sees what has come so far, each time more came.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    held: &mut HeldBytes,
    check: impl Fn(&[u8]) -> Result<(), Refusal>,
) -> Result<Bytes, Refusal> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if let Some(declared) = declared.filter(|declared| *declared > limit as u64) {
        if declared <= MAX_DISCARDED_BYTES as u64 {
            discard(&mut body, declared as usize).await;
        }
        return Err(Refusal::TooLarge { limit_bytes: limit });
    }
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut read = BytesMut::with_capacity(declared.map_or(0, |declared| declared as usize).min(MAX_RESERVED_BYTES));
    while let Some(frame) = timeout(patience(deadline), body.frame()).await.map_err(|_| Refusal::BodyTimeout)? {
        let frame = frame.map_err(|_| Refusal::Malformed {
            problem: "the body broke off".to_owned(),
        })?;
        // Trailers say nothing that is needed.
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > limit {
            let room = MAX_DISCARDED_BYTES.saturating_sub(read.len() + data.len());
            drop((read, data));
            discard(&mut body, room).await;
            return Err(Refusal::TooLarge { limit_bytes: limit });
        }
        held.take(data.len())?;
        read.extend_from_slice(&data);
        check(&read)?;
    }
    Ok(read.freeze())
}

/// Reads on past what is refused, keeping nothing: a client that is still sending when the connection closes meets a
/// reset instead of the answer, and would send the same again.
async fn discard(body: &mut Body, mut room: usize) {
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if bytes > room {
                return;
            }
            room -= bytes;
        }
    };
    // Whoever has not ended by then does not wait for an answer.
    let _ended = timeout(DISCARD_TIMEOUT, reading).await;
}

fn patience(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).min(BODY_IDLE_TIMEOUT)
}

/// Decompresses a body to at most `limit` bytes. Blocks.
pub(crate) fn decompress(compression: Compression, body: Bytes, limit: usize, held: &mut HeldBytes) -> Result<Bytes, Refusal> {
    let decompressed = match compression {
        Compression::Identity => return Ok(body),
        Compression::Gzip => read_limited(MultiGzDecoder::new(body.as_ref()), limit, held)?,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref()).map_err(malformed)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(malformed)?;
            read_limited(decoder, limit, held)?
        }
    };
    held.give_back(body.len());
    Ok(decompressed.into())
}

fn read_limited(mut decoder: impl Read, limit: usize, held: &mut HeldBytes) -> Result<Vec<u8>, Refusal> {
    let mut read = Vec::new();
    loop {
        held.take(CHUNK_BYTES)?;
        let room = (limit - read.len()).min(CHUNK_BYTES) as u64;
        // One byte beyond the room tells a body that fits exactly from one that does not.
        let came = decoder.by_ref().take(room + 1).read_to_end(&mut read).map_err(malformed)?;
        if read.len() > limit {
            return Err(Refusal::TooLarge { limit_bytes: limit });
        }
        if came == 0 {
            return Ok(read);
        }
    }
}

fn malformed(error: io::Error) -> Refusal {
    Refusal::Malformed {
        problem: format!("the body does not decompress: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::admit::BytesInFlight;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zstd(bytes: &[u8]) -> Bytes {
        zstd::encode_all(bytes, 1).unwrap().into()
    }

    const LIMIT: usize = 300_000;

    fn check(compression: Compression, body: Bytes) -> Result<usize, Refusal> {
        let bytes = BytesInFlight::new(10 * LIMIT);
        let mut held = bytes.hold();
        held.take(body.len()).unwrap();
        decompress(compression, body, LIMIT, &mut held).map(|body| body.len())
    }

    #[test]
    fn bodies_up_to_the_limit_decompress() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, LIMIT - 1, LIMIT] {
            let plain = vec![7; length];
            assert_eq!(check(Compression::Gzip, gzip(&plain)), Ok(length));
            assert_eq!(check(Compression::Zstd, zstd(&plain)), Ok(length));
        }
        let mut members = gzip(b"one").to_vec();
        members.extend_from_slice(&gzip(b"two"));
        assert_eq!(check(Compression::Gzip, members.into()), Ok(6));
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let bomb = vec![0; 50 * LIMIT];
        for (compression, body) in [(Compression::Gzip, gzip(&bomb)), (Compression::Zstd, zstd(&bomb))] {
            assert!(body.len() < LIMIT);
            assert_eq!(check(compression, body), Err(Refusal::TooLarge { limit_bytes: LIMIT }));
        }
    }

    #[test]
    fn decompression_counts_against_the_bytes_in_flight() {
        let bytes = BytesInFlight::new(100_000);
        let mut held = bytes.hold();
        assert_eq!(
            decompress(Compression::Gzip, gzip(&[1; 200_000]), LIMIT, &mut held),
            Err(Refusal::Busy)
        );
    }

    #[test]
    fn what_does_not_decompress_is_malformed() {
        let cut = gzip(b"some text that is long enough");
        for (compression, body) in [
            (Compression::Gzip, Bytes::from_static(b"not gzip")),
            (Compression::Gzip, cut.slice(..cut.len() - 3)),
            (Compression::Zstd, Bytes::from_static(b"not zstd")),
            (Compression::Zstd, zstd(&[1; 1000]).slice(..10)),
        ] {
            assert!(matches!(check(compression, body), Err(Refusal::Malformed { .. })));
        }
    }
}
