//! Halves that meet across batches and restarts, and what they and outcomes make dirty.

use super::*;
use crate::records::JoinedInference;

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
async fn outcomes_mark_the_minute_of_their_inference_or_else_their_own() {
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    let minute = |kind: &'static str, seconds: i64| (kind, (NOW + seconds).div_euclid(60) * 60);
    append(&log, "half log known -600").await;
    running.drained().await;
    append(&log, "outcome known\noutcome early").await;
    running.drained().await;
    let of_outcomes =
        |dirty: std::collections::BTreeSet<_>| dirty.into_iter().filter(|(kind, _)| *kind != "inferences").collect::<Vec<_>>();
    let known = minute("judged", -600);
    let early = minute("outcomes", 0);
    assert_eq!(of_outcomes(world.model.dirty()), [known, early]);
    // The inference of the other outcome comes after it, also after a restart.
    running.stop().await;
    world.clock.set(world.clock.now().plus_seconds(120));
    let log = world.open_log();
    let running = world.start(&log);
    append(&log, "half log early -300").await;
    running.drained().await;
    running.stop().await;
    assert_eq!(of_outcomes(world.model.dirty()), [known, minute("judged", -300), early]);
}

/// What is stored, in the order of storing: `ID`, the halves that a row holds, and what keeps it from counting.
fn stored(world: &World) -> Vec<String> {
    let row = |row: &JoinedInference| {
        let halves = [row.log.as_ref(), row.span.as_ref()];
        let id = &halves.into_iter().flatten().next().unwrap().request_id;
        let told = halves.map(|half| half.map_or("", |half| if half.half == Half::Log { " log" } else { " span" }));
        let marks = [(row.partial, " partial"), (row.superseded, " superseded")];
        let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
        format!("{id}{}{marks}", told.concat())
    };
    world.model.inferences().iter().map(row).collect()
}

/// Drains each of the batches, over a restart between them or not.
async fn drain_all(batches: &[&str], restart: bool) -> World {
    let world = World::new();
    let mut log = world.open_log();
    let mut running = world.start(&log);
    for batch in batches {
        append(&log, *batch).await;
        running.drained().await;
        if restart {
            running.stop().await;
            log = world.open_log();
            running = world.start(&log);
        }
    }
    running.stop().await;
    world
}

#[tokio::test]
async fn a_span_without_a_request_id_is_the_half_of_the_log_that_was_told_in_it() {
    for restart in [false, true] {
        let together = drain_all(&["within t span - 0\nwithin t log r 1"], restart).await;
        assert_eq!(stored(&together), ["r log span"]);
        let apart = drain_all(&["within t log r 0", "within t span - 1"], restart).await;
        assert_eq!(stored(&apart), ["r log", "r span"]);
        let of_log = drain_all(&["within t span r 0", "within t log - 1"], restart).await;
        assert_eq!(stored(&of_log), ["r span", "r log"]);
        let of_another_span = drain_all(&["within t log r 0", "within u span - 1"], restart).await;
        assert_eq!(stored(&of_another_span), ["r log", "u-s span"]);
    }
}

#[tokio::test]
async fn a_span_that_is_stored_before_its_request_is_named_is_superseded() {
    for restart in [false, true] {
        let world = drain_all(&["within t span - -600", "within t log r 0", "within t span - 1"], restart).await;
        assert_eq!(stored(&world), ["t-s span", "r log", "t-s span superseded", "r span"]);
        let rows = world.model.inferences();
        assert_eq!(rows[0].key_hour, rows[2].key_hour, "under one key");
        let minute = |seconds: i64| ("inferences", (NOW + seconds).div_euclid(60) * 60);
        assert!(world.model.dirty().is_superset(&[minute(-600), minute(0)].into()));
    }
}

#[tokio::test]
async fn how_a_superseded_span_went_is_told_of_the_named_request() {
    for restart in [false, true] {
        let world = drain_all(
            &["within t span - 0 12.5 Timeout", "within t log r 0", "within t span - 1 13 Timeout"],
            restart,
        )
        .await;
        assert_eq!(stored(&world), ["t-s span", "r log span", "t-s span superseded", "r span"]);
        let rows = world.model.inferences();
        let spans: Vec<_> = rows.iter().map(|row| row.span.as_ref().unwrap()).collect();
        let course = |span: &crate::records::InferenceHalf| (span.latency_ms, span.error_type.clone());
        assert_eq!(course(spans[1]), (Some(12.5), Some("Timeout".to_owned())));
        assert_eq!(course(spans[2]), (None, None), "what is superseded says no more than whose it is");
        let together = drain_all(&["within t span - 0 12.5", "within t log r 0\nwithin t span - 1 13"], restart).await;
        assert_eq!(stored(&together), ["t-s span", "r log span", "t-s span superseded"]);
        let span = together.model.inferences()[1].span.clone().unwrap();
        assert_eq!(span.latency_ms, Some(13.0), "the batch's own half says it");
        let wrapping = drain_all(&["within t span - 0 12.5", "within t log a 0\nwithin t log b 0"], restart).await;
        assert_eq!(
            stored(&wrapping),
            ["t-s span", "a log", "b log", "t-s span superseded"],
            "it says nothing of one"
        );
    }
}

