//! What people, pipelines and the API ask for. Everything here is durable when it returns.

use driftlead_store::clock::UnixNanos;
use driftlead_store::model_settings::ModelSettings;
use driftlead_store::records::MAX_NAME_BYTES;
use driftlead_store::state::control::{ControlSet, StoredExample};
use driftlead_store::state::deployments::{Deployment, DeploymentEvent, NewDeployment};
use driftlead_store::state::replays::{MAX_QUEUED_REPLAYS, NewReplay, Replay, ReplayResult, ReplayState, RequestedBy};
use driftlead_store::state::verdicts::Verdict;
use driftlead_store::state::{State, StateError};
use serde::{Deserialize, Serialize};

use super::set::{Example, ExampleSet, SetError, SetFormat};

/// Largest announcement that is kept, in bytes.
const MAX_ANNOUNCEMENT_BYTES: usize = 64 << 10;
/// How far ahead of the clock an announcement may take effect, in seconds: what clocks differ by.
const MAX_SECONDS_AHEAD: i64 = 600;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The request is wrong; the text says what to change.
    #[error("{0}")]
    Invalid(String),
    /// The upload is wrong.
    #[error(transparent)]
    Set(#[from] SetError),
    /// There is no such thing (yet); the text says why.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things are; the text says what has to come first.
    #[error("{0}")]
    Conflict(String),
    /// Too much is waiting already: ask again later.
    #[error("{MAX_QUEUED_REPLAYS} replays are waiting already")]
    Busy,
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

#[derive(Deserialize)]
struct Announcement {
    model: String,
    version: String,
    #[serde(default)]
    environment: String,
    event: DeploymentEvent,
    traffic_share: Option<f64>,
    commit: Option<String>,
    artifact: Option<String>,
    data_version: Option<String>,
    retrain_id: Option<String>,
    reference: Option<String>,
    at: Option<UnixNanos>,
}

/// Records a deployment: `{model, version, environment?, event: candidate|live|retired, traffic_share?, commit?,
/// artifact?, data_version?, retrain_id?, reference?, importance?, at?, …}`; further fields are kept as they came. Its baseline
/// and replays follow within a second.
///
/// # Errors
/// A field is missing or wrong, or the state cannot be written.
pub async fn announce_deployment(state: &State, body: serde_json::Value, now: UnixNanos) -> Result<Deployment, ControlError> {
    let invalid = |reason: String| ControlError::Invalid(reason);
    if body.to_string().len() > MAX_ANNOUNCEMENT_BYTES {
        return Err(invalid(format!("the announcement is longer than {MAX_ANNOUNCEMENT_BYTES} bytes")));
    }
    let announcement = Announcement::deserialize(&body).map_err(|error| invalid(format!("the announcement is wrong: {error}")))?;
    check_name("model", &announcement.model)?;
    check_name("version", &announcement.version)?;
    if announcement.environment.len() > MAX_NAME_BYTES {
        return Err(invalid(format!("environment is longer than {MAX_NAME_BYTES} bytes")));
    }
    if announcement.event == DeploymentEvent::Seen {
        return Err(invalid("event must be candidate, live or retired".to_owned()));
    }
    if announcement.traffic_share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err(invalid("traffic_share must be from 0 to 1".to_owned()));
    }
    crate::explanation::read_importance(&body["importance"]).map_err(invalid)?;
    let at = announcement.at.unwrap_or(now);
    if at > now.plus_seconds(MAX_SECONDS_AHEAD) {
        return Err(invalid("at lies in the future".to_owned()));
    }
    let new = NewDeployment {
        model: announcement.model,
        version: announcement.version,
        environment: announcement.environment,
        event: announcement.event,
        retrain_id: announcement.retrain_id,
        reference: announcement.reference,
        commit_id: announcement.commit,
        artifact: announcement.artifact,
        data_version: announcement.data_version,
        body,
        at,
    };
    Ok(state.insert_deployment(&new, now).await?)
}

/// What an upload made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uploaded {
    /// The set's id: the hash of its content.
    pub set: String,
    /// How many examples it holds.
    pub examples: usize,
    /// What is unwise about it.
    pub warnings: Vec<String>,
}

/// Stores a control set and makes it the model's current one. The live version and the versions under watch are
/// replayed on it soon after.
///
/// # Errors
/// The upload is wrong, or the state cannot be written.
pub async fn upload_set(
    state: &State,
    settings: &ModelSettings,
    format: SetFormat,
    body: &[u8],
    now: UnixNanos,
) -> Result<Uploaded, ControlError> {
    check_name("model", &settings.name)?;
    let set = ExampleSet::read(format, body, settings.positive_class.as_deref())?;
    put_set(state, settings, set, now).await
}

/// Additions to sets take turns: each is made from the set before it.
static ADDING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Adds an example to the model's control set, or begins one with it; an example with the same id is replaced.
///
/// # Errors
/// The set would be too large or mixed, or the state cannot be written.
pub async fn add_example(state: &State, settings: &ModelSettings, example: Example, now: UnixNanos) -> Result<Uploaded, ControlError> {
    check_name("model", &settings.name)?;
    let _turn = ADDING.lock().await;
    let stored = match state.current_control_set(&settings.name).await? {
        Some(set) => state.control_examples(&settings.name, &set.id).await?,
        None => Vec::new(),
    };
    let examples: Result<Vec<Example>, _> = stored.into_iter().map(Example::from_stored).collect();
    let mut examples = examples.map_err(StateError::from)?;
    examples.retain(|known| known.id != example.id);
    examples.push(example);
    put_set(state, settings, ExampleSet::of(examples, settings.positive_class.as_deref())?, now).await
}

