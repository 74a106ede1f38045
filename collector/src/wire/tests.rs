use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::decode::Decoder;
use crate::decode::cuts::reasons;
use crate::redact::RedactConfig;
use crate::samples;

fn decodes(signal: Signal, bytes: &[u8]) -> bool {
    match signal {
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).is_ok(),
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).is_ok(),
    }
}

fn keep_everything() -> Redaction {
    Redaction::new(&RedactConfig {
        attributes: vec![],
        keep_text: true,
        ..RedactConfig::default()
    })
    .unwrap()
}

#[test]
fn the_walk_counts_what_the_decoder_decodes() {
    for signal in Signal::ALL {
        let bytes = samples::rich(signal);
        let scan = scan(signal, &bytes, &keep_everything()).unwrap();
        let decoded = samples::decode(signal, bytes.clone());
        let records = decoded.logs.len() + decoded.spans.len() + points(&decoded.metrics);
        let refused = decoded
            .cut
            .iter()
            .find(|(reason, _)| *reason == reasons::INVALID_IDS)
            .map_or(0, |(_, count)| *count);
        assert_eq!(scan.groups.len(), 1);
        let group = &scan.groups[0];
        assert_eq!((group.records, group.invalid_ids), (records as u64, refused), "{signal:?}");
        assert_eq!((group.service, group.environments.as_slice()), ("shop", &["production"][..]));
    }
}

fn points(metrics: &driftlead_store::records::MetricPoints) -> usize {
    metrics.gauges.len() + metrics.sums.len() + metrics.histograms.len() + metrics.exponential_histograms.len() + metrics.summaries.len()
}

#[test]
fn the_limits_of_records_are_found_without_decoding() {
    let long = "x".repeat(MAX_ATTRIBUTE_VALUE_BYTES + 1);
    let mut deep = samples::int(1);
    for _ in 0..MAX_NESTING {
        deep = samples::array(vec![deep]);
    }
    let mut record = samples::log(vec![("long", samples::text(&long)), ("deep", deep)]);
    record
        .attributes
        .extend(samples::attributes((0..MAX_ATTRIBUTES).map(|_| ("a", samples::int(1))).collect()));
    record.body = Some(opentelemetry_proto::tonic::common::v1::AnyValue {
        value: Some(samples::text(&long)),
    });
    let bytes = samples::logs(vec![], vec![record]).encode_to_vec();
    let scan = scan(Signal::Logs, &bytes, &keep_everything()).unwrap();
    let group = &scan.groups[0];
    assert_eq!((group.long_values, group.deep_values, group.surplus_attributes), (1, 1, 2));
    let decoded = samples::decode(Signal::Logs, bytes.clone());
    assert_eq!(
        decoded.cut,
        [
            (reasons::ATTRIBUTE_VALUE_TOO_LONG, 1),
            (reasons::NESTING_TOO_DEEP, 1),
            (reasons::TOO_MANY_ATTRIBUTES, 2)
        ]
    );
}

#[test]
fn requests_of_too_many_records_are_refused() {
    let request = |count| samples::logs(vec![], vec![LogRecord::default(); count]).encode_to_vec();
    let limit = MAX_RECORDS_PER_REQUEST as usize;
    let redaction = keep_everything();
    assert_eq!(
        scan(Signal::Logs, &request(limit), &redaction).unwrap().groups[0].records,
        limit as u64
    );
    assert_eq!(scan(Signal::Logs, &request(limit + 1), &redaction), Err(ScanError::TooMany));
    // Empty attributes of one record: two bytes each.
    let mut record = LogRecord::default().encode_to_vec();
    for _ in 0..MAX_MESSAGES_PER_REQUEST {
        record.extend_from_slice(&[0x32, 0]);
    }
    let nested = |tag: u8, bytes: Vec<u8>| {
        let mut message = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut message);
        message.extend(bytes);
        message
    };
    let bytes = nested(1, nested(2, nested(2, record)));
    assert_eq!(scan(Signal::Logs, &bytes, &redaction), Err(ScanError::TooMany));
}

