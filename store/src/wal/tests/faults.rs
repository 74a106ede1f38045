//! Disks that fail.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::*;
use crate::wal::disk::SegmentFile;

/// What goes wrong from now on.
#[derive(Default)]
struct Faults {
    write: Mutex<Option<io::ErrorKind>>,
    sync: AtomicBool,
    truncate: AtomicBool,
    /// Most bytes per write; 0: no limit.
    short_writes: AtomicUsize,
    syncs: AtomicU64,
    sync_held: AtomicBool,
}

impl Faults {
    fn fail_writes(&self, kind: Option<io::ErrorKind>) {
        *self.write.lock().unwrap() = kind;
    }
}

struct FaultyDisk(Arc<Faults>);

struct FaultyFile {
    file: Box<dyn SegmentFile>,
    faults: Arc<Faults>,
}

impl Disk for FaultyDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(FaultyFile {
            file: RealDisk.create(path)?,
            faults: self.0.clone(),
        }))
    }

    fn open(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(FaultyFile {
            file: RealDisk.open(path)?,
            faults: self.0.clone(),
        }))
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }
}

impl SegmentFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let limit = match self.faults.short_writes.load(SeqCst) {
            0 => bytes.len(),
            limit => limit.min(bytes.len()),
        };
        if let Some(kind) = *self.faults.write.lock().unwrap() {
            // Half of it reaches the disk before the failure.
            self.file.write_at(&bytes[..limit / 2], offset)?;
            return Err(kind.into());
        }
        self.file.write_at(&bytes[..limit], offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        while self.faults.sync_held.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.faults.syncs.fetch_add(1, SeqCst);
        if self.faults.sync.load(SeqCst) {
            Err(io::Error::other("no longer there"))
        } else {
            self.file.sync()
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if self.faults.truncate.load(SeqCst) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            self.file.truncate(len)
        }
    }
}

fn open_faulty(config: LogConfig) -> (Log, Arc<Faults>) {
    let faults = Arc::<Faults>::default();
    let log = Log::open_on(config, clock(), Box::new(FaultyDisk(faults.clone()))).unwrap();
    (log, faults)
}

#[tokio::test]
async fn a_failed_fsync_poisons_and_is_never_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(config(folder.path()));
    append_new(&log, 1, "kept").await;
    faults.sync.store(true, SeqCst);
    let syncs = faults.syncs.load(SeqCst);
    assert!(matches!(log.append(request(2, "lost")).await, Err(AppendError::Poisoned { .. })));
    faults.sync.store(false, SeqCst);
    for _ in 0..3 {
        assert!(matches!(log.append(request(2, "lost")).await, Err(AppendError::Poisoned { .. })));
    }
    assert_eq!(faults.syncs.load(SeqCst), syncs + 1);
    assert!(log.status().poisoned.is_some_and(|reason| reason.contains("no longer there")));
    // What is durable can be read, and its second attempt answered.
    assert_eq!(payloads(&log).await, ["kept"]);
    assert_eq!(log.append(request(1, "kept")).await, Ok(Appended::Repeated));
    log.close().await;
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert_eq!(payloads(&log).await, ["kept"]);
    append_new(&log, 2, "lost").await;
    assert_eq!(payloads(&log).await, ["kept", "lost"]);
}

#[tokio::test]
async fn a_failed_write_poisons() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(config(folder.path()));
    faults.fail_writes(Some(io::ErrorKind::Other));
    assert!(matches!(log.append(request(1, "x")).await, Err(AppendError::Poisoned { .. })));
    faults.fail_writes(None);
    assert!(matches!(log.append(request(1, "x")).await, Err(AppendError::Poisoned { .. })));
    log.close().await;
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert_eq!(log.status().torn_bytes, 0);
    append_new(&log, 1, "x").await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(config(folder.path()));
    append_new(&log, 1, "before").await;
    faults.fail_writes(Some(io::ErrorKind::StorageFull));
    for payload in [vec![1; 10], vec![1; 1 << 20]] {
        let refused = log.append(request(2, payload)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Full { .. }) && refused.is_retryable());
    }
    assert!(log.status().full && log.status().poisoned.is_none());
    assert_eq!(log.append(request(1, "before")).await, Ok(Appended::Repeated));
    faults.fail_writes(None);
    append_new(&log, 2, "after").await;
    assert!(!log.status().full);
    log.close().await;
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert_eq!(payloads(&log).await, ["before", "after"]);
    assert_eq!(log.status().bad_frames, 0);
}

