use std::sync::{Arc, Mutex};

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{Action, ActionDetails, ActionKind, ActionState};
use driftlead_store::state::alerts::AlertState;
use driftlead_store::state::outbox::{Channel, Message, MessageState};
use insta::assert_snapshot;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::email::{self, Mail};
use super::notice::{self, ActionNote, AlertNews, AlertSaid};
use super::{ATTEMPT_TIMEOUT, Delivery};
use crate::config::{Smtp, SmtpTls};
use crate::testing::alert;

const URL: &str = "http://127.0.0.1:8080";

fn now() -> UnixNanos {
    UnixNanos::parse("2026-11-23T10:00:07Z").unwrap()
}

fn action(kind: ActionKind, state: ActionState) -> Action {
    let rollback = kind == ActionKind::Rollback;
    Action {
        id: "act_1".into(),
        kind,
        model: "employment".into(),
        environment: "production".into(),
        from_version: rollback.then(|| "1.1".into()),
        to_version: rollback.then(|| "1.0".into()),
        retrain_id: (!rollback).then(|| "rtr_1".into()),
        state,
        because: vec!["control_f1 0.61 (0.52–0.7) below 0.75".into()],
        rule: Some("gate-failed".into()),
        alert_id: Some("alr_1".into()),
        requested_by: "rule".into(),
        requested_at: now(),
        accepted_at: None,
        finished_at: None,
        deadline: now().plus_seconds(900),
        details: ActionDetails {
            to_commit: rollback.then(|| "4f2a".into()),
            new_examples_since: Some(UnixNanos::parse("2026-10-01").unwrap()),
            ..ActionDetails::default()
        },
        updated_at: now(),
    }
}

fn pretty(json: &str) -> String {
    // Re-read with the order kept by hand: one field a line is enough to see what changed.
    json.replace(",\"", ",\n\"").replace(":{\"", ":{\n\"")
}

