use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;
use crate::samples::{self, array, attributes, double, event, int, log, logs, map, span, spans, text};

fn redaction(names: &[&str], keep_text: bool) -> Redaction {
    Redaction::new(&RedactConfig {
        attributes: names.iter().map(|name| (*name).to_owned()).collect(),
        keep_text,
        ..RedactConfig::default()
    })
    .unwrap()
}

fn redact_log(redaction: &Redaction, record: LogRecord) -> LogRecord {
    let bytes = logs(vec![], vec![record]).encode_to_vec();
    let redacted = redaction.apply(Signal::Logs, &bytes).unwrap().unwrap_or(bytes);
    ExportLogsServiceRequest::decode(redacted.as_slice()).unwrap().resource_logs[0].scope_logs[0].log_records[0].clone()
}

#[test]
fn names_are_exact_or_prefixes() {
    let redaction = redaction(&["user.email", "card.*", "secret"], true);
    let record = redact_log(
        &redaction,
        log(vec![
            ("user.email", text("a@b")),
            ("user.emails", text("kept")),
            ("card.number", int(42)),
            ("card", text("kept")),
            ("cards.number", text("kept")),
            ("secret", array(vec![text("x")])),
        ]),
    );
    let expected = attributes(vec![
        ("user.email", text(REDACTED)),
        ("user.emails", text("kept")),
        ("card.number", text(REDACTED)),
        ("card", text("kept")),
        ("cards.number", text("kept")),
        ("secret", text(REDACTED)),
    ]);
    assert_eq!(record.attributes, expected);
}

#[test]
fn nested_values_and_structured_bodies_are_redacted() {
    let redaction = redaction(&["user.email", "card.*", "token"], true);
    let values = || {
        map(vec![
            ("user", map(vec![("email", text("a@b")), ("name", text("kept"))])),
            ("list", array(vec![map(vec![("token", text("t"))])])),
            ("card", map(vec![("number", int(42))])),
        ])
    };
    let hidden = map(vec![
        ("user", map(vec![("email", text(REDACTED)), ("name", text("kept"))])),
        ("list", array(vec![map(vec![("token", text(REDACTED))])])),
        ("card", map(vec![("number", text(REDACTED))])),
    ]);
    let Value::KvlistValue(list) = values() else { unreachable!() };
    let record = LogRecord {
        attributes: list.values,
        body: Some(AnyValue { value: Some(values()) }),
        ..LogRecord::default()
    };
    let record = redact_log(&redaction, record);
    let Value::KvlistValue(expected) = hidden.clone() else {
        unreachable!()
    };
    assert_eq!(record.attributes, expected.values);
    assert_eq!(record.body, Some(AnyValue { value: Some(hidden) }));
}

#[test]
fn every_place_of_attributes_is_redacted() {
    let redaction = redaction(&["secret"], true);
    for signal in Signal::ALL {
        let mut count = 0;
        let bytes = samples::rich(signal);
        // The rich requests have attributes everywhere; each first name becomes the secret one.
        for name in [
            "service.name",
            "scope.kind",
            "text",
            "inner",
            "meta",
            "gpu",
            "route",
            "filtered",
            "exception.message",
            "link",
        ] {
            let place = bytes.windows(name.len()).filter(|window| *window == name.as_bytes()).count();
            if place == 0 {
                continue;
            }
            let redaction = Redaction::new(&RedactConfig {
                attributes: vec![name.to_owned()],
                keep_text: true,
                ..RedactConfig::default()
            })
            .unwrap();
            let redacted = redaction.apply(signal, &bytes).unwrap().expect("the name is there");
            let hidden = redacted
                .windows(REDACTED.len())
                .filter(|window| *window == REDACTED.as_bytes())
                .count();
            assert_eq!(hidden, place - usize::from(name == "service.name"), "{signal:?} {name}");
            count += 1;
        }
        assert!(count >= 4, "{signal:?}");
        assert_eq!(
            redaction.apply(signal, &bytes).unwrap(),
            None,
            "nothing to hide: the client's bytes stay"
        );
    }
}

#[test]
fn texts_become_their_length_and_hash() {
    let redaction = redaction(&[], false);
    let record = redact_log(
        &redaction,
        log(vec![
            ("ml.input.text", text("Where is my card?")),
            ("gen_ai.output.messages", array(vec![map(vec![("content", text("secret answer"))])])),
            ("ml.feature.x", double(1.0)),
        ]),
    );
    let names: Vec<&str> = record.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(
        names,
        [
            "ml.feature.x",
            "ml.input.text.length",
            "ml.input.text.hash",
            "gen_ai.output.messages.length",
            "gen_ai.output.messages.hash"
        ]
    );
    assert_eq!(record.attributes[1].value, Some(AnyValue { value: Some(int(17)) }));
    assert!(
        !record
            .encode_to_vec()
            .windows(6)
            .any(|window| window == b"secret" || window == b"Where ")
    );
}

