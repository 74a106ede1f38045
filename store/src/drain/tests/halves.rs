//! Halves that meet across batches and restarts, and what they and outcomes make dirty.

use super::*;

#[tokio::test]
async fn the_memory_of_recent_inferences_survives_a_restart() {
    let world = World::new();
    let log = world.open_log();
    append(&log, format!("half log x {}", -HOUR)).await;
    let running = world.start(&log);
    running.drained().await;
    running.stop().await;
    world.clock.set(world.clock.now().plus_seconds(600));
    let log = world.open_log();
    append(&log, "half span x 0").await;
    let running = world.start(&log);
    running.drained().await;
    running.stop().await;
    let rows = world.model.inferences();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].key_hour, rows[1].key_hour);
    assert!(rows[1].span.is_some() && !rows[1].partial);
    // The late half changes the minute of the first as well.
    let minute = |seconds: i64| ("inferences", (NOW + seconds).div_euclid(60) * 60);
    assert!(world.model.dirty().is_superset(&[minute(-HOUR), minute(0)].into()));
}

#[tokio::test]
async fn a_half_whose_first_half_is_forgotten_is_partial() {
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    append(&log, "half log x 0").await;
    running.drained().await;
    world.clock.set(world.clock.now().plus_seconds(1_300));
    append(&log, "half log y 1300").await;
    running.drained().await;
    append(&log, "half span x 1").await;
    running.drained().await;
    let status = running.stop().await;
    assert_eq!(status.partial_inferences, 1);
    assert_eq!(
        world.model.inferences().iter().map(|row| row.partial).collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[tokio::test]
async fn outcomes_mark_their_own_minute_and_that_of_their_inference() {
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    let received = |seconds: i64| ("outcomes", (NOW + seconds).div_euclid(60) * 60);
    append(&log, "half log known -600").await;
    running.drained().await;
    append(&log, "outcome known\noutcome early").await;
    running.drained().await;
    let outcomes = |dirty: std::collections::BTreeSet<_>| dirty.into_iter().filter(|(kind, _)| *kind == "outcomes").collect::<Vec<_>>();
    assert_eq!(outcomes(world.model.dirty()), [received(-600), received(0)]);
    // The inference of the other outcome comes after it, also after a restart.
    running.stop().await;
    world.clock.set(world.clock.now().plus_seconds(120));
    let log = world.open_log();
    let running = world.start(&log);
    append(&log, "half log early -300").await;
    running.drained().await;
    running.stop().await;
    assert_eq!(outcomes(world.model.dirty()), [received(-600), received(-300), received(0)]);
}
