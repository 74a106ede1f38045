//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Watches machine-learning models in production and acts when they fail.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `driftlead` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: OTLP in, pages and API out.
    Serve(ServeArguments),
    /// Play a closed loop on real data: drift, retraining, a bad release, its rollback.
    Demo(DemoArguments),
    /// Compare two files of rows: exit 0 no drift, 1 drift, 2 error, 3 too few rows to tell.
    Drift(DriftArguments),
    /// Check rows before a model is trained on them: exit 0 fine, 1 found something, 2 error, 3 a check could not tell.
    CheckData(Box<CheckDataArguments>),
    /// Ask whether a version may go out: exit 0 pass, 1 fail, 2 error, 3 inconclusive.
    Gate(GateArguments),
    /// Check the configuration and its rule files.
    CheckConfig {
        /// The configuration file.
        #[arg(long, default_value = "driftlead.toml")]
        config: PathBuf,
    },
    /// Make the error index again from the database, while the server is stopped.
    Reindex(ReindexArguments),
    /// Manage API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The embedded database engine, started by `serve`.
    #[command(hide = true)]
    Engine(crate::engine::EngineArguments),
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The configuration file; without one everything has its default.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The folder for everything that is kept.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Write the addresses here, as JSON, once requests are accepted.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
}

/// Arguments of `reindex`.
#[derive(Debug, Args)]
pub struct ReindexArguments {
    /// The configuration file; without one everything has its default.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The folder for everything that is kept.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Only this day of event time, such as 2026-10-05; may be given several times.
    #[arg(long = "day")]
    pub days: Vec<driftlead_store::index::Day>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// The folder for the demo's data; without one a new temporary folder.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// End when the loop is closed.
    #[arg(long)]
    pub once: bool,
    /// Write what was measured here, as JSON.
    #[arg(long)]
    pub summary: Option<PathBuf>,
    /// Seed of everything that is drawn by lot.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the census files are; unset: where `make demo-data` puts them.
    #[arg(long)]
    pub census: Option<PathBuf>,
}

/// Arguments of `drift`.
#[derive(Debug, Args)]
pub struct DriftArguments {
    /// The rows that are as they should be: CSV, CSV.gz, lines of JSON or Parquet.
    #[arg(long)]
    pub reference: PathBuf,
    /// The rows that are compared with them.
    #[arg(long)]
    pub current: PathBuf,
    /// How it is written: `text`, `json`, `junit` or `html`, a page by itself.
    #[arg(long, default_value = "text", value_parser = ["text", "json", "junit", "html"])]
    pub format: String,
    /// Write it here instead of to standard output.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// The share of rows that may have moved; a column drifts when more surely did.
    #[arg(long, default_value = "shift=0.03")]
    pub threshold: String,
    /// What a column is, as in `zip=categorical`: numeric, categorical or ignore. May be given several times.
    #[arg(long = "kind")]
    pub kinds: Vec<String>,
    /// Decide as another library does by default, with its methods, bins and thresholds: `evidently`.
    #[arg(long, value_parser = ["evidently"])]
    pub compatible: Option<String>,
    /// The column with what the model answered, classes or numbers: both files' quality is measured, too.
    #[arg(long, requires = "label")]
    pub prediction: Option<String>,
    /// The column with the probability that it gave to the positive class: quality without labels is estimated, too.
    #[arg(long, requires = "label")]
    pub score: Option<String>,
    /// The column with what was true; the current file may lack it.
    #[arg(long)]
    pub label: Option<String>,
    /// The class that scores, precision and recall are about; 1 or true where that is plain.
    #[arg(long, requires = "label")]
    pub positive_class: Option<String>,
}

