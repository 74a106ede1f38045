use std::sync::Arc;

use driftlead_store::records::outcome_line::{MAX_LABEL_BYTES, OutcomeLine, OutcomeValue, write_payload};
use driftlead_store::records::{ErrorDocument, Half, InferenceHalf, OutcomeKind, SetAside};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::*;
use crate::limits::{MAX_EMBEDDING_DIMENSIONS, MAX_EXCEPTIONS_PER_SPAN, MAX_FEATURES, MAX_NAME_BYTES};
use crate::samples::{
    self, NOW, SPAN_ID, TRACE_ID, array, attributes, decode_log, decode_span, double, errors_of_log, errors_of_span, event, int, log, logs,
    map, nanos_ago, span, spans, text,
};
use crate::signal::Signal;

fn half_of_log(record: LogRecord) -> InferenceHalf {
    let mut halves = decode_log(record).halves;
    assert_eq!(halves.len(), 1);
    halves.remove(0)
}

fn half_of_span(span: Span) -> InferenceHalf {
    let mut halves = decode_span(span).halves;
    assert_eq!(halves.len(), 1);
    halves.remove(0)
}

/// An attribute of an error, its own or a shared one.
fn attribute<'a>(error: &'a ErrorDocument, name: &str) -> Option<&'a str> {
    error
        .all_attributes()
        .find(|(found, _)| *found == name)
        .and_then(|(_, value)| value.as_str())
}

