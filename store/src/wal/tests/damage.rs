//! Files that are not what was written: every byte flipped, cut at every length.

use std::fs;

use super::*;
use crate::wal::segment::segment_path;

const LENGTHS: [usize; 5] = [3, 0, 17, 40, 1];

/// A log of two segments; the first holds frames of [`LENGTHS`].
async fn two_segments(folder: &Path) -> (Vec<u8>, Vec<Frame>) {
    let log = Log::open(
        LogConfig {
            segment_bytes: 4 << 10,
            ..config(folder)
        },
        clock(),
    )
    .unwrap();
    for (n, length) in LENGTHS.into_iter().enumerate() {
        append_new(&log, n as u128, vec![b'a' + n as u8; length]).await;
    }
    append_new(&log, 100, vec![b'z'; 4 << 10]).await;
    let frames = read_all(&log).await;
    assert_eq!(log.head().segment, 2);
    log.close().await;
    (fs::read(segment_path(folder, 1)).unwrap(), frames)
}

/// What is left of the frames when the bytes in `lost` of the first segment are wrong.
fn expected(frames: &[Frame], lost: impl Fn(u64, u64) -> bool) -> Vec<Frame> {
    frames
        .iter()
        .filter(|frame| frame.position.segment > 1 || !lost(frame.position.offset, frame.end.offset))
        .cloned()
        .collect()
}

#[tokio::test]
async fn any_flipped_byte_costs_one_frame_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let (content, frames) = two_segments(folder.path()).await;
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(segment_path(folder.path(), 1), damaged).unwrap();
        let log = Log::open(config(folder.path()), clock()).unwrap();
        let hit = |from, to| (from..to).contains(&(at as u64));
        assert_eq!(read_all(&log).await, expected(&frames, hit), "byte {at}");
        let header = (at as u64) < segment::SEGMENT_HEADER_BYTES;
        assert_eq!(log.status().bad_frames, u64::from(!header), "byte {at}");
        log.close().await;
    }
}

#[tokio::test]
async fn a_segment_cut_anywhere_keeps_what_is_whole_and_the_segments_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (content, frames) = two_segments(folder.path()).await;
    for length in 0..content.len() {
        fs::write(segment_path(folder.path(), 1), &content[..length]).unwrap();
        let log = Log::open(config(folder.path()), clock()).unwrap();
        assert_eq!(
            read_all(&log).await,
            expected(&frames, |_, to| to > length as u64),
            "cut at {length}"
        );
        log.close().await;
    }
}

#[tokio::test]
async fn the_last_segment_is_mended_whatever_was_done_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (content, frames) = two_segments(folder.path()).await;
    fs::remove_file(segment_path(folder.path(), 2)).unwrap();
    let frames = &frames[..LENGTHS.len()];
    for at in 0..content.len() {
        for cut in [false, true] {
            let mut damaged = content.clone();
            damaged[at] ^= 0x80;
            damaged.truncate(if cut { at } else { content.len() });
            fs::write(segment_path(folder.path(), 1), &damaged).unwrap();
            let log = Log::open(config(folder.path()), clock()).unwrap();
            let mut left = expected(
                frames,
                |from, to| if cut { to > at as u64 } else { (from..to).contains(&(at as u64)) },
            );
            assert_eq!(read_all(&log).await, left, "byte {at}, cut: {cut}");
            let position = append_new(&log, 77, "new").await;
            log.close().await;
            let log = Log::open(config(folder.path()), clock()).unwrap();
            let after = read_all(&log).await;
            assert_eq!(
                after.last().map(|frame| (frame.position, &frame.payload[..])),
                Some((position, &b"new"[..]))
            );
            left.push(after[after.len() - 1].clone());
            assert_eq!(after, left, "byte {at}, cut: {cut}");
            assert_eq!(log.append(request(77, "new")).await, Ok(Appended::Repeated));
            log.close().await;
            let _ = fs::remove_file(segment_path(folder.path(), 2));
        }
    }
}

#[tokio::test]
async fn a_frame_inside_a_damaged_payload_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let (content, _) = two_segments(folder.path()).await;
    let other = tempfile::tempdir().unwrap();
    let log = Log::open(config(other.path()), clock()).unwrap();
    // A whole segment as payload, its frames at the very offsets at which they would count.
    append_new(
        &log,
        1,
        content[(segment::SEGMENT_HEADER_BYTES as usize + frame::HEADER_BYTES + 5)..].to_vec(),
    )
    .await;
    append_new(&log, 2, "next").await;
    log.close().await;
    let path = segment_path(other.path(), 1);
    let mut damaged = fs::read(&path).unwrap();
    damaged[segment::SEGMENT_HEADER_BYTES as usize] ^= 1;
    fs::write(&path, damaged).unwrap();
    let log = Log::open(config(other.path()), clock()).unwrap();
    assert_eq!(payloads(&log).await, ["next"]);
}

#[tokio::test]
async fn a_long_stretch_of_noise_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    append_new(&log, 1, "before").await;
    let noise = append_new(&log, 2, vec![0; 5 << 20]).await;
    append_new(&log, 3, "after").await;
    log.close().await;
    let path = segment_path(folder.path(), 1);
    let mut damaged = fs::read(&path).unwrap();
    let magics = frame::MAGIC.iter().cycle();
    damaged[noise.offset as usize..noise.offset as usize + (5 << 20)]
        .iter_mut()
        .zip(magics)
        .for_each(|(byte, magic)| *byte = *magic);
    fs::write(&path, damaged).unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert_eq!(payloads(&log).await, ["before", "after"]);
    assert_eq!(log.status().bad_frames, 1);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut content, _) = two_segments(folder.path()).await;
    fs::remove_file(segment_path(folder.path(), 2)).unwrap();
    for copy in content[..64].chunks_mut(32) {
        copy[8] = 9;
        let crc = crc32c::crc32c(&copy[..28]).to_le_bytes();
        copy[28..].copy_from_slice(&crc);
    }
    fs::write(segment_path(folder.path(), 1), content).unwrap();
    assert!(matches!(
        Log::open(config(folder.path()), clock()),
        Err(LogError::NewerFormat { version: 9, .. })
    ));
}
