//! `driftlead drift` on two Parquet files beside Evidently's drift preset and SciPy's bare Kolmogorov–Smirnov test: whole
//! processes, from the start to the end, with all that they read.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use crate::measuring::figure::{Figure, Scene};
use crate::measuring::python;
use crate::measuring::quantile::median;
use crate::measuring::settings::Settings;

/// Columns of either file: ten numbers, ten categories.
const COLUMNS: usize = 20;
const REPETITIONS: usize = 5;
/// How long a peer is waited for, in seconds.
const PATIENCE_SECONDS: u32 = 900;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer_files.py");

/// What a process took.
struct Run {
    seconds: f64,
    mebibytes: f64,
    has_ended: bool,
}

/// Measures all three on the same files.
pub async fn measure(settings: Settings) -> Scene {
    let mut scene = Scene::new("files");
    let rows = settings.file_rows();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (reference, current) = (folder.path().join("reference.parquet"), folder.path().join("current.parquet"));
    let made = python(
        "scipy",
        [
            "make".as_ref(),
            reference.as_os_str(),
            current.as_os_str(),
            rows.to_string().as_ref(),
        ],
    )
    .await;
    if let Err(why) = made {
        scene.note(format!(
            "not measured: the files cannot be made: {why}; scripts/bench installs what that takes"
        ));
        return scene;
    }
    let command = [
        env!("CARGO_BIN_EXE_driftlead").as_ref(),
        "drift".as_ref(),
        "--reference".as_ref(),
        reference.as_os_str(),
        "--current".as_ref(),
        current.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ];
    let mut own = Vec::new();
    for _ in 0..REPETITIONS {
        own.push(run("scipy", &command).await.expect("the product compares the files"));
    }
    let peer = async |name: &str| run_peer(name, &reference, &current).await;
    let (scipy, evidently) = (peer("scipy").await, peer("evidently").await);
    for (name, result) in [("SciPy", &scipy), ("Evidently", &evidently)] {
        match result {
            Ok(run) if !run.has_ended => scene.note(format!(
                "{name} had not ended after {PATIENCE_SECONDS} s and was stopped: its figures are what it had taken by then"
            )),
            Ok(_) => {}
            Err(why) => scene.note(format!("{name} is not beside these figures: {why}; scripts/bench installs it")),
        }
    }
    let seconds = median(&own.iter().map(|run| run.seconds).collect::<Vec<f64>>());
    let mebibytes = own.iter().map(|run| run.mebibytes).fold(0.0, f64::max);
    let beside = |figure: Figure, of: fn(&Run) -> f64| {
        figure
            .beside("Evidently DataDriftPreset", evidently.as_ref().ok().map(of))
            .beside("SciPy ks_2samp of the ten numbers", scipy.as_ref().ok().map(of))
    };
    let name = format!("two files of {rows} rows and {COLUMNS} columns");
    scene.add(beside(Figure::new(format!("{name}, median"), seconds, "s"), |run| run.seconds));
    scene.add(beside(Figure::new(format!("{name}, most memory"), mebibytes, "MiB"), |run| {
        run.mebibytes
    }));
    scene.add(Figure::new(
        format!("{name}, cells of both read, profiled and compared"),
        2.0 * (rows * COLUMNS) as f64 / seconds / 1e6,
        "million/s",
    ));
    scene
}

async fn run_peer(name: &str, reference: &Path, current: &Path) -> Result<Run, String> {
    run(
        name,
        &[
            "python3".as_ref(),
            SCRIPT.as_ref(),
            name.as_ref(),
            reference.as_os_str(),
            current.as_os_str(),
        ],
    )
    .await
}

/// Runs a command, with the Python packages of a peer.
async fn run(packages: &str, command: &[&OsStr]) -> Result<Run, String> {
    let patience = PATIENCE_SECONDS.to_string();
    let arguments = [OsStr::new("measure"), patience.as_ref()];
    let output = python(packages, arguments.into_iter().chain(command.iter().copied())).await?;
    let answer: Value = serde_json::from_str(&output).map_err(|error| error.to_string())?;
    let number = |name: &str| answer[name].as_f64().ok_or_else(|| format!("it did not say its {name}"));
    let has_ended = answer["ended"] == true;
    // The product says by 1 that columns drifted.
    if has_ended && !matches!(answer["status"].as_i64(), Some(0 | 1)) {
        return Err(format!("it ended with {}", answer["status"]));
    }
    Ok(Run {
        seconds: number("seconds")?,
        mebibytes: number("mib")?,
        has_ended,
    })
}

async fn python<'a>(packages: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<String, String> {
    let mut script = tokio::process::Command::new("python3");
    script.arg(SCRIPT).args(arguments).env("PYTHONPATH", python::packages(packages));
    let output = script.output().await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(error.lines().last().unwrap_or("it said nothing").to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