#[test]
fn requests_whose_records_repeat_too_much_are_refused() {
    let redaction = keep_everything();
    let of = |signal: Signal, bytes: Vec<u8>| scan(signal, &bytes, &redaction).map(|scan| scan.groups.len());
    let wide = || vec![("host", samples::text(&"h".repeat(1 << 20)))];
    let records = |count| vec![LogRecord::default(); count];
    let fits = (MAX_EXPANDED_BYTES >> 20) as usize - 2;
    assert_eq!(of(Signal::Logs, samples::logs(wide(), records(fits)).encode_to_vec()), Ok(1));
    assert_eq!(
        of(Signal::Logs, samples::logs(wide(), records(fits + 4)).encode_to_vec()),
        Err(ScanError::TooMany)
    );
    assert_eq!(
        of(
            Signal::Traces,
            samples::spans(wide(), vec![samples::span(vec![]); fits + 4]).encode_to_vec()
        ),
        Err(ScanError::TooMany)
    );
    // The scope, after its records, and the name of a metric are repeated as well.
    let mut request = samples::logs(vec![], records(fits + 4));
    let scope = &mut request.resource_logs[0].scope_logs[0];
    scope.schema_url = "u".repeat(1 << 20);
    assert_eq!(of(Signal::Logs, request.encode_to_vec()), Err(ScanError::TooMany));
    let mut request = samples::rich_metrics();
    let metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
    metric.description = "d".repeat(1 << 20);
    assert_eq!(of(Signal::Metrics, request.encode_to_vec()), Ok(1));
    if let Some(opentelemetry_proto::tonic::metrics::v1::metric::Data::Gauge(gauge)) =
        &mut request.resource_metrics[0].scope_metrics[0].metrics[0].data
    {
        gauge.data_points = vec![gauge.data_points[0].clone(); fits + 4];
    }
    assert_eq!(of(Signal::Metrics, request.encode_to_vec()), Err(ScanError::TooMany));
}

#[test]
fn requests_of_too_many_resources_are_refused() {
    let request = |count: usize| [0x0A, 0].repeat(count);
    let redaction = keep_everything();
    let groups = |count| {
        let bytes = request(count);
        scan(Signal::Traces, &bytes, &redaction).map(|scan| scan.groups.len())
    };
    assert_eq!(groups(MAX_GROUPS_PER_REQUEST), Ok(MAX_GROUPS_PER_REQUEST));
    assert_eq!(groups(MAX_GROUPS_PER_REQUEST + 1), Err(ScanError::TooMany));
}

#[test]
fn of_two_values_of_an_attribute_the_last_holds() {
    let name = [&[0x0A, 12][..], b"service.name"].concat();
    let text = [&[0x0A, 4][..], b"shop"].concat();
    let bytes = [&[0x3A, 2][..], b"no"].concat();
    for (fields, expected) in [
        (text.clone(), "shop"),
        ([text.clone(), bytes.clone()].concat(), ""),
        ([bytes, text].concat(), "shop"),
    ] {
        let value = [&[0x12, fields.len() as u8][..], &fields].concat();
        assert_eq!(text_attribute(&[name.as_slice(), &value].concat()), Ok(("service.name", expected)));
    }
}

