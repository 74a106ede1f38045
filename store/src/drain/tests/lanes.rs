//! Fresh data before an old backlog.

use super::*;

#[tokio::test]
async fn behind_a_long_backlog_fresh_frames_take_turns_with_old_ones() {
    let mut world = World::new();
    world.bounds.fresh_first_bytes = 1_000;
    let log = world.open_log();
    for n in 0..100 {
        append(&log, format!("log 0 old{n}")).await;
    }
    let held = world.model.held.write().await;
    let running = world.start(&log);
    let mut changes = running.status.subscribe();
    changes.changed().await.unwrap();
    for n in 0..10 {
        append(&log, format!("log 0 fresh{n}")).await;
    }
    world.clock.set(world.clock.now().plus_seconds(10));
    assert_eq!(running.status.get().lag_seconds(world.clock.now()), 10.0);
    drop(held);
    running.drained().await;
    let status = running.stop().await;
    assert_eq!(status.lag_seconds(world.clock.now()), 0.0);
    let stored = world.model.logs();
    assert_eq!(stored.len(), 110);
    let place = |text: &str| stored.iter().position(|stored| stored == text).unwrap();
    assert!(place("fresh9") < place("old99"), "{stored:?}");
    let old = stored.iter().filter(|text| text.starts_with("old"));
    assert!(
        old.eq(&(0..100).map(|n| format!("old{n}")).collect::<Vec<_>>()),
        "each lane is drained in order"
    );
}

#[tokio::test]
async fn gaps_that_a_restart_finds_are_drained() {
    let mut world = World::new();
    world.bounds.fresh_first_bytes = 1_000;
    let log = world.open_log();
    for n in 0..40 {
        append(&log, format!("log 0 old{n}")).await;
    }
    let held = world.model.held.write().await;
    let running = world.start(&log);
    running.status.subscribe().changed().await.unwrap();
    for n in 0..10 {
        append(&log, format!("log 0 fresh{n}")).await;
    }
    drop(held);
    let mut changes = running.status.subscribe();
    changes.wait_for(|status| status.batches >= 4).await.unwrap();
    running.crash().await;
    world.bounds.fresh_first_bytes = u64::MAX;
    let log = world.open_log();
    let running = world.start(&log);
    running.drained().await;
    running.stop().await;
    let mut stored = world.model.logs();
    stored.sort();
    let mut expected: Vec<String> = (0..40)
        .map(|n| format!("old{n}"))
        .chain((0..10).map(|n| format!("fresh{n}")))
        .collect();
    expected.sort();
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn damaged_bytes_do_not_keep_a_segment() {
    let world = World::new();
    let log = world.open_log();
    for n in 0..30 {
        append(&log, format!("log 0 {n:0400}")).await;
    }
    assert!(log.status().segments > 3);
    log.close().await;
    let first = std::fs::read_dir(world.path("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .min()
        .unwrap();
    let mut content = std::fs::read(&first).unwrap();
    let end = content.len();
    content[end - 100] ^= 1;
    std::fs::write(&first, content).unwrap();
    let log = world.open_log();
    let running = world.start(&log);
    running.drained().await;
    assert_eq!((log.status().segments, log.status().bad_frames), (1, 1));
    assert!(!exists(&first));
    assert_eq!(world.model.logs().len(), 29);
    running.stop().await;
}
