//! Appending, reading, repeats, consumers, deletion.

use super::*;
use crate::wal::repeats::REPEAT_WINDOW_SECONDS;
use crate::wal::writer::WRITE_BUFFER_BYTES;

#[tokio::test]
async fn frames_come_back_as_they_were_written_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    let b = WRITE_BUFFER_BYTES;
    let header = frame::HEADER_BYTES + "key_a".len();
    let lengths = [
        0,
        1,
        b - header - 1,
        b - header,
        b - header + 1,
        b - 1,
        b,
        b + 1,
        2 * b,
        (1 << 20) + 3,
    ];
    for (n, length) in lengths.into_iter().enumerate() {
        append_new(&log, n as u128, vec![n as u8; length]).await;
    }
    let expected: Vec<Bytes> = lengths
        .into_iter()
        .enumerate()
        .map(|(n, length)| vec![n as u8; length].into())
        .collect();
    assert!(payloads(&log).await == expected);
    let first = read_all(&log).await.swap_remove(0);
    assert_eq!(
        (first.key_id.as_str(), first.kind, first.received_time),
        ("key_a", FrameKind::Logs, clock().now())
    );
    log.close().await;
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert!(payloads(&log).await == expected);
    assert_eq!((log.status().torn_bytes, log.status().bad_frames), (0, 0));
}

#[tokio::test]
async fn many_requests_share_an_fsync() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    let appends = (0..500).map(|n| log.append(request(n, vec![0; 100])));
    for outcome in futures_util::future::join_all(appends).await {
        assert!(matches!(outcome, Ok(Appended::New(_))));
    }
    let status = log.status();
    assert_eq!(status.frames, 500);
    assert!(status.groups < 100, "{} groups", status.groups);
}

#[tokio::test]
async fn a_reader_waits_for_what_comes_and_ends_with_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    let mut reader = log.reader(Position::default());
    let reading = tokio::spawn(async move {
        let mut count = 0;
        while let Some(frame) = reader.next(&never()).await.unwrap() {
            assert_eq!(frame.payload.len(), count);
            count += 1;
        }
        count
    });
    for n in 0..20 {
        append_new(&log, n, vec![0; n as usize]).await;
        tokio::task::yield_now().await;
    }
    log.close().await;
    assert_eq!(reading.await.unwrap(), 20);
    assert_eq!(log.append(request(99, "")).await, Err(AppendError::Closed));

    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert_eq!(log.reader(Position::default()).next(&cancelled).await.unwrap(), None);
}

#[tokio::test]
async fn a_repeat_is_recognised_for_ten_minutes_whatever_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let small = LogConfig {
        segment_bytes: 4 << 10,
        ..config(folder.path())
    };
    let log = Log::open(small.clone(), clock.clone()).unwrap();
    let consumer = log.register_consumer("drain").unwrap();
    for n in 0..20 {
        append_new(&log, n, vec![0; 1000]).await;
    }
    let outcome = NewFrame {
        kind: FrameKind::Outcomes,
        ..request(7, "{}")
    };
    assert!(matches!(log.append(outcome.clone()).await, Ok(Appended::New(_))));
    assert!(
        matches!(log.append(outcome).await, Ok(Appended::New(_))),
        "outcomes are never repeats"
    );
    consumer.commit_up_to(log.head()).await.unwrap();
    assert_eq!(log.status().segments, 1, "what is committed is deleted");
    log.close().await;

    clock.set(clock.now().plus_seconds(REPEAT_WINDOW_SECONDS));
    let log = Log::open(small.clone(), clock.clone()).unwrap();
    for n in 0..20 {
        assert_eq!(log.append(request(n, vec![0; 1000])).await, Ok(Appended::Repeated), "{n}");
    }
    assert_eq!(log.status().repeated, 20);
    log.close().await;

    clock.set(clock.now().plus_seconds(1));
    let log = Log::open(small, clock.clone()).unwrap();
    for n in 0..20 {
        append_new(&log, n, vec![0; 1000]).await;
    }
    let hash_files = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "hashes"));
    assert!(hash_files.count() < 8, "old hashes are deleted");
}