async fn put_set(state: &State, settings: &ModelSettings, set: ExampleSet, now: UnixNanos) -> Result<Uploaded, ControlError> {
    let stored = set.stored().map_err(StateError::from)?;
    let head = ControlSet {
        id: set.id.clone(),
        model: settings.name.clone(),
        examples: set.examples.len() as u64,
        warnings: set.warnings.clone(),
        created_at: now,
        is_current: true,
    };
    state.put_control_set(&head, &stored, now).await?;
    Ok(Uploaded {
        set: set.id,
        examples: set.examples.len(),
        warnings: set.warnings,
    })
}

/// Queues a replay of the model's current set against a version. Its baseline is that of the version's release, or
/// the live version where it was never released.
///
/// # Errors
/// The version is wrong, the model has no control set, too much is waiting, or the state cannot be written.
pub async fn request_replay(state: &State, model: &str, version: &str, environment: &str, now: UnixNanos) -> Result<Replay, ControlError> {
    check_name("version", version)?;
    let set = state.current_control_set(model).await?.ok_or_else(|| {
        ControlError::Conflict(format!(
            "the model {model:?} has no control set: upload one with PUT /api/v1/models/{model}/control"
        ))
    })?;
    let new = NewReplay {
        model: model.to_owned(),
        version: version.to_owned(),
        environment: environment.to_owned(),
        set_id: set.id,
        requested_by: RequestedBy::Api,
        deployment_id: None,
        baseline: None,
    };
    state.queue_replay(&new, now).await?.ok_or(ControlError::Busy)
}

/// A replay with all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayReport {
    /// The replay.
    #[serde(flatten)]
    pub replay: Replay,
    /// Its results, in the order of the set.
    pub results: Vec<ReplayResult>,
    /// Its verdict, once there is one.
    pub verdict: Option<Verdict>,
}

/// A replay with its results and its verdict.
///
/// # Errors
/// There is no such replay of this model, or the state cannot be read.
pub async fn replay_report(state: &State, model: &str, id: &str) -> Result<ReplayReport, ControlError> {
    let replay = state
        .replay(id)
        .await?
        .filter(|replay| replay.model == model)
        .ok_or_else(|| ControlError::NotFound(format!("the model {model:?} has no replay {id:?}")))?;
    Ok(ReplayReport {
        results: state.replay_results(id).await?,
        verdict: state.verdict_of_replay(id).await?,
        replay,
    })
}

/// The newest verdict on a version, in one environment or in any.
///
/// # Errors
/// There is none, with how far it is; or the state cannot be read.
pub async fn verdict(state: &State, model: &str, version: &str, environment: Option<&str>) -> Result<Verdict, ControlError> {
    if let Some(verdict) = state.latest_verdict(model, version, environment).await? {
        return Ok(verdict);
    }
    let replays = state.replays(model).await?;
    let of_version = |replay: &&Replay| replay.version == version && environment.is_none_or(|wanted| wanted == replay.environment);
    let is_judged = |replay: &&Replay| replay.requested_by != RequestedBy::Baseline;
    let newest = replays.iter().filter(of_version).find(is_judged);
    let why = match newest {
        Some(replay) if !replay.state.is_final() => format!("its replay {} is {}", replay.id, replay.state.as_str()),
        Some(replay) if replay.state == ReplayState::Skipped => {
            format!(
                "its replay was skipped: {}",
                replay.reason.as_deref().unwrap_or("no reason is known")
            )
        }
        Some(replay) if replay.verdict_owed => "its baseline is still being replayed".to_owned(),
        Some(replay) => format!("its replay {} could not be judged: ask for another", replay.id),
        None if replays.iter().any(|replay| replay.version == version) => {
            "it was only replayed as the baseline of another version: ask for a replay of it".to_owned()
        }
        None if state.current_control_set(model).await?.is_none() => "the model has no control set".to_owned(),
        None => "it was never replayed".to_owned(),
    };
    Err(ControlError::NotFound(format!(
        "version {version:?} of {model:?} has no verdict: {why}"
    )))
}

/// The examples of a model's current set.
///
/// # Errors
/// The model has none, or the state cannot be read.
pub async fn current_set(state: &State, model: &str) -> Result<(ControlSet, Vec<StoredExample>), ControlError> {
    let set = state
        .current_control_set(model)
        .await?
        .ok_or_else(|| ControlError::NotFound(format!("the model {model:?} has no control set")))?;
    let examples = state.control_examples(model, &set.id).await?;
    Ok((set, examples))
}

fn check_name(what: &str, name: &str) -> Result<(), ControlError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(ControlError::Invalid(format!("{what} must have 1 to {MAX_NAME_BYTES} bytes")));
    }
    Ok(())
}
