//! Rows that ClickHouse will never take.

use super::*;

/// Ten frames in one batch; those of `bad` hold a row that is refused.
async fn ten_frames(world: &mut World, bad: &[usize]) -> Log {
    world.bounds.max_frames = 10;
    let log = world.open_log();
    for n in 0..10 {
        let text = if bad.contains(&n) { "bad" } else { "good" };
        append(
            &log,
            format!("log 0 {text}{n}\nlog 1 other{n}\nhalf log i{n} 0\nhalf span i{} 0", (n + 5) % 10),
        )
        .await;
    }
    log
}

fn check(world: &World, bad: &[usize]) {
    let mut stored = world.model.logs();
    stored.sort();
    let good = (0..10).filter(|n| !bad.contains(n)).map(|n| format!("good{n}"));
    let expected: Vec<String> = good.chain((0..10).map(|n| format!("other{n}"))).collect();
    assert_eq!(stored, expected);
    assert_eq!(world.model.inferences().len(), 10);
    assert_eq!(world.quarantined(), bad.len());
}

#[tokio::test]
async fn only_the_frame_that_is_refused_is_set_aside() {
    for bad in [vec![], vec![0], vec![9], vec![3, 4], (0..10).collect()] {
        let mut world = World::new();
        let log = ten_frames(&mut world, &bad).await;
        let running = world.start(&log);
        running.drained().await;
        let status = running.stop().await;
        check(&world, &bad);
        assert_eq!(status.quarantined, bad.len() as u64);
        for n in &bad {
            let files = std::fs::read_dir(world.path("drain/quarantine")).unwrap();
            let contents: Vec<String> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
            let set_aside = contents
                .iter()
                .find(|content| content.contains(&format!("log 0 bad{n}\n")))
                .unwrap();
            assert!(set_aside.lines().next().unwrap().contains("code 117"));
        }
    }
}

#[tokio::test]
async fn a_crash_while_halving_loses_and_doubles_nothing() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for step in 0.. {
            let mut world = World::new();
            let log = ten_frames(&mut world, &[2, 7]).await;
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
            check(&world, &[2, 7]);
            if !crashed {
                assert!(step > 10);
                break;
            }
        }
    }
}
