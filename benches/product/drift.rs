//! One drift window: every feature of a window of inferences compared with its reference.
//!
//! The product reads profiles that it made as the records came; the peers read the raw rows, as they always do. What
//! making the profiles cost is beside it: the CPU from the first record until both windows can be compared.

use std::time::{Duration, Instant};

use driftlead_store::clock::UnixNanos;
use serde_json::Value;

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::process::cpu_seconds;
use crate::measuring::python;
use crate::measuring::quantile::{median, quantile};
use crate::measuring::rows::Rows;
use crate::measuring::settings::Settings;
use crate::measuring::support::otlp::{inference, logs_request, now_ns, post_logs};
use crate::measuring::support::product::Product;
use crate::measuring::wait;

/// Times that a window is asked for.
const REPETITIONS: usize = 30;
const RECORDS_PER_REQUEST: usize = 1_000;
/// Length of either window.
const WINDOW_SECONDS: i64 = 3_600;
const SECOND_NS: i64 = 1_000_000_000;

/// Rows of a reference and of a window.
struct Pair {
    model: &'static str,
    reference: Rows,
    current: Rows,
}

/// Measures made rows and the census.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("drift");
    let count = settings.window_rows();
    let mut pairs = vec![Pair {
        model: "made",
        reference: Rows::made(count, 2, 0.0),
        current: Rows::made(count, 3, 0.05),
    }];
    match tokio::task::spawn_blocking(move || Rows::census(count))
        .await
        .expect("rows are read")
    {
        Some((reference, current)) => pairs.push(Pair {
            model: "census",
            reference,
            current,
        }),
        None => scene.note("the census is not measured: its data is missing, `make demo-data` fetches it"),
    }
    for pair in pairs {
        measure_pair(&mut scene, pair).await;
    }
    scene
}

