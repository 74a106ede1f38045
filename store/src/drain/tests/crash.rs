//! The process dies at each point between boundaries, inserts, marks and commit.

use proptest::prelude::*;

use super::*;

/// Frames that give several units per batch, and halves that meet across batches.
fn frames() -> Vec<String> {
    (0..8)
        .map(|n| {
            format!(
                "log 0 a{n}\nlog 1 b{n}\nhalf log i{n} {n}\nhalf span i{} {}\nwithin w{n} log n{n} {n}\nwithin w{} span - {n} 2.5 E\noutcome i{n}",
                (n + 5) % 8,
                n + 3_600,
                (n + 5) % 8,
            )
        })
        .collect()
}

/// Everything was stored exactly once, halves under one key, and all of it is marked.
fn check(model: &Model, frames: &[String]) {
    let lines = || {
        frames
            .iter()
            .flat_map(|frame| frame.lines())
            .map(|line| line.split(' ').collect::<Vec<_>>())
    };
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    let expected = |kind: &str, word: usize| {
        sorted(
            lines()
                .filter(|words| words[0] == kind)
                .map(|words| words[word].to_owned())
                .collect(),
        )
    };
    assert_eq!(sorted(model.logs()), expected("log", 2));
    let outcomes = model.outcomes().into_iter().map(|outcome| outcome.request_id).collect();
    assert_eq!(sorted(outcomes), expected("outcome", 1));
    let rows = model.inferences();
    let halves = rows
        .iter()
        .flat_map(|row| row.log.iter().chain(&row.span))
        .map(|half| half.request_id.clone())
        .filter(|id| id.starts_with('i'))
        .collect();
    assert_eq!(sorted(halves), expected("half", 2));
    let keys: std::collections::HashSet<_> = rows.iter().map(|row| (id_of(row), row.key_hour)).collect();
    let ids: std::collections::HashSet<_> = rows.iter().map(id_of).collect();
    assert_eq!(keys.len(), ids.len(), "halves of one inference have one key");
    // What was told in a span counts once: under its name where one was told, else under the span's.
    let is_superseded: std::collections::HashSet<_> = rows.iter().filter(|row| row.superseded).map(id_of).collect();
    let counted: std::collections::BTreeSet<_> = ids
        .iter()
        .filter(|id| !id.starts_with('i') && !is_superseded.contains(*id))
        .cloned()
        .collect();
    let named = |trace: &str| lines().any(|words| words[0] == "within" && words[1] == trace && words[3] != "-");
    let told = lines().filter(|words| words[0] == "within").filter_map(|words| match words[3] {
        "-" => (!named(words[1])).then(|| format!("{}-s", words[1])),
        id => Some(id.to_owned()),
    });
    assert_eq!(counted, told.collect());
    for span in lines().filter(|words| words[0] == "within" && words.len() > 5) {
        let name = lines().find(|words| words[0] == "within" && words[1] == span[1] && words[3] != "-");
        let id = name.map_or_else(|| format!("{}-s", span[1]), |words| words[3].to_owned());
        let mut told = rows.iter().filter(|row| id_of(row) == id).filter_map(|row| row.span.as_ref());
        assert!(
            told.any(|told| told.latency_ms == Some(2.5) && told.error_type.as_deref() == Some("E")),
            "how {id} went"
        );
    }
    for half in rows.iter().flat_map(|row| row.log.iter().chain(&row.span)) {
        assert!(model.dirty().contains(&("inferences", half.event_time.floor_to(60).seconds())));
    }
}

fn id_of(row: &crate::records::JoinedInference) -> String {
    row.log.as_ref().or(row.span.as_ref()).unwrap().request_id.clone()
}

#[tokio::test]
async fn a_crash_at_any_step_loses_and_doubles_nothing() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let mut step = 0;
        loop {
            let world = World::new();
            let log = world.open_log();
            for frame in frames() {
                append(&log, frame).await;
            }
            world.model.crash_at(step, fault);
            let running = world.start(&log);
            let crashed = tokio::select! {
                () = world.model.crashed() => true,
                () = running.drained() => false,
            };
            running.crash().await;
            world.model.heal();
            let log = world.open_log();
            let running = world.start(&log);
            running.drained().await;
            running.stop().await;
            check(&world.model, &frames());
            if !crashed {
                break;
            }
            step += 1;
        }
        assert!(step >= 15, "only {step} steps were crashed");
    }
}