#[test]
fn a_kind_of_error_is_remembered_up_to_a_bound() {
    use super::super::references::Course;
    let half = InferenceHalf {
        error_type: Some("ß".repeat(100)),
        ..InferenceHalf::new(Half::Span, "m", "r", crate::clock::UnixNanos(0), crate::clock::UnixNanos(0))
    };
    assert_eq!(Course::of(&half).error_type.as_deref(), Some("ß".repeat(64).as_str()));
}

#[tokio::test]
async fn a_span_around_several_requests_is_none_of_its_own() {
    for restart in [false, true] {
        let together = drain_all(&["within t log a 0\nwithin t log b 0\nwithin t span - 0"], restart).await;
        assert_eq!(stored(&together), ["a log", "b log", "t-s span partial"]);
        let apart = drain_all(&["within t log a 0", "within t log b 0", "within t span - 0"], restart).await;
        assert_eq!(stored(&apart), ["a log", "b log", "t-s span partial"]);
        let span_first = drain_all(&["within t span - 0", "within t log a 0", "within t log b 0"], restart).await;
        assert_eq!(stored(&span_first), ["t-s span", "a log", "t-s span superseded", "b log"]);
    }
}

#[tokio::test]
async fn halves_of_one_kind_in_one_span_are_requests_of_their_own() {
    let world = drain_all(&["within t log - 0", "within t log r 0"], false).await;
    assert_eq!(stored(&world), ["t-s log", "r log"]);
}

#[tokio::test]
async fn an_outcome_finds_its_request_by_the_span_and_its_model_by_the_request() {
    for restart in [false, true] {
        let of = |world: &World| -> Vec<(String, String)> {
            let outcomes = world.model.outcomes();
            outcomes.into_iter().map(|outcome| (outcome.model, outcome.request_id)).collect()
        };
        let named = || ("m".to_owned(), "r".to_owned());
        let apart = drain_all(&["within t span r 0", "evaluation r\nevaluation t-s\noutcome t-s"], restart).await;
        assert_eq!(of(&apart), [named(), named(), named()]);
        let together = drain_all(&["evaluation t-s\nwithin t span r 0"], restart).await;
        assert_eq!(of(&together), [named()]);
        // Logs are sent sooner than the spans around them.
        let before = drain_all(&["evaluation t-s\nevaluation r", "within t span r 0\nhalf log r 0"], restart).await;
        assert_eq!(of(&before), [named(), named()]);
        let of_unnamed = drain_all(&["evaluation t-s", "within t span - 0\nwithin t log r 0"], restart).await;
        assert_eq!(of(&of_unnamed), [named()]);
    }
    let world = World::new();
    let log = world.open_log();
    let running = world.start(&log);
    append(&log, "evaluation unknown\noutcome unknown").await;
    running.drained().await;
    world.clock.set(world.clock.now().plus_seconds(1_200));
    append(&log, "aside").await;
    running.drained().await;
    let status = running.stop().await;
    assert_eq!(status.cut["outcome_without_model"], 1);
    assert_eq!(world.model.outcomes().len(), 1);
}

#[tokio::test]
async fn an_outcome_that_waits_is_stored_once_through_crashes() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for step in 0..8 {
            let world = World::new();
            let log = world.open_log();
            let running = world.start(&log);
            append(&log, "evaluation t-s").await;
            running.drained().await;
            append(&log, "within t span r 0").await;
            world.model.crash_at(step, fault);
            tokio::select! {
                () = world.model.crashed() => {}
                () = running.drained() => {}
            }
            running.crash().await;
            world.model.heal();
            let log = world.open_log();
            let running = world.start(&log);
            append(&log, "half log r 1").await;
            running.drained().await;
            running.stop().await;
            let outcomes = world.model.outcomes();
            assert_eq!(outcomes.len(), 1, "{fault:?} at {step}");
            assert_eq!((outcomes[0].model.as_str(), outcomes[0].request_id.as_str()), ("m", "r"));
        }
    }
}