#[test]
fn bodies_of_messages_and_events_of_spans_lose_their_text() {
    let redaction = redaction(&[], false);
    let secret = "the user's words";
    let body = || {
        Some(AnyValue {
            value: Some(map(vec![("content", text(secret))])),
        })
    };
    for record in [
        LogRecord {
            body: body(),
            ..event("gen_ai.user.message", vec![])
        },
        LogRecord {
            body: body(),
            ..log(vec![("event.name", text("gen_ai.choice"))])
        },
    ] {
        let record = redact_log(&redaction, record);
        assert_eq!(
            record.body,
            Some(AnyValue {
                value: Some(text(REDACTED))
            })
        );
        assert!(record.attributes.iter().any(|attribute| attribute.key == "body.length"));
    }
    let mut with_event = span(vec![("llm.input_messages.0.message.content", text(secret))]);
    with_event.events.push(opentelemetry_proto::tonic::trace::v1::span::Event {
        name: "gen_ai.content.prompt".to_owned(),
        attributes: attributes(vec![("gen_ai.prompt", text(secret))]),
        ..Default::default()
    });
    let bytes = spans(vec![], vec![with_event]).encode_to_vec();
    let redacted = redaction.apply(Signal::Traces, &bytes).unwrap().unwrap();
    assert!(!redacted.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let kept = super::Redaction::new(&RedactConfig {
        attributes: vec![],
        keep_text: true,
        ..RedactConfig::default()
    })
    .unwrap();
    assert_eq!(kept.apply(Signal::Traces, &bytes).unwrap(), None);
}

#[test]
fn what_the_walk_passes_over_has_nothing_to_redact() {
    // The walk may ask for redaction too often, never too seldom.
    for names in [
        &["deep"][..],
        &["map.inner.deep"],
        &["map.*"],
        &["inner.*"],
        &["map.inner.*"],
        &["exception.*"],
        &["absent"],
        &["absent.*"],
    ] {
        for keep_text in [true, false] {
            let redaction = redaction(names, keep_text);
            for signal in Signal::ALL {
                let bytes = samples::rich(signal);
                let asked = crate::wire::scan(signal, &bytes, &redaction).unwrap().concerns_redaction;
                assert!(asked || redaction.apply(signal, &bytes).unwrap().is_none(), "{names:?} {signal:?}");
            }
        }
    }
}

#[test]
fn texts_are_taken_out_however_they_are_nested() {
    let redaction = redaction(&[], false);
    let secret = "the user's words";
    let words = || text(secret);
    let message = || map(vec![("message", map(vec![("role", text("user")), ("content", words())]))]);
    for pairs in [
        vec![("input", map(vec![("value", words())]))],
        vec![("gen_ai", map(vec![("input", map(vec![("messages", array(vec![words()]))]))]))],
        vec![("gen_ai", map(vec![("input.messages", words())]))],
        vec![("llm.input_messages", array(vec![message()]))],
        vec![("llm.input_messages", words())],
        vec![("llm.output_messages", words())],
        vec![("llm", map(vec![("output_messages", array(vec![message()]))]))],
        vec![(
            "retrieval.documents",
            array(vec![map(vec![("document", map(vec![("content", words())]))])]),
        )],
        vec![("gen_ai.event.content", words())],
        vec![("reranker.query", words())],
        vec![("reranker.output_documents.1.document.content", words())],
        vec![(
            "reranker",
            map(vec![("input_documents", array(vec![map(vec![("document.content", words())])]))]),
        )],
    ] {
        let in_body = Value::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList {
            values: attributes(pairs.clone()),
        });
        let record = LogRecord {
            body: Some(AnyValue { value: Some(in_body) }),
            ..log(vec![])
        };
        let with_event = opentelemetry_proto::tonic::trace::v1::Span {
            events: vec![opentelemetry_proto::tonic::trace::v1::span::Event {
                attributes: attributes(pairs.clone()),
                ..Default::default()
            }],
            ..span(vec![])
        };
        for (signal, bytes) in [
            (Signal::Logs, logs(vec![], vec![log(pairs.clone())]).encode_to_vec()),
            (Signal::Logs, logs(vec![], vec![record]).encode_to_vec()),
            (Signal::Traces, spans(vec![], vec![with_event]).encode_to_vec()),
        ] {
            let asked = crate::wire::scan(signal, &bytes, &redaction).unwrap().concerns_redaction;
            assert!(asked, "{pairs:?}");
            let redacted = redaction.apply(signal, &bytes).unwrap().unwrap();
            assert!(
                !redacted.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{pairs:?}"
            );
        }
    }
}

