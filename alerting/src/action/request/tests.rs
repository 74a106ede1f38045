use std::time::Duration;

use super::*;
use crate::config::{ModelActions, resolve_models};
use driftlead_store::model_settings::{ActionSettings, ModelSettings};

const NOW: UnixNanos = UnixNanos(10_000 * UnixNanos::SECOND);

fn endpoint(approval: Approval) -> ActionEndpoint {
    let mut settings = ModelSettings::undeclared("employment");
    settings.rollback = Some(ActionSettings {
        url: "http://deployer/rollback".into(),
        approval,
        secret: None,
        cool_down: Duration::from_secs(600),
    });
    let models = resolve_models(&[settings]).unwrap();
    let ModelActions { rollback, .. } = models["employment"].clone();
    rollback.unwrap()
}

fn proposal(kind: ActionKind, approval: Approval, by_person: bool) -> Proposal {
    let facts = match kind {
        ActionKind::Rollback => Facts::Rollback(RollbackFacts {
            live: Some("1.1".into()),
            from: Some("1.1".into()),
            from_serves: true,
            target: Some("1.0".into()),
            target_is_known: true,
            target_verdict: Some(VerdictKind::Pass),
            ..RollbackFacts::default()
        }),
        ActionKind::Retrain => Facts::Retrain { new_examples_since: None },
    };
    let asker = if by_person {
        Asker::Person("ana".into())
    } else {
        Asker::Alert {
            rule: "gate-failed".into(),
            alert_id: "alr_1".into(),
            firing_since: NOW.plus_seconds(-60),
        }
    };
    Proposal {
        endpoint: Some(endpoint(approval)),
        asked: Asked {
            kind,
            model: "employment".into(),
            environment: "production".into(),
            version: Some("1.1".into()),
            target: None,
            because: vec!["gate_failed 1 above 0".into()],
            asker,
            receivers: vec![],
        },
        facts,
    }
}

fn past(kind: ActionKind, state: ActionState, ended_seconds_ago: i64) -> Action {
    let mut action = write(
        &proposal(kind, Approval::Auto, false),
        &endpoint(Approval::Auto),
        NOW.plus_seconds(-5_000),
    );
    action.state = state;
    action.updated_at = NOW.plus_seconds(-ended_seconds_ago);
    action.finished_at = (!state.is_open()).then_some(action.updated_at);
    action
}

fn facts(proposal: &mut Proposal, change: impl FnOnce(&mut RollbackFacts)) {
    if let Facts::Rollback(facts) = &mut proposal.facts {
        change(facts);
    }
}

fn check(proposal: &Proposal, past: &[Action], expected: &str) {
    let code = match decide(proposal, past, NOW) {
        Ok(_) => "begins",
        Err(refusal) => refusal.code(),
    };
    assert_eq!(code, expected);
}

#[test]
fn a_rule_may_roll_back_what_serves_to_its_baseline() {
    let fine = proposal(ActionKind::Rollback, Approval::Auto, false);
    check(&fine, &[], "begins");
    let mut none = fine.clone();
    none.endpoint = None;
    check(&none, &[], "not_configured");
    check(&proposal(ActionKind::Rollback, Approval::Off, false), &[], "switched_off");
    for (change, expected) in [
        ((|facts| facts.target = None) as fn(&mut RollbackFacts), "no_target"),
        (|facts| facts.target = Some("1.1".into()), "is_live"),
        (|facts| facts.target_is_known = false, "unknown_version"),
        (|facts| facts.target_verdict = Some(VerdictKind::Fail), "failed_gate"),
        (|facts| facts.target_verdict = Some(VerdictKind::Inconclusive), "begins"),
        (|facts| facts.target_verdict = None, "begins"),
        (|facts| facts.from_serves = false, "not_serving"),
    ] {
        let mut changed = fine.clone();
        facts(&mut changed, change);
        check(&changed, &[], expected);
    }
}