async fn measure_pair(scene: &mut Scene, pair: Pair) {
    let Pair { model, reference, current } = &pair;
    // Both windows lie in the past, so that nothing more comes into them.
    let end = UnixNanos(now_ns() as i64).floor_to(WINDOW_SECONDS).plus_seconds(-WINDOW_SECONDS);
    let start = end.plus_seconds(-WINDOW_SECONDS);
    let (before, until) = (start.plus_seconds(-2 * WINDOW_SECONDS), start.plus_seconds(-WINDOW_SECONDS));
    let configuration = format!("[[models]]\nname = \"{model}\"\nreference = {{ pinned = [\"{before}\", \"{until}\"] }}\n");
    let mut product = Product::start(&configuration).await;
    wait::until_up(&product).await;
    let processes = [product.process_id(), product.engine_process_id().expect("the engine runs")];
    let cpu = || processes.map(cpu_seconds).iter().sum::<f64>();

    let cpu_before = cpu();
    send(&product, model, reference, before).await;
    send(&product, model, current, start).await;
    // A record of now moves the watermark past both windows.
    post(&product, vec![inference(model, "1.0", "now", now_ns(), current.attributes(0))]).await;
    let path = format!("/models/{model}/drift?from={start}&to={end}");
    let sent = Instant::now();
    let report = wait::until("both windows can be compared", Duration::from_secs(1), async || {
        product.get(&path).await.filter(|report| {
            report["n"] == current.rows.len()
                && report["reference_n"] == reference.rows.len()
                && report["features"]
                    .as_array()
                    .is_some_and(|features| features.len() == current.names.len())
        })
    })
    .await;
    let (seconds_until_profiled, cpu_until_profiled) = (sent.elapsed().as_secs_f64(), cpu() - cpu_before);

    let cpu_before = cpu();
    let mut milliseconds = Vec::new();
    for _ in 0..REPETITIONS {
        let began = Instant::now();
        product.get(&path).await.expect("a comparison");
        milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let cpu_milliseconds = (cpu() - cpu_before) * 1e3 / REPETITIONS as f64;
    product.stop().await;

    let peers = Peers::measure(scene, &pair).await;
    let (name, rows) = (format!("drift window, {model}"), current.rows.len());
    let beside = |figure: Figure, of: fn(&Peer) -> f64| {
        figure
            .beside("SciPy ks_2samp, chi2_contingency", peers.scipy.as_ref().map(of))
            .beside("Evidently DataDriftPreset", peers.evidently.as_ref().map(of))
    };
    scene.add(beside(
        Figure::new(format!("{name}, median"), median(&milliseconds), "ms"),
        |peer| median(&peer.milliseconds),
    ));
    scene.add(beside(
        Figure::new(format!("{name}, p95"), quantile(&milliseconds, 0.95), "ms"),
        |peer| quantile(&peer.milliseconds, 0.95),
    ));
    scene.add(beside(
        Figure::new(format!("{name}, CPU of serve and engine"), cpu_milliseconds, "CPU ms"),
        |peer| median(&peer.cpu_milliseconds),
    ));
    scene.add(Figure::new(
        format!("{name}: from the last record until it can be asked for"),
        seconds_until_profiled,
        "s",
    ));
    scene.add(Figure::new(
        format!("{name}: receiving, storing and profiling its {} rows", rows + reference.rows.len()),
        cpu_until_profiled,
        "CPU s",
    ));
    scene.note(format!(
        "{model}: {} reference rows against {rows}, {} features, {} of them numeric; {} drifted at the default threshold; a window \
         includes its answer over HTTP, the peers' time excludes reading the rows.",
        reference.rows.len(),
        current.names.len(),
        current.numeric,
        drifted(&report)
    ));
}

fn drifted(report: &Value) -> usize {
    let features = report["features"].as_array().into_iter().flatten();
    features.filter(|feature| feature["drifted"] == true).count()
}

/// Sends rows evenly over the window that begins at `start`.
async fn send(product: &Product, model: &str, rows: &Rows, start: UnixNanos) {
    let count = rows.rows.len();
    let step = WINDOW_SECONDS * SECOND_NS / count as i64;
    for first in (0..count).step_by(RECORDS_PER_REQUEST) {
        let numbers = first..(first + RECORDS_PER_REQUEST).min(count);
        let records = numbers.map(|row| {
            let time = (start.0 + row as i64 * step) as u64;
            inference(model, "1.0", &format!("{}-{row}", start.0), time, rows.attributes(row))
        });
        post(product, records.collect()).await;
    }
}

async fn post(product: &Product, records: Vec<opentelemetry_proto::tonic::logs::v1::LogRecord>) {
    let status = post_logs(&product.client, &product.otlp_http, &logs_request(records)).await;
    assert_eq!(status, Some(200), "records are taken");
}

/// What a peer took for the same comparison, several times.
struct Peer {
    milliseconds: Vec<f64>,
    cpu_milliseconds: Vec<f64>,
}

/// The peers that could be measured.
#[derive(Default)]
struct Peers {
    scipy: Option<Peer>,
    evidently: Option<Peer>,
}

impl Peers {
    async fn measure(scene: &mut Scene, pair: &Pair) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (reference, current) = (folder.path().join("reference.csv"), folder.path().join("current.csv"));
        pair.reference.write_csv(&reference);
        pair.current.write_csv(&current);
        let numeric = pair.current.numeric.to_string();
        let run = async |peer: &str| {
            let mut script = tokio::process::Command::new("python3");
            script
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer_drift.py"))
                .args([peer.as_ref(), reference.as_os_str(), current.as_os_str(), numeric.as_ref()])
                .env("PYTHONPATH", python::packages(peer));
            let output = script.output().await.map_err(|error| error.to_string())?;
            let error = String::from_utf8_lossy(&output.stderr);
            let last_line = || error.lines().last().unwrap_or("it said nothing").to_owned();
            let answer: Value = serde_json::from_slice(&output.stdout).map_err(|_| last_line())?;
            let values = |name: &str| answer[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            Ok::<_, String>((
                Peer {
                    milliseconds: values("milliseconds"),
                    cpu_milliseconds: values("cpu_milliseconds"),
                },
                answer["versions"].as_str().unwrap_or_default().to_owned(),
            ))
        };
        let mut peers = Self::default();
        for (name, place) in [("scipy", &mut peers.scipy), ("evidently", &mut peers.evidently)] {
            match run(name).await {
                Ok((peer, versions)) => {
                    scene.note(format!("{}: beside it {versions}", pair.model));
                    *place = Some(peer);
                }
                Err(why) => scene.note(format!("{name} is not beside these figures: {why}; scripts/bench installs it")),
            }
        }
        peers
    }
}
