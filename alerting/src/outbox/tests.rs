use driftlead_store::ids::{IdKind, new_id};
use driftlead_store::state::actions::ActionFilter;
use driftlead_store::state::outbox::{MessageState, NewMessage, enqueue};
use serde_json::json;

use super::*;
use crate::notify::email::Mail;
use crate::notify::signature::WebhookSecret;
use crate::shared::Said;
use crate::testing::{Answer, Bench, BenchSettings, Receiver, SECRET, rollback, until};
use driftlead_store::model_settings::Approval;

async fn bench(answers: impl IntoIterator<Item = Answer>) -> (Bench, Receiver) {
    let (receiver, url) = Receiver::start(answers).await;
    let bench = Bench::new(BenchSettings {
        webhook: Some(url),
        ..BenchSettings::default()
    })
    .await;
    (bench, receiver)
}

/// Puts messages of one group into the outbox and returns their ids.
async fn put(shared: &Shared, group: &str, bodies: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut transaction = shared.state.begin().await.unwrap();
    for body in bodies {
        let mail = Mail {
            subject: (*body).into(),
            text: "Text.".into(),
        };
        let said = Said::new(json!({ "type": body }).to_string(), &mail, None, group.into());
        let receivers = shared.all_receivers();
        ids.extend(shared.tell(&mut transaction, &receivers, &said, shared.clock.now()).await.unwrap());
    }
    transaction.commit().await.unwrap();
    ids
}

async fn state_of(shared: &Shared, id: &str) -> Message {
    shared.state.message(id).await.unwrap().unwrap()
}

/// Runs the worker until the condition holds.
async fn run_until<F: Future<Output = bool>>(bench: &Bench, what: &str, condition: impl FnMut() -> F) {
    let token = CancellationToken::new();
    let worker = {
        let (shared, token) = (bench.shared.clone(), token.clone());
        tokio::spawn(async move { run(shared, webhook::client().unwrap(), &token).await })
    };
    until(what, condition).await;
    token.cancel();
    worker.await.unwrap();
}

async fn run_until_delivered(bench: &Bench, id: &str) {
    run_until(bench, "it is delivered", || async {
        state_of(&bench.shared, id).await.state == MessageState::Delivered
    })
    .await;
}

#[tokio::test]
async fn a_message_is_signed_and_delivered_once() {
    let (bench, receiver) = bench([]).await;
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until_delivered(&bench, &id).await;
    let received = receiver.all();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].header("webhook-id"), id);
    let timestamp: i64 = received[0].header("webhook-timestamp").parse().unwrap();
    let signature = WebhookSecret::parse(SECRET).unwrap().sign(&id, timestamp, &received[0].body);
    assert_eq!(received[0].header("webhook-signature"), signature);
    let message = state_of(&bench.shared, &id).await;
    assert_eq!((message.attempts, message.last_status), (1, Some(200)));
}

#[tokio::test]
async fn a_receiver_that_fails_gets_the_same_id_again() {
    let answers = [Answer::Status(500), Answer::RetryAfter(429, "1"), Answer::Status(302)];
    let (bench, receiver) = bench(answers).await;
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until_delivered(&bench, &id).await;
    let received = receiver.all();
    assert_eq!(received.len(), 4);
    assert!(
        received
            .iter()
            .all(|request| request.header("webhook-id") == id && request.body == received[0].body)
    );
    assert_eq!(state_of(&bench.shared, &id).await.attempts, 4);
}