#[test]
fn a_rollback_is_one_at_a_time_and_not_repeated_by_the_same_alert() {
    let fine = proposal(ActionKind::Rollback, Approval::Auto, false);
    for state in [ActionState::Asked, ActionState::Requested, ActionState::Accepted] {
        check(&fine, &[past(ActionKind::Rollback, state, 4_000)], "in_progress");
    }
    for (state, ended_seconds_ago, expected) in [
        (ActionState::Confirmed, 30, "already_tried"),
        (ActionState::Overdue, 30, "already_tried"),
        (ActionState::Dismissed, 30, "already_tried"),
        (ActionState::Failed, 30, "cooling_down"),
        (ActionState::Failed, 601, "begins"),
        (ActionState::Confirmed, 100, "cooling_down"),
        (ActionState::Confirmed, 601, "begins"),
    ] {
        check(&fine, &[past(ActionKind::Rollback, state, ended_seconds_ago)], expected);
    }
}

#[test]
fn a_person_need_not_wait_but_cannot_choose_what_failed() {
    let person = proposal(ActionKind::Rollback, Approval::Ask, true);
    check(&person, &[past(ActionKind::Rollback, ActionState::Confirmed, 10)], "begins");
    check(&person, &[past(ActionKind::Rollback, ActionState::Accepted, 10)], "in_progress");
    let mut failed = person.clone();
    facts(&mut failed, |facts| facts.target_verdict = Some(VerdictKind::Fail));
    check(&failed, &[], "failed_gate");
    assert_eq!(write(&person, &endpoint(Approval::Ask), NOW).state, ActionState::Requested);
}

#[test]
fn a_retraining_is_asked_for_again_when_it_was_undone_or_failed() {
    let fine = proposal(ActionKind::Retrain, Approval::Auto, false);
    for (state, ended_seconds_ago, expected) in [
        (ActionState::Done, 30, "already_tried"),
        (ActionState::Done, 700, "begins"),
        (ActionState::Undone, 30, "cooling_down"),
        (ActionState::Undone, 599, "cooling_down"),
        (ActionState::Undone, 600, "begins"),
        (ActionState::Failed, 600, "begins"),
        (ActionState::Overdue, 600, "begins"),
    ] {
        check(&fine, &[past(ActionKind::Retrain, state, ended_seconds_ago)], expected);
    }
}

#[test]
fn what_asks_first_waits_for_approval_and_says_when_the_target_was_never_gated() {
    let mut asking = proposal(ActionKind::Rollback, Approval::Ask, false);
    facts(&mut asking, |facts| facts.target_verdict = None);
    let action = write(&asking, &endpoint(Approval::Ask), NOW);
    assert_eq!(action.state, ActionState::Asked);
    assert_eq!(action.because.last().unwrap(), "the target 1.0 was never judged by the gate");
}

#[tokio::test]
async fn an_approval_is_refused_when_the_target_failed_since_or_the_version_is_gone() {
    use crate::testing::{Bench, BenchSettings};
    let bench = Bench::new(BenchSettings {
        rollback: Some(("http://127.0.0.1:9/rollback".into(), Approval::Ask)),
        ..BenchSettings::default()
    })
    .await;
    let shared = &bench.shared;
    let asking = proposal(ActionKind::Rollback, Approval::Ask, false);
    let mut transaction = shared.state.begin().await.unwrap();
    let action = begin(shared, &mut transaction, &asking, NOW).await.unwrap().unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(action.state, ActionState::Asked);

    let approve_with = async |change: fn(&mut RollbackFacts)| {
        let mut proposal = proposal(ActionKind::Rollback, Approval::Ask, true);
        facts(&mut proposal, change);
        let mut action = action.clone();
        let mut transaction = shared.state.begin().await.unwrap();
        let outcome = approve(shared, &mut transaction, &mut action, &proposal, NOW).await.unwrap();
        outcome.map(|()| action.state).map_err(|refusal| refusal.code())
    };
    assert_eq!(approve_with(|facts| facts.from_serves = false).await, Err("not_serving"));
    assert_eq!(approve_with(|_| ()).await, Ok(ActionState::Requested));
    // The gate spoke after the facts were gathered, which still say that it passed.
    let verdict = verdicts::Verdict {
        id: "ver_1".into(),
        model: "employment".into(),
        version: "1.0".into(),
        environment: "production".into(),
        baseline_version: None,
        set_id: "set".into(),
        replay_id: "rpl_1".into(),
        baseline_replay_id: None,
        verdict: VerdictKind::Fail,
        reasons: vec![],
        flips: vec![],
        details: serde_json::json!({}),
        created_at: NOW,
    };
    shared.state.insert_verdict(&verdict).await.unwrap();
    assert_eq!(approve_with(|_| ()).await, Err("failed_gate"));
}