#[tokio::test]
async fn a_full_disk_that_cannot_be_tidied_poisons() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(config(folder.path()));
    faults.fail_writes(Some(io::ErrorKind::StorageFull));
    faults.truncate.store(true, SeqCst);
    assert!(matches!(log.append(request(1, "x")).await, Err(AppendError::Poisoned { .. })));
}

#[tokio::test]
async fn no_room_for_the_next_segment_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(LogConfig {
        segment_bytes: 4 << 10,
        ..config(folder.path())
    });
    for n in 0..3 {
        append_new(&log, n, vec![0; 1000]).await;
    }
    faults.fail_writes(Some(io::ErrorKind::StorageFull));
    assert!(matches!(log.append(request(9, vec![0; 2000])).await, Err(AppendError::Full { .. })));
    faults.fail_writes(None);
    assert_eq!(append_new(&log, 9, vec![0; 2000]).await.segment, 2);
    assert_eq!(read_all(&log).await.len(), 4);
}

#[tokio::test]
async fn the_bound_refuses_until_consumers_commit() {
    let folder = tempfile::tempdir().unwrap();
    let bounded = LogConfig {
        max_bytes: Some(40_000),
        ..config(folder.path())
    };
    let log = Log::open(bounded.clone(), clock()).unwrap();
    let consumer = log.register_consumer("drain").unwrap();
    let mut taken = 0;
    let refusal = loop {
        match log.append(request(taken, vec![0; 1000])).await {
            Ok(_) => taken += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, AppendError::Full { max_bytes: 40_000, .. }));
    assert!((30..40).contains(&taken), "{taken}");
    assert!(log.status().full && log.status().bytes <= 40_000);
    log.close().await;
    let log = Log::open(bounded, clock()).unwrap();
    assert!(log.append(request(taken, vec![0; 1000])).await.is_err(), "a restart makes no room");
    drop(consumer);
    let consumer = log.register_consumer("drain").unwrap();
    consumer.commit_up_to(log.head()).await.unwrap();
    for n in 0..200 {
        append_new(&log, 1_000 + n, vec![0; 1000]).await;
        consumer.commit_up_to(log.head()).await.unwrap();
    }
    assert!(!log.status().full);
    // One request that needs nearly all of it: even the last segment gives way.
    append_new(&log, 5_000, vec![0; 39_000]).await;
}

#[tokio::test]
async fn short_writes_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(config(folder.path()));
    faults.short_writes.store(7, SeqCst);
    for n in 0..10 {
        append_new(&log, n, vec![n as u8; 100]).await;
    }
    log.close().await;
    let log = Log::open(config(folder.path()), clock()).unwrap();
    assert_eq!(payloads(&log).await, (0..10u8).map(|n| vec![n; 100]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_repeat_is_answered_with_the_first_ones_fsync_and_shares_its_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (log, faults) = open_faulty(config(folder.path()));
    for (fails, hash) in [(false, 1), (true, 2)] {
        faults.sync_held.store(true, SeqCst);
        let appends: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let log = log.clone();
                    async move { log.append(request(hash, "x")).await }
                })
            })
            .collect();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(appends.iter().all(|append| !append.is_finished()), "answered before the fsync");
        }
        assert_eq!(read_all(&log).await.len(), usize::from(fails), "readers see only what is durable");
        faults.sync.store(fails, SeqCst);
        faults.sync_held.store(false, SeqCst);
        let mut outcomes = Vec::new();
        for append in appends {
            outcomes.push(append.await.unwrap());
        }
        let repeated = outcomes.iter().filter(|outcome| **outcome == Ok(Appended::Repeated)).count();
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(AppendError::Poisoned { .. })))
            .count();
        assert_eq!((repeated, refused), if fails { (0, 3) } else { (2, 0) });
    }
}