#[tokio::test]
async fn torn_boundaries_are_as_good_as_none() {
    let world = World::new();
    let log = world.open_log();
    for frame in frames() {
        append(&log, frame).await;
    }
    // Batches are planned ahead: the last of the journal has not been begun.
    world.model.crash_at(0, Fault::CrashBefore);
    let running = world.start(&log);
    world.model.crashed().await;
    while std::fs::read_dir(world.path("drain/batches")).unwrap().count() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    running.crash().await;
    let mut batches: Vec<_> = std::fs::read_dir(world.path("drain/batches"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    batches.sort();
    let torn = &batches[batches.len() - 1];
    let content = std::fs::read(torn).unwrap();
    std::fs::write(torn, &content[..content.len() / 2]).unwrap();
    let log = world.open_log();
    let running = world.start(&log);
    running.drained().await;
    running.stop().await;
    check(&world.model, &frames());
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Fault { after: usize, fault: Fault },
    Restart,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![
        Just(Fault::Unavailable),
        Just(Fault::AnswerLost),
        Just(Fault::RowsLost),
        Just(Fault::CrashBefore),
        Just(Fault::CrashAfter)
    ];
    let step = prop_oneof![
        5 => (1usize..5).prop_map(Step::Append),
        3 => (0usize..12, fault).prop_map(|(after, fault)| Step::Fault { after, fault }),
        1 => Just(Step::Restart),
        1 => (0i64..400).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..16)
}

async fn run_steps(steps: Vec<Step>, fresh_first_bytes: u64) {
    let mut world = World::new();
    world.bounds.fresh_first_bytes = fresh_first_bytes;
    let mut log = world.open_log();
    let mut running = world.start(&log);
    let mut appended = Vec::new();
    for step in steps {
        match step {
            Step::Append(count) => {
                for _ in 0..count {
                    let n = appended.len();
                    let frame = format!(
                        "log 0 a{n}\nlog {} b{n}\nhalf log i{n} {n}\nhalf span i{} {}\nwithin w{n} log n{n} {n}\nwithin w{} span - {n} 2.5 E\noutcome i{n}",
                        n % 3,
                        n / 2 * 2 + 1,
                        n + 3_600,
                        n / 2 * 2 + 1,
                    );
                    append(&log, frame.clone()).await;
                    appended.push(frame);
                }
            }
            Step::Fault { after, fault } => world.model.crash_at(after, fault),
            Step::Restart => {
                running.crash().await;
                log = world.open_log();
                running = world.start(&log);
            }
            Step::Wait(seconds) => world.clock.set(world.clock.now().plus_seconds(seconds)),
        }
        tokio::task::yield_now().await;
    }
    running.crash().await;
    world.model.heal();
    log = world.open_log();
    running = world.start(&log);
    running.drained().await;
    running.stop().await;
    check(&world.model, &appended);
    assert!(!exists(&world.path("drain/quarantine/none")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_record_is_stored_once(steps in steps(), fresh_first in prop_oneof![Just(200u64), Just(u64::MAX)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run_steps(steps, fresh_first));
    }
}

#[tokio::test]
async fn values_beyond_their_bound_stay_so_through_crashes_and_restarts() {
    for step in 0..8 {
        let bounds = Bounds {
            max_label_values: 2,
            ..World::new().bounds
        };
        let world = World { bounds, ..World::new() };
        let log = world.open_log();
        for (id, version) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "1"), ("e", "4")] {
            append(&log, format!("half log {id} 0 {version}\nlog 0 {id}")).await;
        }
        world.model.crash_at(step, Fault::CrashAfter);
        let running = world.start(&log);
        tokio::select! {
            () = world.model.crashed() => {}
            () = running.drained() => {}
        }
        running.crash().await;
        world.model.heal();
        let log = world.open_log();
        let running = world.start(&log);
        append(&log, "half log f 0 5\nhalf log g 0 2").await;
        running.drained().await;
        running.stop().await;
        let rows = world.model.inferences();
        let versions = rows.iter().filter_map(|row| row.log.as_ref()?.version.as_deref());
        assert_eq!(
            versions.collect::<Vec<_>>(),
            ["1", "2", "other", "1", "other", "other", "2"],
            "at {step}"
        );
    }
}
