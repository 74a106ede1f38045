use driftlead_store::clock::Clock;
use driftlead_store::model_settings::Approval;
use driftlead_store::records::{SignalState, names};
use driftlead_store::state::actions::{Action, ActionFilter, ActionKind, ActionState};
use driftlead_store::state::deployments::{DeploymentEvent, NewDeployment};
use driftlead_store::state::outbox::Message;
use driftlead_store::state::silences::{Matchers, NewSilence};
use serde_json::{Value, json};

use super::*;
use crate::action::worker;
use crate::notify::Delivery;
use crate::run::evaluate;
use crate::testing::{Bench, BenchSettings};
use crate::{Commands, outbox, pack};

const START: i64 = 1_800_000_000;

const RULES: &str = r#"
    [[rules]]
    name = "errors"
    signal = "error_ratio"
    above = "2%"
    severity = "critical"
    actions = ["notify"]
    no_data = "ok"
    why = "Too many errors."

    [[rules]]
    name = "slow"
    signal = "latency_p95_ms"
    above = "latency_budget_ms"
    severity = "warning"
    actions = ["notify"]
    why = "Too slow."

    [[rules]]
    name = "silence"
    signal = "silence_s"
    above = "1m"
    severity = "warning"
    actions = ["notify"]
    why = "It is silent."

    [[rules]]
    name = "gate-failed"
    signal = "gate_failed"
    above = 0
    severity = "critical"
    actions = ["notify", "rollback"]
    why = "It is worse."

    [[rules]]
    name = "feature-shift"
    signal = "feature_shift"
    window = "1d"
    above = "2%"
    severity = "warning"
    actions = ["notify", "retrain"]
    why = "It drifts."
"#;

/// An evaluator whose clock moves by hand and whose receivers nobody delivers to: what it says is read
/// from the outbox.
struct Desk {
    bench: Bench,
    evaluator: Evaluator,
    clock: Clock,
}

impl Desk {
    async fn new() -> Self {
        let clock = Clock::manual(UnixNanos::from_seconds(START));
        let bench = Bench::new(BenchSettings {
            webhook: Some("http://127.0.0.1:9/oncall".into()),
            rollback: Some(("http://127.0.0.1:9/rollback".into(), Approval::Auto)),
            retrain: Some(("http://127.0.0.1:9/retrain".into(), Approval::Auto)),
            clock: Some(clock.clone()),
            rules: Some(RULES),
            ..BenchSettings::default()
        })
        .await;
        let evaluator = Evaluator::load(bench.shared.clone()).await.unwrap();
        Self { bench, evaluator, clock }
    }

    fn now(&self) -> UnixNanos {
        self.clock.now()
    }

    fn pass(&self, seconds: i64) {
        self.clock.set(self.now().plus_seconds(seconds));
    }

    fn signal(&self, name: &str, value: f64) -> Signal {
        let window_seconds = match name {
            names::FEATURE_SHIFT => 86_400,
            names::GATE_FAILED => 0,
            _ => 60,
        };
        Signal {
            name: name.into(),
            model: "employment".into(),
            version: if name == names::SILENCE_S { "" } else { "1.0" }.into(),
            environment: "production".into(),
            segment: String::new(),
            subject: if name == names::FEATURE_SHIFT { "ANC" } else { "" }.into(),
            window_end: if window_seconds == 86_400 {
                self.now().floor_to(86_400)
            } else {
                self.now()
            },
            window_seconds,
            value: Some(value),
            lower: None,
            upper: None,
            decision_lower: None,
            decision_upper: None,
            n: 1_000,
            reference_n: 0,
            provisional: false,
            state: SignalState::Ok,
            details: json!({}),
        }
    }

    async fn see(&mut self, name: &str, value: f64) {
        let signal = self.signal(name, value);
        evaluate(&mut self.evaluator, &[signal], false).await.unwrap();
    }

    async fn wait(&mut self, seconds: i64) {
        self.pass(seconds);
        evaluate(&mut self.evaluator, &[], false).await.unwrap();
    }