#[tokio::test]
async fn a_segment_stays_until_every_consumer_has_committed_it() {
    let folder = tempfile::tempdir().unwrap();
    let small = LogConfig {
        segment_bytes: 4 << 10,
        ..config(folder.path())
    };
    let log = Log::open(small.clone(), clock()).unwrap();
    let (drain, index) = (log.register_consumer("drain").unwrap(), log.register_consumer("index").unwrap());
    for n in 0..20 {
        append_new(&log, n, vec![0; 1000]).await;
    }
    let frames = read_all(&log).await;
    let segments = log.status().segments;
    drain.commit_up_to(log.head()).await.unwrap();
    assert_eq!(log.status().segments, segments);
    // The newest half first: nothing older is deleted, and nothing is forgotten.
    index.commit(frames[10].position..log.head()).await.unwrap();
    assert_eq!(index.position(), frames[0].position);
    assert_eq!(log.status().backlog_bytes["index"], index.backlog_bytes());
    drop((drain, index));
    log.close().await;

    let log = Log::open(small, clock()).unwrap();
    assert!(log.status().segments < segments && log.status().segments > 1);
    assert_eq!(read_all(&log).await[..10], frames[..10]);
    let index = log.register_consumer("index").unwrap();
    index.commit(Position::default()..frames[10].position).await.unwrap();
    assert_eq!((log.status().segments, index.backlog_bytes(), index.position()), (1, 0, log.head()));
}

#[tokio::test]
async fn a_consumer_that_begins_late_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let small = LogConfig {
        segment_bytes: 4 << 10,
        consumers: vec!["drain", "index"],
        ..config(folder.path())
    };
    for restarts in 0..2 {
        let log = Log::open(small.clone(), clock()).unwrap();
        let index = log.register_consumer("index").unwrap();
        for n in 0..20 {
            append_new(&log, 100 * restarts + n, vec![0; 1000]).await;
        }
        index.commit_up_to(log.head()).await.unwrap();
        let expected = 20 * (restarts as usize + 1);
        assert_eq!(read_all(&log).await.len(), expected, "what the drain has not committed stays");
        log.close().await;
    }
    let log = Log::open(small, clock()).unwrap();
    let drain = log.register_consumer("drain").unwrap();
    assert_eq!((read_all(&log).await.len(), drain.position()), (40, log.start()));
    drain.commit_up_to(log.head()).await.unwrap();
    assert_eq!(log.status().segments, 1);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert!(matches!(Log::open(config(folder.path()), clock()), Err(LogError::Locked { .. })));
    log.close().await;
    assert!(Log::open(config(folder.path()), clock()).is_ok());
}

#[tokio::test]
async fn what_can_never_fit_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(
        LogConfig {
            max_bytes: Some(100_000),
            ..config(folder.path())
        },
        clock(),
    )
    .unwrap();
    let error = log.append(request(1, vec![0; 100_000])).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }) && !error.is_retryable());
    let long_key = NewFrame {
        key_id: "k".repeat(257),
        ..request(2, "")
    };
    assert!(matches!(log.append(long_key).await, Err(AppendError::TooLarge { .. })));
}

#[tokio::test]
async fn a_damaged_consumer_file_is_never_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert!(matches!(log.register_consumer("../x"), Err(LogError::ConsumerName { .. })));
    log.register_consumer("drain").unwrap().commit_up_to(log.head()).await.unwrap();
    log.close().await;
    let path = folder.path().join("drain.consumer");
    let content = std::fs::read(&path).unwrap();
    for at in 0..content.len() - 1 {
        let mut damaged = content.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(Log::open(config(folder.path()), clock()).is_err(), "byte {at}");
    }
}

#[tokio::test]
async fn a_repeat_is_recognised_whatever_is_done_to_the_clock() {
    const HOUR: i64 = 3600;
    for step in [HOUR, -HOUR, 24 * HOUR] {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let small = LogConfig {
            segment_bytes: 4 << 10,
            ..config(folder.path())
        };
        let log = Log::open(small.clone(), clock.clone()).unwrap();
        for n in 0..10 {
            append_new(&log, n, vec![0; 1000]).await;
        }
        clock.step(step);
        for n in 0..10 {
            assert_eq!(
                log.append(request(n, vec![0; 1000])).await,
                Ok(Appended::Repeated),
                "{n} after {step} s"
            );
            append_new(&log, 100 + n, vec![0; 1000]).await;
        }
        log.close().await;

        // The next process knows the wall clock only.
        let clock = Clock::manual(clock.now());
        let log = Log::open(small.clone(), clock.clone()).unwrap();
        for n in 100..110 {
            assert_eq!(
                log.append(request(n, vec![0; 1000])).await,
                Ok(Appended::Repeated),
                "{n} after {step} s"
            );
        }
        log.close().await;

        // Set back while nobody ran: what came last counts as received now, and is forgotten in its time.
        let clock = Clock::manual(clock.now().plus_seconds(-2 * HOUR));
        let log = Log::open(small, clock.clone()).unwrap();
        assert_eq!(
            log.append(request(109, vec![0; 1000])).await,
            Ok(Appended::Repeated),
            "back after {step} s"
        );
        clock.set(clock.now().plus_seconds(REPEAT_WINDOW_SECONDS + 1));
        append_new(&log, 109, vec![0; 1000]).await;
    }
}
