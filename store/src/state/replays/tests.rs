//! Which replays do as which, and whose verdict is owed.

use super::*;
use crate::ids::{IdKind, new_id};
use crate::state::verdicts::{Verdict, VerdictKind};

async fn state() -> (State, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).await.unwrap();
    (state, folder)
}

fn new(version: &str, requested_by: RequestedBy, baseline: Option<Option<&str>>) -> NewReplay {
    NewReplay {
        model: "m".into(),
        version: version.into(),
        environment: String::new(),
        set_id: "s".into(),
        requested_by,
        deployment_id: None,
        baseline: baseline.map(|version| version.map(Into::into)),
    }
}

fn verdict_on(replay: &Replay) -> Verdict {
    Verdict {
        id: new_id(IdKind::Verdict),
        model: replay.model.clone(),
        version: replay.version.clone(),
        environment: replay.environment.clone(),
        baseline_version: replay.baseline_version.clone(),
        set_id: replay.set_id.clone(),
        replay_id: replay.id.clone(),
        baseline_replay_id: None,
        verdict: VerdictKind::Pass,
        reasons: Vec::new(),
        flips: Vec::new(),
        details: serde_json::json!({}),
        created_at: UnixNanos(5),
    }
}

const DONE: FinishedReplay = FinishedReplay {
    state: ReplayState::Done,
    reason: None,
    metrics: None,
    results: Vec::new(),
};

#[tokio::test]
async fn a_baseline_will_do_as_a_baseline_and_for_nothing_else() {
    let (state, _folder) = state().await;
    let baseline = new("1.0", RequestedBy::Baseline, Some(None));
    let release = new("1.0", RequestedBy::Release, Some(None));
    for (replays, waiting) in [
        (vec![baseline.clone()], 1),
        (vec![baseline.clone()], 1),
        (vec![release.clone()], 2),
        (vec![release, baseline], 2),
    ] {
        state.queue_missing_replays(&replays, UnixNanos(1)).await.unwrap();
        assert_eq!(state.replays("m").await.unwrap().len(), waiting);
    }
}

#[tokio::test]
async fn a_waiting_baseline_that_somebody_asks_for_gets_a_verdict() {
    let (state, _folder) = state().await;
    let baseline = new("1.0", RequestedBy::Baseline, Some(None));
    state.queue_missing_replays(&[baseline], UnixNanos(1)).await.unwrap();
    let asked = state
        .queue_replay(&new("1.0", RequestedBy::Api, None), UnixNanos(2))
        .await
        .unwrap()
        .unwrap();
    let kept = state.replays("m").await.unwrap();
    assert_eq!(kept, [asked]);
    assert_eq!((kept[0].requested_by, kept[0].baseline_fixed), (RequestedBy::Api, false));
}

#[tokio::test]
async fn a_verdict_is_owed_until_it_is_given_or_called_off() {
    let (state, _folder) = state().await;
    let mut replays = Vec::new();
    for version in ["1", "2", "3", "4"] {
        replays.extend(
            state
                .queue_replay(&new(version, RequestedBy::Api, None), UnixNanos(1))
                .await
                .unwrap(),
        );
    }
    let given = verdict_on(&replays[0]);
    for (replay, verdict) in replays
        .iter()
        .zip([EndVerdict::Given(&given), EndVerdict::Owed, EndVerdict::Owed, EndVerdict::None])
    {
        state.finish_replay(&replay.id, &DONE, verdict, UnixNanos(2)).await.unwrap();
    }
    let owed = async || -> Vec<String> {
        let unjudged = state.unjudged_replays().await.unwrap();
        unjudged.into_iter().map(|replay| replay.version).collect()
    };
    assert_eq!(owed().await, ["2", "3"]);
    state.insert_verdict(&verdict_on(&replays[1])).await.unwrap();
    assert_eq!(owed().await, ["3"]);
    state.owe_no_verdict(&replays[2].id).await.unwrap();
    assert_eq!(owed().await, Vec::<String>::new());
}