/// A disk one call of which fails, whichever it is.
struct FailsOnce {
    calls: Arc<AtomicU64>,
    at: u64,
    kind: io::ErrorKind,
}

impl FailsOnce {
    fn call(&self) -> io::Result<()> {
        if self.calls.fetch_add(1, SeqCst) == self.at {
            return Err(self.kind.into());
        }
        Ok(())
    }

    fn again(&self) -> Self {
        Self {
            calls: self.calls.clone(),
            ..*self
        }
    }
}

struct FailsOnceFile(FailsOnce, Box<dyn SegmentFile>);

impl Disk for FailsOnce {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        self.call()?;
        Ok(Box::new(FailsOnceFile(self.again(), RealDisk.create(path)?)))
    }

    fn open(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        self.call()?;
        Ok(Box::new(FailsOnceFile(self.again(), RealDisk.open(path)?)))
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.sync_directory(path)
    }
}

impl SegmentFile for FailsOnceFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if let Err(error) = self.0.call() {
            // Half of it reaches the disk before the failure.
            self.1.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.1.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.call()?;
        self.1.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.call()?;
        self.1.truncate(len)
    }
}

#[tokio::test]
async fn whichever_call_fails_what_was_acknowledged_is_there_once() {
    const REQUESTS: u128 = 12;
    let payload = |n: u128| vec![n as u8; 1000];
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::Other] {
        let mut has_failed = true;
        for at in 0.. {
            if !has_failed {
                assert!(at > 40, "the log makes more calls than {at}");
                break;
            }
            let folder = tempfile::tempdir().unwrap();
            let small = LogConfig {
                segment_bytes: 4 << 10,
                ..config(folder.path())
            };
            let calls = Arc::<AtomicU64>::default();
            let mut acknowledged = Vec::new();
            // The same disk twice: also taking up what a first run left behind makes calls.
            for half in [1..=REQUESTS / 2, REQUESTS / 2 + 1..=REQUESTS] {
                let disk = FailsOnce {
                    calls: calls.clone(),
                    at,
                    kind,
                };
                let Ok(log) = Log::open_on(small.clone(), clock(), Box::new(disk)) else {
                    continue;
                };
                for n in half {
                    match log.append(request(n, payload(n))).await {
                        Ok(appended) => {
                            assert!(matches!(appended, Appended::New(_)), "{kind:?} at {at}: {n}");
                            acknowledged.push(n);
                        }
                        Err(error) => assert!(error.is_retryable(), "{kind:?} at {at}: {error}"),
                    }
                }
                log.close().await;
            }
            has_failed = calls.load(SeqCst) > at;
            let log = Log::open(small, clock()).unwrap();
            let found: Vec<u8> = payloads(&log).await.iter().map(|payload| payload[0]).collect();
            for n in 1..=REQUESTS {
                let times = found.iter().filter(|found| **found == n as u8).count();
                let least = usize::from(acknowledged.contains(&n));
                assert!((least..=1).contains(&times), "{kind:?} at {at}: {n} is there {times} times");
                log.append(request(n, payload(n))).await.unwrap();
            }
            let mut found: Vec<u8> = payloads(&log).await.iter().map(|payload| payload[0]).collect();
            found.sort_unstable();
            assert_eq!(
                found,
                (1..=REQUESTS as u8).collect::<Vec<_>>(),
                "{kind:?} at {at}: after all were sent again"
            );
        }
    }
}