    async fn messages(&self) -> Vec<Message> {
        let mut messages = self.bench.shared.state.messages(None, 1_000).await.unwrap();
        messages.reverse();
        messages
    }

    /// Types of what was said to receivers, with the rule.
    async fn said(&self) -> Vec<String> {
        let messages = self.messages().await;
        let told = messages.iter().filter(|message| message.route == "oncall");
        told.map(|message| {
            let body: Value = serde_json::from_str(&message.body).unwrap();
            let about = body["data"]["rule"].as_str().or(body["data"]["action"].as_str().map(|_| "action"));
            format!("{} {}", body["type"].as_str().unwrap(), about.unwrap())
        })
        .collect()
    }

    async fn restart(&mut self) {
        self.evaluator = Evaluator::load(self.bench.shared.clone()).await.unwrap();
    }

    async fn actions(&self) -> Vec<Action> {
        let filter = ActionFilter {
            limit: 100,
            ..ActionFilter::default()
        };
        let mut actions = self.bench.shared.state.actions(&filter).await.unwrap();
        actions.reverse();
        actions
    }

    async fn answer_requests(&self, status: u16) {
        for message in self.messages().await.iter().filter(|message| message.route != "oncall") {
            let delivery = Delivery::Delivered { status: Some(status) };
            outbox::settle(&self.bench.shared, message, &delivery, self.now()).await.unwrap();
        }
    }