#[test]
fn the_body_of_a_rollback_request() {
    let body = notice::rollback_requested(&action(ActionKind::Rollback, ActionState::Requested), URL).to_json();
    assert_snapshot!(pretty(&body), @r#"
    {"type":"rollback.requested",
    "timestamp":"2026-11-23T10:00:07Z",
    "data":{
    "action":"act_1",
    "model":"employment",
    "environment":"production",
    "from":"1.1",
    "to":"1.0",
    "to_commit":"4f2a",
    "to_artifact":null,
    "because":["control_f1 0.61 (0.52–0.7) below 0.75"],
    "deadline":"2026-11-23T10:15:07Z",
    "page":"http://127.0.0.1:8080/models/employment?env=production"}}
    "#);
}

#[test]
fn the_body_of_a_retraining_request() {
    let body = notice::retrain_requested(&action(ActionKind::Retrain, ActionState::Requested), URL).to_json();
    assert_snapshot!(pretty(&body), @r#"
    {"type":"retrain.requested",
    "timestamp":"2026-11-23T10:00:07Z",
    "data":{
    "action":"act_1",
    "retrain_id":"rtr_1",
    "model":"employment",
    "environment":"production",
    "because":["control_f1 0.61 (0.52–0.7) below 0.75"],
    "since":"2026-10-01T00:00:00Z",
    "examples":"http://127.0.0.1:8080/api/v1/models/employment/inferences?from=2026-10-01T00%3A00%3A00Z&environment=production",
    "page":"http://127.0.0.1:8080/models/employment?env=production"}}
    "#);
}

#[test]
fn the_body_of_an_alert() {
    let mut alert = alert("control_f1", AlertState::Firing);
    alert.memory.because = vec!["control_f1 0.61 (0.52–0.7) below 0.75".into(), "carried by plan = free".into()];
    let actions = vec![ActionNote {
        kind: ActionKind::Rollback,
        action: Some("act_1".into()),
        state: Some(ActionState::Requested),
        reason: None,
    }];
    let said = [AlertSaid { alert: &alert, actions }];
    assert_snapshot!(pretty(&notice::about_alerts(AlertNews::Firing, &said, URL, now()).to_json()), @r#"
    {"type":"alert.firing",
    "timestamp":"2026-11-23T10:00:07Z",
    "data":{
    "alert":"alr_control_f1",
    "rule":"control_f1-rule",
    "severity":"critical",
    "model":"employment",
    "version":"1.1",
    "environment":"production",
    "signal":"control_f1",
    "subject":"",
    "value":0.61,
    "lower":0.52,
    "upper":0.7,
    "threshold":0.75,
    "since":"2026-11-23T10:00:00Z",
    "why":"The rule's own words.",
    "because":["control_f1 0.61 (0.52–0.7) below 0.75",
    "carried by plan = free"],
    "actions":[{"kind":"rollback",
    "action":"act_1",
    "state":"requested"}],
    "page":"http://127.0.0.1:8080/models/employment?env=production"}}
    "#);
}

#[test]
fn several_alerts_are_one_body_with_the_most_severe_in_front() {
    let mut mild = alert("latency_p95_ms", AlertState::Resolved);
    mild.severity = driftlead_store::state::alerts::Severity::Warning;
    mild.resolved_at = Some(now());
    let severe = alert("error_ratio", AlertState::Resolved);
    let said = [&mild, &severe].map(|alert| AlertSaid { alert, actions: vec![] });
    let body: serde_json::Value = serde_json::from_str(&notice::about_alerts(AlertNews::Resolved, &said, URL, now()).to_json()).unwrap();
    assert_eq!(body["type"], "alert.resolved");
    assert_eq!(body["data"]["signal"], "error_ratio");
    let signals: Vec<_> = body["data"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| &alert["signal"])
        .collect();
    assert_eq!(signals, ["error_ratio", "latency_p95_ms"]);
    assert_eq!(body["data"]["alerts"][1]["resolved_at"], "2026-11-23T10:00:07Z");
}

#[test]
fn the_body_of_news_about_an_action() {
    let body = notice::about_action(&action(ActionKind::Rollback, ActionState::Confirmed), "all of 400 are 1.0's", URL).to_json();
    assert_snapshot!(pretty(&body), @r#"
    {"type":"rollback.confirmed",
    "timestamp":"2026-11-23T10:00:07Z",
    "data":{
    "action":"act_1",
    "kind":"rollback",
    "state":"confirmed",
    "model":"employment",
    "environment":"production",
    "from":"1.1",
    "to":"1.0",
    "retrain_id":null,
    "because":["control_f1 0.61 (0.52–0.7) below 0.75"],
    "note":"all of 400 are 1.0's",
    "requested_by":"rule",
    "page":"http://127.0.0.1:8080/models/employment?env=production"}}
    "#);
}

#[test]
fn the_mail_about_alerts() {
    let mut alert = alert("control_f1", AlertState::Firing);
    alert.memory.because = vec![
        alert.memory.reason.clone(),
        "carried by plan = free: 82 % of it on 6.1 % of the traffic".into(),
    ];
    let actions = vec![ActionNote {
        kind: ActionKind::Rollback,
        action: None,
        state: None,
        reason: Some("1.0 failed the gate: it is never rolled back to".into()),
    }];
    let said = [AlertSaid { alert: &alert, actions }];
    let Mail { subject, text } = email::about_alerts(AlertNews::Firing, &said, URL);
    assert_snapshot!(format!("{subject}\n\n{text}"), @r#"
    [critical] employment 1.1 (production): control_f1-rule

    control_f1-rule fires since 2026-11-23T10:00:00Z
      control_f1 0.61 (0.52–0.7) below 0.75
      carried by plan = free: 82 % of it on 6.1 % of the traffic
      The rule's own words.
      no rollback: 1.0 failed the gate: it is never rolled back to

    http://127.0.0.1:8080/models/employment?env=production
    "#);
}

#[test]
fn the_mail_about_an_action() {
    let Mail { subject, text } = email::about_action(&action(ActionKind::Rollback, ActionState::Overdue), "12 of 4,000 are 1.0's", URL);
    assert_snapshot!(format!("{subject}\n\n{text}"), @r#"
    [overdue] rollback of employment (production) from 1.1 to 1.0

    The rollback of employment (production) from 1.1 to 1.0 (act_1) is overdue.
      12 of 4,000 are 1.0's

    Asked for because:
      - control_f1 0.61 (0.52–0.7) below 0.75

    Asked for by the rule gate-failed at 2026-11-23T10:00:07Z.

    http://127.0.0.1:8080/models/employment?env=production
    "#);
}

#[test]
fn names_in_links_are_escaped() {
    assert_eq!(
        notice::page(URL, "a/b c?", "prod&1"),
        "http://127.0.0.1:8080/models/a%2Fb%20c%3F?env=prod%261"
    );
    assert_eq!(notice::page(URL, "", ""), "http://127.0.0.1:8080/alerts");
}

/// A mail server of one connection after the other: says what it is told to, keeps what it is sent.
struct SmtpSink {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl SmtpSink {
    async fn start(answer_to_data: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"220 sink\r\n").await.unwrap();
                let mut mail = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    mail.push_str(&line);
                    mail.push('\n');
                    let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
                    let answer: &str = match verb.as_str() {
                        "EHLO" => "250 sink",
                        "DATA" => {
                            write.write_all(b"354 go on\r\n").await.unwrap();
                            while let Ok(Some(line)) = lines.next_line().await {
                                if line == "." {
                                    break;
                                }
                                mail.push_str(&line);
                                mail.push('\n');
                            }
                            kept.lock().unwrap().push(std::mem::take(&mut mail));
                            answer_to_data
                        }
                        "QUIT" => break,
                        _ => "250 ok",
                    };
                    if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        });
        Self { port, mails }
    }

    fn smtp(&self) -> Smtp {
        Smtp {
            host: "127.0.0.1".into(),
            port: self.port,
            from: "Driftlead <driftlead@example.org>".parse().unwrap(),
            tls: SmtpTls::None,
            credentials: None,
        }
    }
}

fn outbox_message(subject: &str, text: &str) -> Message {
    let mail = Mail {
        subject: subject.into(),
        text: text.into(),
    };
    Message {
        id: "msg_1".into(),
        channel: Channel::Email,
        route: "mail".into(),
        destination: "ana@example.org".into(),
        body: mail.to_json(),
        state: MessageState::Pending,
        attempts: 1,
        next_attempt_at: now(),
        last_error: None,
        last_status: None,
        action_id: None,
        group_key: "g".into(),
        created_at: now(),
        delivered_at: None,
    }
}

#[tokio::test]
async fn a_mail_arrives_under_the_id_of_its_message() {
    let sink = SmtpSink::start("250 taken").await;
    let to = "Ana <ana@example.org>".parse().unwrap();
    let delivery = email::send(&sink.smtp(), &to, &outbox_message("Größe > 3", "Line one\n.\nПривет\n")).await;
    assert_eq!(delivery, Delivery::Delivered { status: None });
    let mail = sink.mails.lock().unwrap()[0].clone();
    assert!(
        mail.contains("RCPT TO:<ana@example.org>") && mail.contains("Message-ID: <msg_1@example.org>"),
        "{mail}"
    );
    assert!(
        mail.contains("Content-Type: text/plain; charset=utf-8") && mail.contains("Subject: =?utf-8?b?"),
        "{mail}"
    );
}

#[tokio::test]
async fn nothing_in_a_subject_or_text_adds_a_header_or_a_recipient() {
    let sink = SmtpSink::start("250 taken").await;
    let to = "ana@example.org".parse().unwrap();
    let hostile = "x\r\nBcc: evil@example.org\r\n\r\nbody\u{2028}RCPT TO:<evil@example.org>";
    let delivery = email::send(
        &sink.smtp(),
        &to,
        &outbox_message(hostile, "\r\n.\r\nRCPT TO:<evil@example.org>\r\n"),
    )
    .await;
    assert_eq!(delivery, Delivery::Delivered { status: None });
    let mails = sink.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 1);
    let headers = mails[0].split("\n\n").next().unwrap();
    assert!(headers.lines().all(|line| !line.starts_with("Bcc")), "{headers}");
    let recipients = headers.lines().filter(|line| line.starts_with("RCPT")).count();
    assert_eq!(recipients, 1, "{headers}");
}

#[tokio::test]
async fn what_the_mail_server_refuses_is_tried_again_and_said_in_its_words() {
    let sink = SmtpSink::start("452 the disk is full").await;
    let to = "ana@example.org".parse().unwrap();
    match email::send(&sink.smtp(), &to, &outbox_message("s", "t")).await {
        Delivery::Failed { error, .. } => assert!(error.contains("the disk is full"), "{error}"),
        other => panic!("{other:?}"),
    }
    let nobody = Smtp { port: 9, ..sink.smtp() };
    assert!(matches!(
        email::send(&nobody, &to, &outbox_message("s", "t")).await,
        Delivery::Failed { .. }
    ));
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let smtp = Smtp {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        from: "driftlead@example.org".parse().unwrap(),
        tls: SmtpTls::None,
        credentials: None,
    };
    let to = "ana@example.org".parse().unwrap();
    let message = outbox_message("s", "t");
    let sent = email::send(&smtp, &to, &message);
    let delivery = tokio::time::timeout(ATTEMPT_TIMEOUT * 2, sent).await.unwrap();
    assert!(matches!(delivery, Delivery::Failed { .. }));
}