fn own(mut pairs: Vec<(&'static str, Value)>) -> LogRecord {
    pairs.push(("ml.model.name", text("m")));
    log(pairs)
}

#[test]
fn the_own_attributes_of_a_log_are_read() {
    let mut record = event(
        "ml.inference",
        vec![
            ("ml.model.name", text("employment")),
            ("ml.model.version", text("1.1")),
            ("ml.request.id", text("r-7")),
            ("ml.prediction.label", text("1")),
            ("ml.prediction.score", double(0.91)),
            ("ml.prediction.value", int(3)),
            ("ml.prediction.scores.0", double(0.09)),
            ("ml.prediction.scores.1", double(0.91)),
            ("ml.feature.AGEP", int(44)),
            ("ml.feature.rate", double(0.5)),
            ("ml.feature.SCHL", text("21")),
            ("ml.feature.flag", Value::BoolValue(true)),
            ("ml.input.text", text("Hëllo")),
            ("ml.embedding", array(vec![double(0.5), int(-1)])),
            ("ml.embedding.model", text("minilm")),
            ("ml.embedding.created_at", text("2025-10-01T00:00:00Z")),
            ("ml.segment", text("mobile")),
            ("ml.arm", text("b")),
            ("ml.latency_ms", double(12.5)),
        ],
    );
    record.trace_id = TRACE_ID.to_vec();
    record.span_id = SPAN_ID.to_vec();
    let resource = vec![
        ("service.name", text("shop")),
        ("deployment.environment.name", text("production")),
        ("service.version", text("9")),
    ];
    let half = samples::decode(Signal::Logs, logs(resource, vec![record]).encode_to_vec())
        .halves
        .remove(0);
    let time = UnixNanos(nanos_ago(60) as i64);
    let expected = InferenceHalf {
        version: Some("1.1".into()),
        environment: Some("production".into()),
        service: Some("shop".into()),
        segment: Some("mobile".into()),
        arm: Some("b".into()),
        prediction_label: Some("1".into()),
        prediction_score: Some(0.91),
        prediction_value: Some(3.0),
        scores: [("0".to_owned(), 0.09), ("1".to_owned(), 0.91)].into(),
        numeric_features: [("AGEP".to_owned(), 44.0), ("rate".to_owned(), 0.5)].into(),
        categorical_features: [("SCHL".to_owned(), "21".to_owned()), ("flag".to_owned(), "true".to_owned())].into(),
        latency_ms: Some(12.5),
        trace_id: Some("a1".repeat(16)),
        span_id: Some("b2".repeat(8)),
        input_text: Some("Hëllo".into()),
        input_length: Some(5),
        input_hash: Some(crate::text::TextFacts::of("Hëllo").hash),
        embedding: vec![0.5, -1.0],
        embedding_model: Some("minilm".into()),
        embedding_created_at: Some(UnixNanos::parse("2025-10-01T00:00:00Z").unwrap()),
        ..InferenceHalf::new(Half::Log, "employment", "r-7", time, NOW)
    };
    assert_eq!(half, expected);
}

#[test]
fn genai_spans_are_read_by_new_and_old_names() {
    let new = vec![
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.provider.name", text("openai")),
        ("gen_ai.request.model", text("gpt-5")),
        ("gen_ai.response.model", text("gpt-5-2026")),
        ("gen_ai.response.id", text("resp-1")),
        ("gen_ai.conversation.id", text("talk-1")),
        ("session.id", text("visit-1")),
        ("gen_ai.usage.input_tokens", int(12)),
        ("gen_ai.usage.output_tokens", int(34)),
        ("gen_ai.request.temperature", double(0.2)),
        ("gen_ai.response.time_to_first_chunk", double(0.4)),
        ("gen_ai.response.finish_reasons", array(vec![text("stop")])),
        ("gen_ai.input.messages", text("[hi]")),
        ("gen_ai.output.messages", text("[hello]")),
    ];
    let renamed = [
        ("gen_ai.provider.name", "gen_ai.system"),
        ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        ("gen_ai.input.messages", "gen_ai.prompt"),
        ("gen_ai.output.messages", "gen_ai.completion"),
    ];
    let old: Vec<(&str, Value)> = new
        .iter()
        .map(|(name, value)| {
            (
                renamed.iter().find(|(new, _)| new == name).map_or(*name, |(_, old)| *old),
                value.clone(),
            )
        })
        .collect();
    let half = half_of_span(span(new));
    assert_eq!(half, half_of_span(span(old)));
    assert_eq!(
        (half.half, half.model.as_str(), half.request_id.as_str()),
        (Half::Span, "gpt-5-2026", "resp-1")
    );
    assert_eq!((half.latency_ms, half.session_id.as_deref()), (Some(250.0), Some("talk-1")));
    assert_eq!((half.prediction_label.as_deref(), half.input_length), (Some("[hello]"), Some(4)));
    assert_eq!(half.numeric_features["gen_ai.usage.input_tokens"], 12.0);
    assert_eq!(half.numeric_features["output_length"], 7.0);
    assert_eq!(half.numeric_features["gen_ai.response.time_to_first_chunk"], 0.4);
    assert_eq!(half.categorical_features["gen_ai.response.finish_reasons"], "stop");
    assert_eq!(half.categorical_features["gen_ai.provider.name"], "openai");
}

#[test]
fn openinference_spans_are_read() {
    let half = half_of_span(span(vec![
        ("openinference.span.kind", text("LLM")),
        ("llm.model_name", text("claude")),
        ("llm.token_count.prompt", int(5)),
        ("llm.token_count.completion", int(6)),
        ("input.value", text("question")),
        ("output.value", text("answer")),
        ("feature_flag.result.variant", text("candidate")),
    ]));
    assert_eq!(
        (half.model.as_str(), half.request_id),
        ("claude", format!("{}-{}", "a1".repeat(16), "b2".repeat(8)))
    );
    assert_eq!(
        (half.input_text.as_deref(), half.prediction_label.as_deref()),
        (Some("question"), Some("answer"))
    );
    assert_eq!(half.numeric_features["gen_ai.usage.output_tokens"], 6.0);
    assert_eq!(half.arm.as_deref(), Some("candidate"));
    let half = half_of_span(span(vec![
        ("openinference.span.kind", text("embedding")),
        ("embedding.model_name", text("minilm")),
        ("embedding.vector", array(vec![double(1.0)])),
    ]));
    assert_eq!(
        (half.model.as_str(), half.embedding_model.as_deref(), half.embedding),
        ("minilm", Some("minilm"), vec![1.0])
    );
}

#[test]
fn inferences_are_told_from_other_records() {
    let model = || ("ml.model.name", text("m"));
    for (record, expected) in [
        (event("ml.inference", vec![model()]), 1),
        (log(vec![model()]), 1),
        (log(vec![("event.name", text("ml.inference")), model()]), 1),
        (event("ml.inference", vec![("gen_ai.request.model", text("g"))]), 1),
        (event("ml.inference", vec![]), 0),
        (
            event(
                "ml.outcome",
                vec![model(), ("ml.request.id", text("r")), ("ml.outcome.label", text("1"))],
            ),
            0,
        ),
        (event("gen_ai.evaluation.result", vec![model()]), 0),
        (log(vec![("gen_ai.request.model", text("g"))]), 0),
        (log(vec![]), 0),
    ] {
        assert_eq!(decode_log(record.clone()).halves.len(), expected, "{record:?}");
    }
    for (pairs, expected) in [
        (vec![model()], 1),
        (
            vec![("gen_ai.operation.name", text("chat")), ("gen_ai.request.model", text("g"))],
            1,
        ),
        (vec![("gen_ai.operation.name", text("chat"))], 0),
        (
            vec![("gen_ai.operation.name", text("invoke_agent")), ("gen_ai.request.model", text("g"))],
            0,
        ),
        (
            vec![("gen_ai.operation.name", text("execute_tool")), ("gen_ai.request.model", text("g"))],
            0,
        ),
        (vec![("openinference.span.kind", text("CHAIN")), ("llm.model_name", text("g"))], 0),
        (vec![("openinference.span.kind", text("TOOL"))], 0),
        (vec![("http.request.method", text("GET"))], 0),
        (vec![], 0),
    ] {
        assert_eq!(decode_span(span(pairs.clone())).halves.len(), expected, "{pairs:?}");
    }
}

#[test]
fn a_service_may_name_its_model_once() {
    let resource = vec![
        ("service.name", text("shop")),
        ("ml.model.name", text("m")),
        ("ml.model.version", text("3")),
    ];
    let record = event("ml.inference", vec![("ml.request.id", text("r"))]);
    let decoded = samples::decode(Signal::Logs, logs(resource, vec![record, log(vec![])]).encode_to_vec());
    assert_eq!(decoded.halves.len(), 1, "a plain log of that service is no inference");
    assert_eq!(
        (decoded.halves[0].model.as_str(), decoded.halves[0].version.as_deref()),
        ("m", Some("3"))
    );
}

#[test]
fn inferences_without_a_name_are_told_apart_and_stay_the_same() {
    let request = logs(vec![], vec![own(vec![]), own(vec![])]).encode_to_vec();
    let first = samples::decode(Signal::Logs, request.clone());
    assert_eq!(first.halves[0].request_id, "anonymous-3-512-1");
    assert_eq!(first.halves[1].request_id, "anonymous-3-512-2");
    assert_eq!(first, samples::decode(Signal::Logs, request));
}

#[test]
fn features_that_are_not_finite_are_kept() {
    let half = half_of_log(own(vec![
        ("ml.feature.nan", double(f64::NAN)),
        ("ml.feature.up", double(f64::INFINITY)),
        ("ml.feature.down", double(f64::NEG_INFINITY)),
    ]));
    assert!(half.numeric_features["nan"].is_nan());
    assert_eq!(
        (half.numeric_features["up"], half.numeric_features["down"]),
        (f64::INFINITY, f64::NEG_INFINITY)
    );
}

#[test]
fn values_of_a_wrong_type_are_counted_and_cost_nothing_else() {
    let decoded = decode_log(own(vec![
        ("ml.prediction.score", text("high")),
        ("ml.prediction.value", Value::BoolValue(true)),
        ("ml.feature.list", array(vec![int(1)])),
        ("ml.feature.map", map(vec![])),
        ("ml.latency_ms", double(-1.0)),
        ("ml.embedding.created_at", text("yesterday")),
        ("ml.feature.good", int(1)),
        ("ml.prediction.label", int(1)),
    ]));
    assert_eq!(decoded.cut, [(reasons::WRONG_TYPE, 6)]);
    let half = &decoded.halves[0];
    assert_eq!((half.prediction_score, half.prediction_value, half.latency_ms), (None, None, None));
    assert_eq!((half.numeric_features.len(), half.prediction_label.as_deref()), (1, Some("1")));
    assert_eq!(decoded.logs[0].attributes.len(), 9);
}

#[test]
fn limits_of_inferences_hold() {
    let mut record = own(vec![
        ("ml.feature.", int(1)),
        ("ml.embedding", array(vec![int(1); MAX_EMBEDDING_DIMENSIONS + 1])),
    ]);
    for index in 0..=MAX_FEATURES {
        record
            .attributes
            .extend(attributes(vec![(format!("ml.feature.f{index}").as_str(), int(1))]));
    }
    record.attributes.extend(attributes(vec![(
        format!("ml.feature.{}", "n".repeat(MAX_NAME_BYTES + 1)).as_str(),
        int(1),
    )]));
    let decoded = decode_log(record);
    assert_eq!(decoded.halves[0].numeric_features.len(), MAX_FEATURES);
    assert!(decoded.halves[0].embedding.is_empty());
    for (reason, count) in [
        (reasons::TOO_MANY_FEATURES, 1),
        (reasons::EMBEDDING_TOO_LONG, 1),
        (reasons::NAME_TOO_LONG, 2),
    ] {
        assert!(decoded.cut.contains(&(reason, count)), "{reason}: {:?}", decoded.cut);
    }
    let embedding = |values| decode_log(own(vec![("ml.embedding", values)]));
    assert_eq!(
        embedding(array(vec![int(1); MAX_EMBEDDING_DIMENSIONS])).halves[0].embedding.len(),
        MAX_EMBEDDING_DIMENSIONS
    );
    for wrong in [
        array(vec![double(f64::NAN)]),
        array(vec![text("1")]),
        array(vec![double(1e300)]),
        text("[1]"),
    ] {
        let decoded = embedding(wrong);
        assert_eq!(
            (decoded.halves[0].embedding.len(), decoded.cut.as_slice()),
            (0, &[(reasons::EMBEDDING_NOT_NUMERIC, 1)][..])
        );
    }
    let long = half_of_log(log(vec![("ml.model.name", text(&"m".repeat(MAX_NAME_BYTES + 1)))]));
    assert_eq!(long.model.len(), MAX_NAME_BYTES);
}

#[test]
fn failures_are_read_from_what_says_so() {
    let severe = |mut record: LogRecord| {
        record.severity_number = 17;
        record
    };
    for (record, expected) in [
        (own(vec![]), None),
        (own(vec![("error.type", text("Timeout"))]), Some("Timeout")),
        (own(vec![("error.type", text(""))]), None),
        (own(vec![("exception.type", text("Handled"))]), None),
        (severe(own(vec![("exception.type", text("Fatal"))])), Some("Fatal")),
        (severe(own(vec![])), Some("error")),
        (own(vec![("http.response.status_code", int(503))]), Some("503")),
        (own(vec![("http.response.status_code", int(404))]), None),
    ] {
        assert_eq!(half_of_log(record.clone()).error_type.as_deref(), expected, "{record:?}");
    }
    let failed = |pairs: Vec<(&'static str, Value)>, events| {
        let mut pairs = pairs;
        pairs.push(("ml.model.name", text("m")));
        half_of_span(Span {
            status: Some(Status {
                message: String::new(),
                code: 2,
            }),
            events,
            ..span(pairs)
        })
        .error_type
    };
    let exception = || Event {
        name: "exception".into(),
        attributes: attributes(vec![("exception.type", text("ValueError"))]),
        ..Event::default()
    };
    assert_eq!(failed(vec![], vec![]).as_deref(), Some("error"));
    assert_eq!(failed(vec![], vec![exception()]).as_deref(), Some("ValueError"));
    assert_eq!(failed(vec![("error.type", text("500"))], vec![exception()]).as_deref(), Some("500"));
}

#[test]
fn redacted_texts_leave_length_and_hash() {
    let redaction = crate::redact::Redaction::new(&crate::RedactConfig::default()).unwrap();
    let request = logs(
        vec![],
        vec![own(vec![("ml.input.text", text("Hëllo")), ("output.value", text("four"))])],
    )
    .encode_to_vec();
    let kept = samples::decode(Signal::Logs, request.clone()).halves.remove(0);
    let redacted = samples::decode(Signal::Logs, redaction.apply(Signal::Logs, &request).unwrap().unwrap())
        .halves
        .remove(0);
    assert_eq!((redacted.input_text.as_deref(), redacted.prediction_label.as_deref()), (None, None));
    assert_eq!((redacted.input_length, &redacted.input_hash), (kept.input_length, &kept.input_hash));
    assert_eq!(redacted.numeric_features, kept.numeric_features);
}

#[test]
fn outcomes_come_as_log_events() {
    let outcome = |pairs: Vec<(&'static str, Value)>| {
        let mut all = vec![("ml.model.name", text("m")), ("ml.request.id", text("r"))];
        all.extend(pairs);
        decode_log(event("ml.outcome", all))
    };
    for (pairs, expected) in [
        (vec![("ml.outcome.label", text("1"))], OutcomeKind::Label("1".into())),
        (vec![("ml.outcome.label", double(1.0))], OutcomeKind::Label("1".into())),
        (
            vec![("ml.outcome.label", Value::BoolValue(false))],
            OutcomeKind::Label("false".into()),
        ),
        (vec![("ml.outcome.verdict", text("Incorrect"))], OutcomeKind::Verdict(false)),
        (vec![("ml.outcome.verdict", Value::BoolValue(true))], OutcomeKind::Verdict(true)),
        (vec![("ml.outcome.value", int(3))], OutcomeKind::Conversion(3.0)),
        (
            vec![
                ("ml.outcome.kind", text("conversion")),
                ("ml.outcome.label", text("1")),
                ("ml.outcome.value", double(2.5)),
            ],
            OutcomeKind::Conversion(2.5),
        ),
    ] {
        let decoded = outcome(pairs.clone());
        assert_eq!(decoded.outcomes.len(), 1, "{pairs:?}");
        assert_eq!(
            (
                decoded.outcomes[0].model.as_str(),
                decoded.outcomes[0].request_id.as_str(),
                &decoded.outcomes[0].kind
            ),
            ("m", "r", &expected)
        );
        assert_eq!(decoded.logs.len(), 1);
    }
    for (decoded, reason) in [
        (outcome(vec![]), reasons::OUTCOME_WITHOUT_VALUE),
        (
            outcome(vec![("ml.outcome.label", text(&"x".repeat(MAX_LABEL_BYTES + 1)))]),
            reasons::OUTCOME_LABEL_TOO_LONG,
        ),
        (
            outcome(vec![("ml.outcome.value", double(f64::NAN))]),
            reasons::OUTCOME_WITHOUT_VALUE,
        ),
        (
            outcome(vec![("ml.outcome.kind", text("prize")), ("ml.outcome.label", text("1"))]),
            reasons::OUTCOME_WITHOUT_VALUE,
        ),
        (
            decode_log(event(
                "ml.outcome",
                vec![("ml.model.name", text("m")), ("ml.outcome.label", text("1"))],
            )),
            reasons::OUTCOME_WITHOUT_REQUEST,
        ),
    ] {
        assert_eq!((decoded.outcomes.len(), decoded.cut.as_slice()), (0, &[(reason, 1)][..]));
    }
}

#[test]
fn outcomes_without_an_id_are_told_apart_by_their_time() {
    let id_of = |time_unix_nano, pairs: Vec<(&'static str, Value)>| {
        let mut all = vec![
            ("ml.model.name", text("m")),
            ("ml.request.id", text("r")),
            ("ml.outcome.value", int(1)),
        ];
        all.extend(pairs);
        let record = LogRecord {
            time_unix_nano,
            observed_time_unix_nano: 0,
            ..event("ml.outcome", all)
        };
        decode_log(record).outcomes.remove(0).id
    };
    let at = event("ml.outcome", Vec::new()).time_unix_nano - 1;
    assert_eq!(id_of(at, vec![]), format!("at:{at}"));
    assert_eq!(id_of(at, vec![("ml.outcome.id", text("i"))]), "i");
    assert_eq!(id_of(0, vec![]), "");
}

#[test]
fn an_outcome_may_leave_its_model_to_the_drain() {
    let pairs = vec![("ml.request.id", text("r")), ("ml.outcome.label", text("1"))];
    let decoded = decode_log(event("ml.outcome", pairs));
    let outcome = &decoded.outcomes[0];
    assert_eq!((outcome.model.as_str(), outcome.request_id.as_str()), ("", "r"));
    assert!(decoded.cut.is_empty());
}

#[test]
fn evaluations_are_verdicts_or_values() {
    let evaluation = |pairs: Vec<(&'static str, Value)>| {
        let mut all = vec![("gen_ai.evaluation.name", text("Relevance"))];
        all.extend(pairs);
        LogRecord {
            trace_id: TRACE_ID.to_vec(),
            span_id: SPAN_ID.to_vec(),
            ..event("gen_ai.evaluation.result", all)
        }
    };
    for (pairs, request_id, kind) in [
        (
            vec![("gen_ai.evaluation.score.label", text("pass"))],
            format!("{}-{}", "a1".repeat(16), "b2".repeat(8)),
            OutcomeKind::Verdict(true),
        ),
        (
            vec![("gen_ai.evaluation.score.value", double(0.7)), ("gen_ai.response.id", text("resp"))],
            "resp".into(),
            OutcomeKind::Conversion(0.7),
        ),
        (
            vec![
                ("gen_ai.evaluation.score.label", text("relevant")),
                ("gen_ai.evaluation.score.value", double(0.7)),
                ("gen_ai.response.id", text("resp")),
            ],
            "resp".into(),
            OutcomeKind::Conversion(0.7),
        ),
    ] {
        let outcome = decode_log(evaluation(pairs)).outcomes.remove(0);
        assert_eq!(
            (outcome.request_id, outcome.kind, outcome.id.as_str()),
            (request_id, kind, "Relevance")
        );
    }
}

#[test]
fn posted_outcomes_are_decoded() {
    let line = |at| OutcomeLine {
        model: "m".into(),
        request_id: "r".into(),
        value: OutcomeValue::Verdict { verdict: true },
        id: "i".into(),
        at,
    };
    let mut payload = write_payload(&[line(None), line(Some(UnixNanos(5)))]);
    payload.extend_from_slice(b"what?\n");
    let frame = Frame {
        kind: FrameKind::Outcomes,
        ..samples::frame(Signal::Logs, payload)
    };
    let decoded = Decoder::default().decode(&frame);
    assert_eq!(
        decoded.outcomes.iter().map(|outcome| outcome.at).collect::<Vec<_>>(),
        [NOW, UnixNanos(5)]
    );
    assert_eq!(decoded.cut, [(reasons::UNREADABLE_OUTCOME, 1)]);
}

#[test]
fn errors_are_found_in_logs_and_spans() {
    let severe = LogRecord {
        severity_number: 21,
        body: Some(AnyValue {
            value: Some(text("out of memory")),
        }),
        trace_id: TRACE_ID.to_vec(),
        ..log(vec![
            ("exception.type", text("OOM")),
            ("exception.message", text("message")),
            ("exception.stacktrace", text("stack")),
            ("ml.input.text", text("private")),
            ("ml.embedding", array(vec![double(0.1); 384])),
            ("http.route", text("/predict")),
            ("deep", map(vec![("a", array(vec![int(1)]))])),
        ])
    };
    let error = errors_of_log(severe).documents.remove(0);
    assert_eq!(
        (error.severity.as_str(), error.service.as_str(), error.error_type.as_str()),
        ("FATAL", "shop", "OOM")
    );
    assert_eq!(
        (error.message.as_str(), error.stack.as_str(), error.trace_id.clone()),
        ("out of memory", "stack", "a1".repeat(16))
    );
    let names: Vec<&str> = error.all_attributes().map(|(name, _)| name).collect();
    assert_eq!(names, ["deep", "exception.type", "http.route", "resource.service.name"]);
    assert_eq!(error.attributes["deep"], serde_json::json!({"a": [1]}));

    let failed_inference = errors_of_log(own(vec![("error.type", text("Timeout")), ("ml.request.id", text("r"))]))
        .documents
        .remove(0);
    assert_eq!(
        (
            failed_inference.severity.as_str(),
            failed_inference.model.as_str(),
            failed_inference.message.as_str()
        ),
        ("ERROR", "m", "Timeout")
    );
    assert!(errors_of_log(own(vec![])).documents.is_empty());
    assert!(errors_of_log(log(vec![("error.type", text("no inference"))])).documents.is_empty());
    assert!(
        errors_of_log(LogRecord {
            severity_number: 16,
            ..log(vec![])
        })
        .documents
        .is_empty()
    );
}

#[test]
fn a_failed_span_gives_its_exceptions_or_its_status() {
    let exception = |message: &str| Event {
        name: "exception".into(),
        time_unix_nano: nanos_ago(59),
        attributes: attributes(vec![
            ("exception.type", text("ValueError")),
            ("exception.message", text(message)),
            ("exception.stacktrace", text("s")),
        ]),
        ..Event::default()
    };
    let failed = |message: &str, events| {
        errors_of_span(Span {
            status: Some(Status {
                message: message.into(),
                code: 2,
            }),
            events,
            ..span(vec![])
        })
        .documents
    };
    let errors = failed("status", vec![exception("one"), exception("two")]);
    assert_eq!(
        errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(
        (errors[0].error_type.as_str(), errors[0].stack.as_str(), errors[0].time),
        ("ValueError", "s", UnixNanos(nanos_ago(59) as i64))
    );
    assert_eq!(attribute(&errors[0], "span.status_message"), Some("status"));
    assert_eq!(attribute(&errors[0], "resource.service.name"), Some("shop"));
    assert_eq!(failed("status", vec![])[0].message, "status");
    assert_eq!(failed("", vec![])[0].message, "predict failed");
    assert!(
        errors_of_span(Span {
            events: vec![exception("handled")],
            ..span(vec![])
        })
        .documents
        .is_empty()
    );
}

#[test]
fn exceptions_beyond_the_bound_are_counted() {
    let failed = |count: usize| {
        errors_of_span(Span {
            status: Some(Status {
                message: String::new(),
                code: 2,
            }),
            events: (0..count)
                .map(|n| Event {
                    name: "exception".into(),
                    attributes: attributes(vec![("exception.message", text(&n.to_string()))]),
                    ..Event::default()
                })
                .collect(),
            ..span(vec![("http.route", text("/predict"))])
        })
    };
    let found = failed(MAX_EXCEPTIONS_PER_SPAN);
    assert_eq!((found.documents.len(), found.cut), (MAX_EXCEPTIONS_PER_SPAN, vec![]));
    let found = failed(MAX_EXCEPTIONS_PER_SPAN + 5);
    assert_eq!(
        (found.documents.len(), found.cut),
        (MAX_EXCEPTIONS_PER_SPAN, vec![(reasons::TOO_MANY_EXCEPTIONS, 5)])
    );
    assert_eq!(found.documents.last().unwrap().message, (MAX_EXCEPTIONS_PER_SPAN - 1).to_string());
    // What they have in common is there once.
    let [first, .., last] = found.documents.as_slice() else {
        panic!("there are several")
    };
    assert!(first.shared.iter().zip(&last.shared).all(|(one, other)| Arc::ptr_eq(one, other)));
    assert_eq!((first.attributes.len(), attribute(first, "http.route")), (0, Some("/predict")));
}

#[test]
fn severity_as_text_alone_is_an_error_and_stays_as_it_was_sent() {
    let record = || LogRecord {
        severity_text: "CRITICAL".into(),
        ..own(vec![])
    };
    let decoded = decode_log(record());
    assert_eq!(decoded.halves[0].error_type.as_deref(), Some("error"));
    assert_eq!(
        (decoded.logs[0].severity_number, decoded.logs[0].severity_text.as_str()),
        (0, "CRITICAL")
    );
    let found = errors_of_log(record());
    assert_eq!((found.documents.len(), found.documents[0].severity.as_str()), (1, "FATAL"));
}

#[test]
fn an_error_names_its_inference_as_the_rows_do() {
    let failed = || own(vec![("error.type", text("Timeout"))]);
    let request = logs(vec![], vec![log(vec![]), own(vec![]), failed(), own(vec![]), failed()]).encode_to_vec();
    let halves = samples::decode(Signal::Logs, request.clone()).halves;
    let of_rows: Vec<&str> = [1, 3].map(|at: usize| halves[at].request_id.as_str()).to_vec();
    let found = samples::errors(Signal::Logs, request);
    let of_errors: Vec<&str> = found
        .documents
        .iter()
        .filter_map(|error| error.attributes["ml.request.id"].as_str())
        .collect();
    assert_eq!(of_errors, of_rows);
}

#[test]
fn long_request_ids_stay_apart() {
    let id = |last: &str| format!("{}{last}", "r".repeat(MAX_NAME_BYTES));
    let request_id = |id: &str| half_of_log(own(vec![("ml.request.id", text(id))])).request_id;
    assert_ne!(request_id(&id("1")), request_id(&id("2")));
    let outcome = decode_log(event(
        "ml.outcome",
        vec![
            ("ml.model.name", text("m")),
            ("ml.request.id", text(&id("1"))),
            ("ml.outcome.label", text("1")),
        ],
    ));
    assert_eq!(outcome.outcomes[0].request_id, request_id(&id("1")));
}

#[test]
fn a_span_without_its_end_says_nothing_of_latency() {
    for (start, end, expected) in [
        (nanos_ago(6), nanos_ago(5), Some(1_000.0)),
        (nanos_ago(5), nanos_ago(5), Some(0.0)),
        (nanos_ago(5), 0, None),
        (nanos_ago(5), nanos_ago(6), None),
        (0, nanos_ago(5), None),
        (0, 0, None),
    ] {
        let half = half_of_span(Span {
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..span(vec![("ml.model.name", text("m"))])
        });
        assert_eq!(half.latency_ms, expected, "{start} {end}");
    }
}

#[test]
fn event_times_out_of_bounds_are_kept_raw_and_in_no_window() {
    let at = |time_unix_nano| LogRecord {
        time_unix_nano,
        severity_number: 17,
        ..own(vec![])
    };
    let (future, past) = (nanos_ago(-601), nanos_ago(91 * 86_400));
    let request = logs(
        vec![],
        vec![
            at(future),
            at(u64::MAX),
            at(past),
            at(nanos_ago(31 * 86_400)),
            at(0),
            at(nanos_ago(1)),
        ],
    );
    let decoded = samples::decode(Signal::Logs, request.encode_to_vec());
    assert_eq!(
        decoded.set_aside,
        [
            SetAside {
                reason: "event_time_beyond_retention",
                count: 2
            },
            SetAside {
                reason: "event_time_in_future",
                count: 2
            }
        ]
    );
    let times: Vec<UnixNanos> = decoded.logs.iter().map(|log| log.timestamp).collect();
    assert_eq!(times, [NOW, NOW, NOW, NOW, NOW, UnixNanos(nanos_ago(1) as i64)]);
    let found = samples::errors(Signal::Logs, request.encode_to_vec()).documents;
    assert_eq!(found.iter().map(|error| error.time).collect::<Vec<_>>(), times);
    // Inferences live longer than raw rows: the one of 31 days ago is still part of windows.
    assert_eq!(
        decoded.halves.iter().map(|half| half.event_time.0 as u64).collect::<Vec<_>>(),
        [nanos_ago(31 * 86_400), NOW.0 as u64, nanos_ago(1)]
    );
    let flags: Vec<(String, String)> = decoded.logs[0].attributes[1..].to_vec();
    assert_eq!(
        flags,
        [
            (SET_ASIDE.to_owned(), "event_time_in_future".to_owned()),
            (EVENT_TIME.to_owned(), UnixNanos(future as i64).to_string())
        ]
    );
    assert!(decoded.logs[5].attributes.iter().all(|(name, _)| name != SET_ASIDE));
}

#[test]
fn times_of_zero_have_a_meaning() {
    let observed = LogRecord {
        time_unix_nano: 0,
        observed_time_unix_nano: nanos_ago(7),
        ..LogRecord::default()
    };
    assert_eq!(decode_log(observed).logs[0].timestamp, UnixNanos(nanos_ago(7) as i64));
    for (start, end, expected) in [
        (0, 0, (NOW, 0)),
        (0, nanos_ago(5), (UnixNanos(nanos_ago(5) as i64), 0)),
        (nanos_ago(5), 0, (UnixNanos(nanos_ago(5) as i64), 0)),
        (nanos_ago(5), nanos_ago(6), (UnixNanos(nanos_ago(5) as i64), 0)),
        (nanos_ago(6), nanos_ago(5), (UnixNanos(nanos_ago(6) as i64), 1_000_000_000)),
    ] {
        let decoded = decode_span(Span {
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..span(vec![])
        });
        assert_eq!((decoded.spans[0].timestamp, decoded.spans[0].duration_ns), expected);
        assert!(decoded.set_aside.is_empty());
    }
}

#[test]
fn records_that_were_refused_are_left_out() {
    let wrong = LogRecord {
        trace_id: vec![1; 15],
        ..own(vec![])
    };
    let decoded = samples::decode(Signal::Logs, logs(vec![], vec![wrong, own(vec![])]).encode_to_vec());
    assert_eq!(
        (decoded.logs.len(), decoded.halves.len(), decoded.cut.as_slice()),
        (1, 1, &[(reasons::INVALID_IDS, 1)][..])
    );
    let wrong = Span {
        span_id: vec![0; 8],
        ..span(vec![])
    };
    let decoded = samples::decode(Signal::Traces, spans(vec![], vec![wrong, span(vec![])]).encode_to_vec());
    assert_eq!((decoded.spans.len(), decoded.cut.as_slice()), (1, &[(reasons::INVALID_IDS, 1)][..]));
}

#[test]
fn raw_rows_are_those_of_the_exporter() {
    let decoded = samples::decode(Signal::Traces, samples::rich(Signal::Traces));
    let span = &decoded.spans[0];
    assert_eq!(
        (span.kind, span.status_code, span.status_message.as_str(), span.duration_ns),
        ("Server", "Error", "failed", 250_000_000)
    );
    assert_eq!(
        (span.trace_id.as_str(), span.parent_span_id.as_str()),
        ("a1".repeat(16).as_str(), "c3".repeat(8).as_str())
    );
    assert_eq!(
        (span.events[0].name.as_str(), span.links[0].trace_id.as_str()),
        ("exception", "d4".repeat(16).as_str())
    );
    assert_eq!(
        (
            span.resource.service_name.as_str(),
            span.scope.name.as_str(),
            span.scope.schema_url.as_str()
        ),
        ("shop", "scope", "scope-schema")
    );
    let log = &samples::decode(Signal::Logs, samples::rich(Signal::Logs)).logs[0];
    assert_eq!(
        (
            log.severity_number,
            log.severity_text.as_str(),
            log.trace_flags,
            log.event_name.as_str()
        ),
        (17, "ERROR", 1, "ml.inference")
    );
    assert!(
        log.body
            .starts_with(r#"{"array":[1,"two",[],false],"bool":true,"bytes":"AP8+","double":-0.25,"infinite":"-Infinity""#),
        "{}",
        log.body
    );
    let metrics = samples::decode(Signal::Metrics, samples::rich(Signal::Metrics)).metrics;
    assert_eq!(
        (
            metrics.gauges[0].value.value,
            metrics.sums[0].value.value,
            metrics.sums[0].value.is_monotonic
        ),
        (f64::INFINITY, -5.0, true)
    );
    assert_eq!(
        (
            metrics.histograms[0].value.bucket_counts.as_slice(),
            metrics.histograms[0].exemplars.len()
        ),
        (&[1, 2][..], 2)
    );
    let exponential = &metrics.exponential_histograms[0].value;
    assert_eq!(
        (
            exponential.scale,
            exponential.positive_offset,
            exponential.negative_bucket_counts[2]
        ),
        (-2, -4, u64::MAX)
    );
    assert_eq!(
        (metrics.summaries[0].value.quantiles[0], metrics.summaries[0].name.as_ref()),
        ((0.5, 1.5), "summary")
    );
    assert_eq!(metrics.gauges[0].exemplars[1].value, -3.0);
}

#[test]
fn a_frame_that_does_not_decode_is_counted() {
    let decoded = samples::decode(Signal::Logs, vec![0xFF]);
    assert_eq!(decoded.cut, [(reasons::UNREADABLE_FRAME, 1)]);
}