    async fn poll(&self) {
        worker::poll(&self.bench.shared, &mut worker::Looks::default(), self.now())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_fires_is_told_once_and_told_when_it_ends_even_across_restarts() {
    let mut desk = Desk::new().await;
    desk.see(names::ERROR_RATIO, 0.01).await;
    assert!(desk.said().await.is_empty());
    for _ in 0..3 {
        desk.pass(5);
        desk.see(names::ERROR_RATIO, 0.05).await;
        desk.restart().await;
    }
    assert_eq!(desk.said().await, ["alert.firing errors"]);
    desk.pass(5);
    desk.see(names::ERROR_RATIO, 0.01).await;
    desk.restart().await;
    desk.wait(5).await;
    assert_eq!(desk.said().await, ["alert.firing errors", "alert.resolved errors"]);
    let alert = desk.bench.shared.state.all_alerts().await.unwrap().remove(0);
    let transitions = desk.bench.shared.state.alert_transitions(&alert.id).await.unwrap();
    let states: Vec<_> = transitions.iter().map(|transition| (transition.from, transition.to)).collect();
    assert_eq!(
        states,
        [
            (AlertState::Inactive, AlertState::Firing),
            (AlertState::Firing, AlertState::Resolved)
        ]
    );
    assert_eq!(transitions[0].reason, "error_ratio 0.05 above 0.02");
}

#[tokio::test]
async fn what_breaks_at_once_is_one_message() {
    let mut desk = Desk::new().await;
    let signals: Vec<Signal> = (0..300)
        .map(|feature| Signal {
            subject: format!("feature_{feature}"),
            ..desk.signal(names::FEATURE_SHIFT, 0.2)
        })
        .chain([desk.signal(names::ERROR_RATIO, 0.5)])
        .collect();
    evaluate(&mut desk.evaluator, &signals, false).await.unwrap();
    let messages: Vec<Message> = desk
        .messages()
        .await
        .into_iter()
        .filter(|message| message.route == "oncall")
        .collect();
    assert_eq!(messages.len(), 1);
    let body: Value = serde_json::from_str(&messages[0].body).unwrap();
    assert_eq!(body["data"]["rule"], "errors");
    let listed = body["data"]["alerts"].as_array().unwrap().len();
    assert_eq!(listed + body["data"]["more"].as_u64().unwrap() as usize, 301);
    let actions = desk.actions().await;
    assert_eq!(actions.len(), 1, "one retraining for all features");
    assert!(actions[0].because.len() > 1);
}

#[tokio::test]
async fn it_is_told_again_after_the_repeat_interval() {
    let mut desk = Desk::new().await;
    desk.see(names::SILENCE_S, 100.0).await;
    desk.wait(4 * 3_600 - 1).await;
    assert_eq!(desk.said().await.len(), 1);
    desk.wait(1).await;
    assert_eq!(desk.said().await, ["alert.firing silence"; 2]);
}

#[tokio::test]
async fn a_silence_holds_back_and_its_end_tells_what_still_fires() {
    let mut desk = Desk::new().await;
    let silence = NewSilence {
        matchers: Matchers {
            rule: Some("silence".into()),
            ..Matchers::default()
        },
        reason: "planned".into(),
        author: "ana".into(),
        starts_at: desk.now(),
        ends_at: desk.now().plus_seconds(600),
    };
    desk.bench.shared.state.create_silence(silence, desk.now()).await.unwrap();
    desk.see(names::SILENCE_S, 100.0).await;
    desk.wait(599).await;
    assert!(desk.said().await.is_empty());
    let alert = desk.bench.shared.state.all_alerts().await.unwrap().remove(0);
    assert!(
        alert.memory.quiet_because.starts_with("silenced until"),
        "{}",
        alert.memory.quiet_because
    );
    desk.wait(1).await;
    assert_eq!(desk.said().await, ["alert.firing silence"]);
}

#[tokio::test]
async fn a_silent_model_mutes_its_latency() {
    let mut desk = Desk::new().await;
    desk.see(names::SILENCE_S, 100.0).await;
    desk.pass(5);
    desk.see(names::LATENCY_P95_MS, 900.0).await;
    assert_eq!(desk.said().await, ["alert.firing silence"]);
    desk.pass(5);
    desk.see(names::SILENCE_S, 0.0).await;
    assert_eq!(
        desk.said().await,
        ["alert.firing silence", "alert.firing slow", "alert.resolved silence"]
    );
}

#[tokio::test]
async fn what_flaps_is_damped_and_its_end_told_when_it_is_calm() {
    let mut desk = Desk::new().await;
    for _ in 0..10 {
        desk.pass(5);
        desk.see(names::ERROR_RATIO, 0.5).await;
        desk.pass(5);
        desk.see(names::ERROR_RATIO, 0.0).await;
    }
    let said = desk.said().await;
    assert_eq!(said.len(), 2 * route::FLAP_FIRINGS - 1, "{said:?}");
    desk.wait(route::FLAP_WINDOW_SECONDS).await;
    assert_eq!(desk.said().await.last().unwrap(), "alert.resolved errors");
}

#[tokio::test]
async fn a_rule_that_was_taken_out_ends_its_alerts_and_a_broken_file_raises_one() {
    let mut desk = Desk::new().await;
    desk.see(names::ERROR_RATIO, 0.5).await;
    let path = desk.bench.rules_path();
    std::fs::write(&path, "[[rules]]\nname = 3").unwrap();
    desk.bench.shared.rules.reload().unwrap_err();
    desk.wait(1).await;
    std::fs::write(&path, RULES.replace("name = \"errors\"", "name = \"failures\"")).unwrap();
    desk.bench.shared.rules.reload().unwrap();
    desk.wait(1).await;
    let invalid = pack::RULES_INVALID_RULE;
    let said = desk.said().await;
    assert_eq!(said[0], "alert.firing errors");
    assert_eq!(said[1], format!("alert.firing {invalid}"));
    let mut ends = said[2..].to_vec();
    ends.sort();
    assert_eq!(ends, ["alert.resolved errors".to_owned(), format!("alert.resolved {invalid}")]);
}

#[tokio::test]
async fn drift_asks_for_a_retraining_and_asks_again_when_it_was_undone() {
    let mut desk = Desk::new().await;
    desk.see(names::FEATURE_SHIFT, 0.043).await;
    desk.wait(1).await;
    let retraining = desk.actions().await.remove(0);
    assert_eq!((retraining.kind, retraining.state), (ActionKind::Retrain, ActionState::Requested));
    assert_eq!(retraining.because, ["feature_shift of ANC 0.043 above 0.02"]);
    let firing: Value =
        serde_json::from_str(&desk.messages().await.iter().find(|message| message.route == "oncall").unwrap().body).unwrap();
    assert_eq!(
        firing["data"]["actions"][0],
        json!({"kind": "retrain", "action": retraining.id, "state": "requested"})
    );

    desk.answer_requests(202).await;
    assert_eq!(desk.actions().await[0].state, ActionState::Accepted);
    desk.poll().await;
    assert_eq!(desk.actions().await[0].state, ActionState::Accepted);
    let deployment = NewDeployment {
        model: "employment".into(),
        version: "1.1".into(),
        environment: "production".into(),
        event: DeploymentEvent::Live,
        retrain_id: retraining.retrain_id.clone(),
        reference: None,
        commit_id: None,
        artifact: None,
        data_version: None,
        body: json!({}),
        at: desk.now(),
    };
    desk.bench.shared.state.insert_deployment(&deployment, desk.now()).await.unwrap();
    desk.poll().await;
    assert_eq!(desk.actions().await[0].state, ActionState::Done);

    // While it is done nothing is asked; when its version is rolled back it is asked for again.
    desk.wait(700).await;
    assert_eq!(desk.actions().await.len(), 1);
    let mut rollback = retraining.clone();
    rollback.id = "act_rollback".into();
    rollback.kind = ActionKind::Rollback;
    rollback.state = ActionState::Confirmed;
    rollback.from_version = Some("1.1".into());
    rollback.finished_at = Some(desk.now());
    let mut transaction = desk.bench.shared.state.begin().await.unwrap();
    driftlead_store::state::actions::save(&mut transaction, &rollback, "")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    desk.poll().await;
    let undone = desk.bench.shared.state.action(&retraining.id).await.unwrap().unwrap();
    assert_eq!(undone.state, ActionState::Undone);
    desk.wait(599).await;
    let retrainings = async |desk: &Desk| {
        desk.actions()
            .await
            .iter()
            .filter(|action| action.kind == ActionKind::Retrain)
            .count()
    };
    assert_eq!(retrainings(&desk).await, 1);
    desk.wait(2).await;
    assert_eq!(retrainings(&desk).await, 2);
    let said = desk.said().await;
    assert_eq!(said, ["alert.firing feature-shift", "retrain.done action", "retrain.undone action"]);
}

#[tokio::test]
async fn what_cannot_be_rolled_back_says_why_beside_the_alert() {
    let mut desk = Desk::new().await;
    // No telemetry can be read in these tests, so it cannot be known what serves.
    let signal = Signal {
        details: json!({"reasons": ["F1 0.61 (0.52–0.70) is surely below 0.75"]}),
        ..desk.signal(names::GATE_FAILED, 1.0)
    };
    evaluate(&mut desk.evaluator, &[signal], false).await.unwrap();
    let alert = desk.bench.shared.state.all_alerts().await.unwrap().remove(0);
    assert_eq!(alert.memory.because, ["F1 0.61 (0.52–0.70) is surely below 0.75"]);
    let reason = &alert.memory.actions_not_taken["rollback"];
    assert!(reason.starts_with("it cannot be seen what serves"), "{reason}");
    assert!(desk.actions().await.is_empty());
}

#[tokio::test]
async fn a_verdict_ends_with_the_rollback_of_its_version() {
    let mut desk = Desk::new().await;
    desk.see(names::GATE_FAILED, 1.0).await;
    let mut rollback = crate::testing::rollback("1.0", desk.now());
    rollback.state = ActionState::Confirmed;
    rollback.finished_at = Some(desk.now().plus_seconds(30));
    let mut transaction = desk.bench.shared.state.begin().await.unwrap();
    driftlead_store::state::actions::save(&mut transaction, &rollback, "")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    desk.wait(31).await;
    assert_eq!(desk.said().await, ["alert.firing gate-failed", "alert.resolved gate-failed"]);
    // The same verdict, published again after a restart, is not judged again.
    desk.restart().await;
    let again = Signal {
        window_end: UnixNanos::from_seconds(START),
        ..desk.signal(names::GATE_FAILED, 1.0)
    };
    evaluate(&mut desk.evaluator, &[again], false).await.unwrap();
    assert_eq!(desk.said().await.len(), 2);
}

#[tokio::test]
async fn a_person_approves_or_dismisses_what_was_asked() {
    let clock = Clock::manual(UnixNanos::from_seconds(START));
    let bench = Bench::new(BenchSettings {
        retrain: Some(("http://127.0.0.1:9/retrain".into(), Approval::Ask)),
        webhook: Some("http://127.0.0.1:9/oncall".into()),
        clock: Some(clock.clone()),
        rules: Some(RULES),
        ..BenchSettings::default()
    })
    .await;
    let evaluator = Evaluator::load(bench.shared.clone()).await.unwrap();
    let mut desk = Desk { bench, evaluator, clock };
    desk.see(names::FEATURE_SHIFT, 0.043).await;
    let asked = desk.actions().await.remove(0);
    assert_eq!(asked.state, ActionState::Asked);
    assert_eq!(desk.said().await, ["retrain.asked action", "alert.firing feature-shift"]);
    let commands = Commands::sharing(desk.bench.shared.clone());
    let approved = commands.approve(&asked.id, "ana").await.unwrap();
    assert_eq!(
        (approved.state, approved.details.approved_by.as_deref()),
        (ActionState::Requested, Some("ana"))
    );
    assert!(commands.approve(&asked.id, "ana").await.is_err());
    assert_eq!(desk.messages().await.iter().filter(|message| message.route == "retrain").count(), 1);
    let audit = desk.bench.shared.state.audit_entries(10).await.unwrap();
    assert_eq!((audit[0].actor.as_str(), audit[0].action.as_str()), ("ana", "action.approve"));

    let mut second = Desk::new().await;
    second.see(names::FEATURE_SHIFT, 0.043).await;
    let commands = Commands::sharing(second.bench.shared.clone());
    let open = second.actions().await.remove(0);
    let request = crate::commands::RetrainRequest {
        model: "employment".into(),
        environment: "production".into(),
        reason: "now".into(),
        requested_by: "ana".into(),
    };
    match commands.request_retrain(request).await {
        Err(crate::commands::CommandError::Refused(refusal)) => assert!(refusal.to_string().contains(&open.id)),
        other => panic!("{other:?}"),
    }
    let views = commands.alerts(&Default::default()).await.unwrap();
    assert!(views.is_empty(), "the limit is 0 unless it is given");
}

#[tokio::test]
async fn an_approval_that_nobody_gives_runs_out() {
    let clock = Clock::manual(UnixNanos::from_seconds(START));
    let bench = Bench::new(BenchSettings {
        retrain: Some(("http://127.0.0.1:9/retrain".into(), Approval::Ask)),
        clock: Some(clock.clone()),
        rules: Some(RULES),
        ..BenchSettings::default()
    })
    .await;
    let evaluator = Evaluator::load(bench.shared.clone()).await.unwrap();
    let mut desk = Desk { bench, evaluator, clock };
    desk.see(names::FEATURE_SHIFT, 0.043).await;
    desk.pass(crate::action::APPROVAL_DEADLINE_SECONDS);
    desk.poll().await;
    assert_eq!(desk.actions().await[0].state, ActionState::Failed);
}

#[tokio::test]
async fn a_version_that_failed_fires_again_when_its_verdict_is_given_again() {
    let mut desk = Desk::new().await;
    desk.see(names::GATE_FAILED, 1.0).await;
    let rollback = Action {
        state: ActionState::Confirmed,
        finished_at: Some(desk.now().plus_seconds(30)),
        ..crate::testing::rollback("1.0", desk.now())
    };
    let mut transaction = desk.bench.shared.state.begin().await.unwrap();
    driftlead_store::state::actions::save(&mut transaction, &rollback, "")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    desk.wait(31).await;
    desk.pass(3_600);
    desk.see(names::GATE_FAILED, 1.0).await;
    assert_eq!(
        desk.said().await,
        ["alert.firing gate-failed", "alert.resolved gate-failed", "alert.firing gate-failed"]
    );
}

#[tokio::test]
async fn a_silence_holds_back_words_and_not_deeds() {
    let mut desk = Desk::new().await;
    let silence = NewSilence {
        matchers: Matchers {
            rule: Some("feature-shift".into()),
            ..Matchers::default()
        },
        reason: "planned".into(),
        author: "ana".into(),
        starts_at: desk.now(),
        ends_at: desk.now().plus_seconds(600),
    };
    desk.bench.shared.state.create_silence(silence, desk.now()).await.unwrap();
    desk.see(names::FEATURE_SHIFT, 0.043).await;
    assert!(desk.said().await.is_empty());
    assert_eq!(desk.actions().await[0].state, ActionState::Requested);
}

#[tokio::test]
async fn a_window_of_a_series_without_an_alert_is_looked_at_once_and_never_after_a_later_one() {
    let mut desk = Desk::new().await;
    desk.see(names::FEATURE_SHIFT, 0.01).await;
    desk.pass(60);
    desk.see(names::FEATURE_SHIFT, 0.2).await;
    assert!(desk.said().await.is_empty(), "the window was looked at");
    let earlier = Signal {
        window_end: desk.now().floor_to(86_400).plus_seconds(-86_400),
        ..desk.signal(names::FEATURE_SHIFT, 0.2)
    };
    evaluate(&mut desk.evaluator, &[earlier], false).await.unwrap();
    assert!(desk.said().await.is_empty(), "a later window was looked at");
    desk.pass(86_400);
    desk.see(names::FEATURE_SHIFT, 0.2).await;
    assert_eq!(desk.said().await, ["alert.firing feature-shift"]);
}

#[tokio::test]
async fn a_request_that_nobody_takes_fails_at_its_deadline_and_is_not_sent_any_more() {
    let mut desk = Desk::new().await;
    desk.see(names::FEATURE_SHIFT, 0.043).await;
    let request = async |desk: &Desk| {
        let messages = desk.messages().await;
        messages.into_iter().find(|message| message.route == "retrain").unwrap()
    };
    let delivery = Delivery::Failed {
        status: Some(503),
        error: "later".into(),
        retry_after: Some(std::time::Duration::from_secs(48 * 3_600)),
    };
    let message = request(&desk).await;
    outbox::settle(&desk.bench.shared, &message, &delivery, desk.now()).await.unwrap();
    let deadline = desk.actions().await[0].deadline;
    assert_eq!(request(&desk).await.next_attempt_at, deadline);
    desk.clock.set(deadline);
    desk.poll().await;
    assert_eq!(desk.actions().await[0].state, ActionState::Failed);
    assert_eq!(request(&desk).await.state, driftlead_store::state::outbox::MessageState::Dead);
    assert_eq!(desk.said().await.last().unwrap(), "retrain.failed action");
}

#[tokio::test]
async fn how_an_action_went_is_told_to_all_where_its_rule_tells_nobody() {
    let clock = Clock::manual(UnixNanos::from_seconds(START));
    let bench = Bench::new(BenchSettings {
        webhook: Some("http://127.0.0.1:9/oncall".into()),
        retrain: Some(("http://127.0.0.1:9/retrain".into(), Approval::Ask)),
        clock: Some(clock.clone()),
        rules: Some(
            "[[rules]]\nname = \"quiet\"\nsignal = \"feature_shift\"\nwindow = \"1d\"\nabove = \"2%\"\nseverity = \"info\"\n\
             actions = [\"retrain\"]\nwhy = \"It drifts.\"",
        ),
        ..BenchSettings::default()
    })
    .await;
    let evaluator = Evaluator::load(bench.shared.clone()).await.unwrap();
    let mut desk = Desk { bench, evaluator, clock };
    desk.see(names::FEATURE_SHIFT, 0.043).await;
    assert_eq!(desk.said().await, ["retrain.asked action"]);
}