#[tokio::test]
async fn retry_after_is_waited_for_and_the_answers_words_are_kept() {
    let (bench, _receiver) = bench([Answer::RetryAfter(503, "120")]).await;
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until(&bench, "it failed", || async {
        state_of(&bench.shared, &id).await.last_status.is_some()
    })
    .await;
    let message = state_of(&bench.shared, &id).await;
    assert!(message.next_attempt_at.seconds_since(bench.shared.clock.now()) > 100.0);

    let (bench, _receiver) = self::bench([Answer::Status(500)]).await;
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until(&bench, "it failed", || async {
        state_of(&bench.shared, &id).await.last_status.is_some()
    })
    .await;
    let error = state_of(&bench.shared, &id).await.last_error.unwrap();
    assert_eq!(error, "the receiver answered 500 Internal Server Error: words  of the receiver");
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_a_closed_port_is_named() {
    let (bench, _receiver) = bench([Answer::Endless]).await;
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until_delivered(&bench, &id).await;
    let gone = Bench::new(BenchSettings {
        webhook: Some("http://127.0.0.1:9/very-secret".into()),
        ..BenchSettings::default()
    })
    .await;
    let id = put(&gone.shared, "g", &["alert.firing"]).await.remove(0);
    run_until(&gone, "it failed", || async {
        state_of(&gone.shared, &id).await.last_error.is_some()
    })
    .await;
    let message = state_of(&gone.shared, &id).await;
    let error = message.last_error.unwrap();
    assert!(
        error.starts_with("the receiver cannot be reached") && !error.contains("very-secret"),
        "{error}"
    );
    assert_eq!(message.destination, "127.0.0.1:9");
}

#[tokio::test]
async fn gone_and_used_up_attempts_are_dead_and_visible() {
    let (bench, _receiver) = bench([Answer::Status(410)]).await;
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until(&bench, "it is dead", || async {
        state_of(&bench.shared, &id).await.state == MessageState::Dead
    })
    .await;

    let id = put(&bench.shared, "h", &["alert.firing"]).await.remove(0);
    let message = Message {
        attempts: NOTIFICATIONS.max_attempts,
        ..state_of(&bench.shared, &id).await
    };
    let failed = Delivery::Failed {
        status: Some(500),
        error: "no".into(),
        retry_after: None,
    };
    settle(&bench.shared, &message, &failed, bench.shared.clock.now()).await.unwrap();
    assert_eq!(state_of(&bench.shared, &id).await.state, MessageState::Dead);
    assert_eq!(bench.shared.state.outbox_counts().await.unwrap().dead, 2);
    assert_eq!(bench.shared.state.messages(Some(MessageState::Dead), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_one_group_the_later_message_waits_for_the_earlier() {
    let (bench, receiver) = bench([Answer::Status(500), Answer::Status(500)]).await;
    let ids = put(&bench.shared, "g", &["alert.firing", "alert.resolved"]).await;
    run_until_delivered(&bench, &ids[1]).await;
    let kinds: Vec<_> = receiver.all().iter().map(|request| request.json()["type"].clone()).collect();
    assert_eq!(kinds, ["alert.firing", "alert.firing", "alert.firing", "alert.resolved"]);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_and_is_asked_a_few_at_a_time() {
    let (slow, slow_url) = Receiver::start([Answer::Hang; 40]).await;
    let (_fast, fast_url) = Receiver::start([]).await;
    let bench = Bench::new(BenchSettings {
        webhook: Some(fast_url),
        rollback: Some((slow_url, Approval::Auto)),
        ..BenchSettings::default()
    })
    .await;
    for _ in 0..20 {
        request_rollback(&bench).await;
    }
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    run_until_delivered_without_waiting(&bench, &id).await;
    assert!(slow.all().len() <= MAX_IN_FLIGHT_PER_DESTINATION, "{}", slow.all().len());
}

async fn run_until_delivered_without_waiting(bench: &Bench, id: &str) {
    let token = CancellationToken::new();
    let shared = bench.shared.clone();
    let worker = tokio::spawn(async move { run(shared, webhook::client().unwrap(), &token).await });
    until("it is delivered", || async {
        state_of(&bench.shared, id).await.state == MessageState::Delivered
    })
    .await;
    worker.abort();
}

#[tokio::test]
async fn a_worker_that_dies_between_claim_and_answer_loses_nothing() {
    let clock = driftlead_store::clock::Clock::manual(UnixNanos::from_seconds(1_800_000_000));
    let (receiver, url) = Receiver::start([]).await;
    let bench = Bench::new(BenchSettings {
        webhook: Some(url),
        clock: Some(clock.clone()),
        ..BenchSettings::default()
    })
    .await;
    let client = webhook::client().unwrap();
    let id = put(&bench.shared, "g", &["alert.firing"]).await.remove(0);
    let claim = || async {
        let now = bench.shared.clock.now();
        let lease = now.plus_seconds(LEASE_SECONDS);
        bench.shared.state.claim_messages(now, lease, 10, 4, &HashMap::new()).await.unwrap()
    };
    // Dies after the claim, before anything is sent.
    assert_eq!(claim().await.len(), 1);
    assert_eq!(claim().await.len(), 0);
    clock.set(clock.now().plus_seconds(LEASE_SECONDS));
    // Dies after the receiver answered, before that is written.
    let claimed = claim().await.remove(0);
    assert!(matches!(
        attempt(&bench.shared, &client, &claimed).await.unwrap(),
        Delivery::Delivered { .. }
    ));
    clock.set(clock.now().plus_seconds(LEASE_SECONDS));
    let claimed = claim().await.remove(0);
    deliver(&bench.shared, &client, &claimed).await;
    let message = state_of(&bench.shared, &id).await;
    assert_eq!((message.state, message.attempts), (MessageState::Delivered, 3));
    let ids: Vec<_> = receiver
        .all()
        .iter()
        .map(|request| request.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids, [id.clone(), id]);
}

/// An action and its request, as they are written together.
async fn request_rollback(bench: &Bench) -> Action {
    let shared = &bench.shared;
    let now = shared.clock.now();
    let mut action = rollback("1.1", now);
    action.to_version = Some("1.0".into());
    action.details.receivers = shared.all_receivers();
    let endpoint = shared.endpoint(ActionKind::Rollback, "employment").unwrap().clone();
    let mut transaction = shared.state.begin().await.unwrap();
    crate::action::request::request(shared, &mut transaction, &mut action, &endpoint, now)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    action
}

#[tokio::test]
async fn a_request_that_is_taken_makes_its_action_accepted() {
    let (deployer, url) = Receiver::start([Answer::Status(500), Answer::Status(202)]).await;
    let bench = Bench::new(BenchSettings {
        rollback: Some((url, Approval::Auto)),
        ..BenchSettings::default()
    })
    .await;
    let action = request_rollback(&bench).await;
    let present = || async { bench.shared.state.action(&action.id).await.unwrap().unwrap() };
    run_until(&bench, "it is accepted", || async {
        present().await.state == ActionState::Accepted
    })
    .await;
    let accepted = present().await;
    let until_deadline = accepted.deadline.seconds_since(accepted.accepted_at.unwrap());
    assert_eq!(until_deadline as i64, ROLLBACK_DEADLINE_SECONDS);
    let body = deployer.all()[0].json();
    assert_eq!(body["type"], "rollback.requested");
    assert_eq!((&body["data"]["from"], &body["data"]["to"]), (&json!("1.1"), &json!("1.0")));
    let events = bench.shared.state.action_events(std::slice::from_ref(&action.id)).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.state).collect::<Vec<_>>(),
        [ActionState::Requested, ActionState::Accepted]
    );
}

#[tokio::test]
async fn a_request_that_is_given_up_fails_its_action_and_people_hear_of_it() {
    let (_deployer, deployer_url) = Receiver::start([Answer::Status(410)]).await;
    let (oncall, url) = Receiver::start([]).await;
    let bench = Bench::new(BenchSettings {
        webhook: Some(url),
        rollback: Some((deployer_url, Approval::Auto)),
        ..BenchSettings::default()
    })
    .await;
    let action = request_rollback(&bench).await;
    run_until(&bench, "people heard of it", || async { !oncall.all().is_empty() }).await;
    let told = oncall.all()[0].json();
    assert_eq!(told["type"], "rollback.failed");
    assert!(told["data"]["note"].as_str().unwrap().contains("410"), "{told}");
    let filter = ActionFilter {
        limit: 10,
        ..ActionFilter::default()
    };
    let actions = bench.shared.state.actions(&filter).await.unwrap();
    assert_eq!(
        (actions[0].id.as_str(), actions[0].state),
        (action.id.as_str(), ActionState::Failed)
    );
}

#[tokio::test]
async fn a_request_is_not_sent_after_its_deadline() {
    let clock = driftlead_store::clock::Clock::manual(UnixNanos::from_seconds(1_800_000_000));
    let (deployer, url) = Receiver::start([]).await;
    let bench = Bench::new(BenchSettings {
        rollback: Some((url, Approval::Auto)),
        clock: Some(clock.clone()),
        ..BenchSettings::default()
    })
    .await;
    let action = request_rollback(&bench).await;
    clock.set(clock.now().plus_seconds(ROLLBACK_DEADLINE_SECONDS + 1));
    run_until(&bench, "it failed", || async {
        bench.shared.state.action(&action.id).await.unwrap().unwrap().state == ActionState::Failed
    })
    .await;
    assert!(deployer.all().is_empty());
}

#[tokio::test]
async fn a_receiver_that_was_taken_out_of_the_configuration_gets_nothing() {
    let (bench, receiver) = bench([]).await;
    let message = NewMessage {
        id: new_id(IdKind::Message),
        channel: Channel::Webhook,
        route: "nobody".into(),
        destination: "nowhere".into(),
        body: "{}".into(),
        action_id: None,
        group_key: "g".into(),
    };
    let mut transaction = bench.shared.state.begin().await.unwrap();
    enqueue(&mut transaction, &message, bench.shared.clock.now()).await.unwrap();
    transaction.commit().await.unwrap();
    run_until(&bench, "it is dead", || async {
        state_of(&bench.shared, &message.id).await.state == MessageState::Dead
    })
    .await;
    assert!(receiver.all().is_empty());
}