#[test]
fn wrong_names_are_refused() {
    for name in ["", "*", ".*", "a*", "*.a", "a.*.b", "a.*.*"] {
        let config = RedactConfig {
            attributes: vec![name.to_owned()],
            keep_text: true,
            ..RedactConfig::default()
        };
        assert_eq!(Redaction::new(&config).err(), Some(RedactError::Name(name.to_owned())), "{name}");
    }
}

#[test]
fn what_is_found_is_replaced_wherever_a_text_stands() {
    const SECRET: &str = "bob@example.com";
    let redaction = Redaction::new(&RedactConfig {
        patterns: vec!["ticket-[0-9]+".to_owned()],
        detect: vec!["email".to_owned(), "card".to_owned()],
        keep_text: true,
        ..RedactConfig::default()
    })
    .unwrap();
    let hidden = |signal, bytes: &[u8]| {
        let asked = crate::wire::scan(signal, bytes, &redaction).unwrap().concerns_redaction;
        let redacted = redaction.apply(signal, bytes).unwrap();
        assert!(asked || redacted.is_none(), "what the walk passes by has nothing to hide");
        let redacted = redacted.expect("there is something to hide");
        assert!(!redacted.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
        redacted
    };
    let places = [
        log(vec![("note", text(SECRET))]),
        log(vec![("note", map(vec![("deep", array(vec![text(SECRET)]))]))]),
        LogRecord {
            body: Some(AnyValue { value: Some(text(SECRET)) }),
            ..LogRecord::default()
        },
    ];
    for record in places {
        hidden(Signal::Logs, &logs(vec![], vec![record]).encode_to_vec());
    }
    hidden(
        Signal::Logs,
        &logs(vec![("host.owner", text(SECRET))], vec![log(vec![])]).encode_to_vec(),
    );
    let traces = [
        Span {
            name: format!("GET /users/{SECRET}"),
            ..span(vec![])
        },
        Span {
            status: Some(opentelemetry_proto::tonic::trace::v1::Status {
                message: format!("{SECRET} is unknown"),
                code: 2,
            }),
            ..span(vec![])
        },
        Span {
            events: vec![opentelemetry_proto::tonic::trace::v1::span::Event {
                attributes: attributes(vec![("exception.message", text(SECRET))]),
                ..Default::default()
            }],
            ..span(vec![])
        },
    ];
    for one in traces {
        hidden(Signal::Traces, &spans(vec![], vec![one]).encode_to_vec());
    }
    let mut metrics = samples::rich_metrics();
    for metric in &mut metrics.resource_metrics[0].scope_metrics[0].metrics {
        if let Some(Data::Gauge(gauge)) = &mut metric.data {
            gauge.data_points[0].exemplars[0].filtered_attributes = attributes(vec![("who", text(SECRET))]);
        }
    }
    hidden(Signal::Metrics, &metrics.encode_to_vec());
    let bytes = logs(
        vec![],
        vec![log(vec![("card", int(4_111_111_111_111_111)), ("note", text("ticket-7 again"))])],
    )
    .encode_to_vec();
    let redacted = ExportLogsServiceRequest::decode(hidden(Signal::Logs, &bytes).as_slice()).unwrap();
    assert_eq!(
        redacted.resource_logs[0].scope_logs[0].log_records[0].attributes,
        attributes(vec![("card", text("[card]")), ("note", text("[redacted] again"))])
    );
}

#[test]
fn what_tells_requests_apart_is_not_searched() {
    let redaction = Redaction::new(&RedactConfig {
        attributes: vec!["gen_ai.response.id".to_owned()],
        detect: vec!["email".to_owned()],
        keep_text: true,
        ..RedactConfig::default()
    })
    .unwrap();
    let record = redact_log(
        &redaction,
        log(vec![
            ("ml.request.id", text("bob@example.com")),
            ("ml.model.name", text("m@example.com")),
            ("gen_ai.response.id", text("named, so it is redacted")),
        ]),
    );
    let expected = attributes(vec![
        ("ml.request.id", text("bob@example.com")),
        ("ml.model.name", text("m@example.com")),
        ("gen_ai.response.id", text(REDACTED)),
    ]);
    assert_eq!(record.attributes, expected);
}