#[test]
fn redaction_is_asked_for_every_name() {
    let names = |attributes: &[&str], keep_text| {
        Redaction::new(&RedactConfig {
            attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
            keep_text,
            ..RedactConfig::default()
        })
        .unwrap()
    };
    let concerned = |redaction: &Redaction, pairs| {
        let bytes = samples::logs(vec![("host.name", samples::text("h"))], vec![samples::log(pairs)]).encode_to_vec();
        scan(Signal::Logs, &bytes, redaction).unwrap().concerns_redaction
    };
    let nested = || vec![("user", samples::map(vec![("email", samples::text("a@b"))]))];
    for (redaction, pairs, expected) in [
        (names(&[], true), vec![("ml.input.text", samples::text("t"))], false),
        (names(&[], false), vec![("ml.input.text", samples::text("t"))], true),
        (names(&[], false), vec![("ml.model.name", samples::text("m"))], false),
        (names(&["host.name"], true), vec![], true),
        (names(&["user.email"], true), nested(), true),
        (names(&["user.*"], true), nested(), true),
        (names(&["customer.*"], true), nested(), false),
    ] {
        assert_eq!(concerned(&redaction, pairs), expected, "{redaction:?}");
    }
    let message = samples::logs(vec![], vec![samples::event("gen_ai.user.message", vec![])]).encode_to_vec();
    assert!(scan(Signal::Logs, &message, &names(&[], false)).unwrap().concerns_redaction);
    assert!(!scan(Signal::Logs, &message, &names(&[], true)).unwrap().concerns_redaction);
}

#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize, usize),
    Cut(usize),
    Repeat(usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        // Small bytes are tags, lengths and ends of groups.
        (any::<usize>(), 0_u8..40).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        (any::<usize>(), 1_usize..9).prop_map(|(at, length)| Edit::Remove(at, length)),
        any::<usize>().prop_map(Edit::Cut),
        (any::<usize>(), 1_usize..40).prop_map(|(at, length)| Edit::Repeat(at, length)),
    ];
    prop::collection::vec(edit, 0..4)
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match *edit {
        Edit::Set(at, byte) => bytes[at % length] = byte,
        Edit::Insert(at, byte) => bytes.insert(at % length, byte),
        Edit::Remove(at, count) => drop(bytes.drain(at % length..(at % length + count).min(length))),
        Edit::Cut(at) => bytes.truncate(at % length),
        Edit::Repeat(at, count) => {
            let again = bytes[at % length..(at % length + count).min(length)].to_vec();
            bytes.extend(again);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_walk_accepts_what_the_decoder_accepts(signal in prop::sample::select(&Signal::ALL[..]), edits in edits()) {
        let mut bytes = samples::rich(signal);
        edits.iter().for_each(|edit| apply(&mut bytes, edit));
        let accepted = scan(signal, &bytes, &keep_everything()).is_ok();
        prop_assert_eq!(accepted, decodes(signal, &bytes));
    }

    #[test]
    fn a_glance_misses_no_error(signal in prop::sample::select(&[Signal::Logs, Signal::Traces][..]), edits in edits()) {
        let mut bytes = samples::rich(signal);
        edits.iter().for_each(|edit| apply(&mut bytes, edit));
        if decodes(signal, &bytes) && !may_hold_errors(signal, &bytes) {
            let found = Decoder::default().find_errors(&samples::frame(signal, bytes));
            prop_assert_eq!(found.documents, vec![]);
        }
    }

    #[test]
    fn groups_nest_as_deep_as_the_decoder_lets_them(depth in 0_usize..120, ends in 0_usize..120) {
        let mut bytes = vec![0x7B; depth];
        bytes.extend(vec![0x7C; ends.min(depth + 1)]);
        prop_assert_eq!(scan(Signal::Logs, &bytes, &keep_everything()).is_ok(), decodes(Signal::Logs, &bytes));
    }
}

#[test]
fn values_nest_as_deep_as_the_decoder_lets_them() {
    for depth in 30..60 {
        let mut value = samples::int(1);
        for _ in 0..depth {
            value = samples::array(vec![value]);
        }
        let bytes = samples::logs(vec![], vec![samples::log(vec![("deep", value)])]).encode_to_vec();
        assert_eq!(
            scan(Signal::Logs, &bytes, &keep_everything()).is_ok(),
            decodes(Signal::Logs, &bytes),
            "{depth}"
        );
    }
}