/// Arguments of `check-data`.
#[derive(Debug, Args)]
pub struct CheckDataArguments {
    /// The rows: CSV, CSV.gz, lines of JSON or Parquet.
    pub file: PathBuf,
    /// The column of labels: they are checked for conflicts and noise.
    #[arg(long)]
    pub label: Option<String>,
    /// The column that says who a row is; unsaid, one named id, uuid or …_id whose values are all different.
    #[arg(long)]
    pub id: Option<String>,
    /// A column that holds sentences. May be given several times; unsaid, it is seen.
    #[arg(long = "text")]
    pub texts: Vec<String>,
    /// What a column is, as in `zip=categorical`: numeric, categorical or ignore. May be given several times.
    #[arg(long = "kind")]
    pub kinds: Vec<String>,
    /// The numbers that a column, or each array of it, may hold, as in `image=0..1`. May be given several times.
    #[arg(long = "range")]
    pub ranges: Vec<String>,
    /// The shape of a column's arrays, as in `image=3x224x224`. May be given several times.
    #[arg(long = "shape")]
    pub shapes: Vec<String>,
    /// How columns with out-of-fold probabilities of your own model begin; the class follows, as in `p_` for `p_cat`.
    #[arg(long, requires = "label")]
    pub probabilities: Option<String>,
    /// The training data of the deployed model: columns, kinds, categories, ranges and shapes have to be as there.
    #[arg(long)]
    pub reference: Option<PathBuf>,
    /// The control set (JSON, lines of JSON, CSV), or any held-out rows: none of them may be among the rows.
    #[arg(long)]
    pub control: Option<PathBuf>,
    /// The file of the last time: the share of rows that are new is told.
    #[arg(long)]
    pub previous: Option<PathBuf>,
    /// The share of new rows that is usual.
    #[arg(long, default_value = "0.10..0.15")]
    pub new_share: String,
    /// The share of a column's rows that may lack a value, beyond what the reference lacks.
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    pub max_missing: f64,
    /// The share of rows that may repeat another.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    pub max_duplicates: f64,
    /// The share of rows whose input may have different labels.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    pub max_conflicts: f64,
    /// The share of rows whose label may be doubtful.
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    pub max_label_noise: f64,
    /// The share of rows that may be outside of the reference's range.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    pub max_out_of_range: f64,
    /// The share of rows that may have a category that the reference lacks, beyond what its rare ones let expect.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    pub max_unknown: f64,
    /// The share of control examples that may be among the rows.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub max_leakage: f64,
    /// Seed of the folds of label noise.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How it is written: `text`, `json`, `junit` or `html`, a page by itself.
    #[arg(long, default_value = "text", value_parser = ["text", "json", "junit", "html"])]
    pub format: String,
    /// Write it here instead of to standard output.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Write the rows to look at here, as CSV.
    #[arg(long)]
    pub suspicious: Option<PathBuf>,
    /// Write the rows to look at here, as tasks for Label Studio (JSON).
    #[arg(long)]
    pub label_studio: Option<PathBuf>,
    /// Write the labelling configuration for these tasks here (XML).
    #[arg(long)]
    pub label_config: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    number.ok_or_else(|| "it has to be a share from 0 to 1".to_owned())
}

/// Arguments of `gate`.
#[derive(Debug, Args)]
pub struct GateArguments {
    /// The model.
    #[arg(long)]
    pub model: String,
    /// The version that asks to go out.
    #[arg(long)]
    pub version: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// An API key with the scope `operate`.
    #[arg(long, env = "DRIFTLEAD_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Write a JUnit report here.
    #[arg(long)]
    pub junit: Option<PathBuf>,
    /// `text` or `json`.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub format: String,
    /// Seconds to wait for the verdict.
    #[arg(long, default_value_t = 300)]
    pub timeout: u64,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is printed once and kept only as a hash.
    New {
        /// What it may do: ingest, read, operate or admin. May be given several times.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// The environments that it is limited to; none: all.
        #[arg(long = "environment")]
        environments: Vec<String>,
        /// What it is for.
        #[arg(long, default_value = "")]
        label: String,
        /// Log records, spans, data points and outcomes that it may send a second, over time; unset: any number.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        records_per_second: Option<u64>,
        /// Bytes that it may send a second, over time, before compression; unset: any number.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        bytes_per_second: Option<u64>,
        /// The data folder.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
    /// List all keys, revoked ones too: id, scopes, environments, rate, when it was made, whether it counts, label.
    List {
        /// The data folder.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
    /// Revoke a key; a running server takes it no more within seconds.
    Revoke {
        /// Its id, `key_…`.
        id: String,
        /// The data folder.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
}
