//! The story that the demo plays, from the first model to the closed loop. Each scene waits for what Driftlead does,
//! by its webhooks and its API; nothing is assumed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use driftlead_store::clock::UnixNanos;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::{Api, Label};
use super::census::Person;
use super::classifier::Registry;
use super::people::{CONTROL_EXAMPLES, MORE_CONTROL_EXAMPLES, People, YEARS, features, label};
use super::service::{self, Sent, YEAR_SECONDS, backfill_id};
use super::systems::{RetrainRequest, Systems};
use super::telemetry::{ENVIRONMENT, MODEL, Voice};
use super::terminal::Terminal;
use super::{labelling, trainer};

/// Driftlead has to do what a scene waits for within this time.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often the API is asked while a scene waits.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is asked for the drift of a whole day, which takes it half a second.
const DRIFT_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Recent rows that a retraining uses.
const RETRAIN_PEOPLE: usize = 40_000;
/// The group whose labels somebody inverted before 1.1 was trained: (feature, value).
const INVERTED_GROUP: (&str, &str) = ("SEX", "1");
/// Inferences that 1.2 has to have served before its shift is looked at: of 5,000, chance alone moves one of 16 features
/// by more than 2 % about once in twenty demos.
const SHIFT_PEOPLE: u64 = 10_000;

/// Everything that the scenes share.
pub struct Story {
    /// The seed of everything that is drawn by lot.
    pub seed: u64,
    /// What is printed.
    pub terminal: Terminal,
    /// The product's API.
    pub api: Api,
    /// Where OTLP goes.
    pub otlp_grpc: String,
    /// Deployer, trainer's door, receiver of alerts.
    pub systems: Systems,
    /// The versions.
    pub registry: Registry,
    /// The cast.
    pub people: Arc<People>,
    /// End of the back-fill.
    pub end: UnixNanos,
    /// What was sent.
    pub sent: Arc<Sent>,
}

/// The live service and the people who label.
pub struct Live {
    /// Dropping it ends the service, also where a scene broke off.
    stop: DropGuard,
    service: JoinHandle<anyhow::Result<()>>,
    labelling: JoinHandle<anyhow::Result<()>>,
}

impl Live {
    /// Ends the service; returns when everything it reported is acknowledged and all labels are handed over.
    ///
    /// # Errors
    /// The collector or the API did not take something.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.service.await??;
        self.labelling.await?
    }
}

impl Story {
    /// 1.0 is announced and its control examples are uploaded.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn announce_first_version(&self) -> anyhow::Result<()> {
        self.upload_control_set(CONTROL_EXAMPLES).await?;
        let live_since = self.end.plus_seconds(-4 * YEAR_SECONDS);
        self.api.announce("1.0", "live", json!({"at": live_since.to_string()})).await?;
        Ok(())
    }

    /// Four years in four days, with all labels.
    ///
    /// # Errors
    /// The collector or the API does not take something.
    pub async fn backfill(&self) -> anyhow::Result<()> {
        let begin = self.end.plus_seconds(-4 * YEAR_SECONDS);
        for (index, year) in YEARS.into_iter().enumerate() {
            let day = begin.plus_seconds(index as i64 * YEAR_SECONDS);
            let began = Instant::now();
            let (people, registry, sent, otlp_grpc) = (
                self.people.clone(),
                self.registry.clone(),
                self.sent.clone(),
                self.otlp_grpc.clone(),
            );
            let voice = Voice::new(&otlp_grpc)?;
            spawn_blocking(move || service::backfill_year(&voice, &registry, "1.0", people.of_year(year), day, &sent)).await??;
            let count = self.people.of_year(year).len();
            let rate = count as f64 / began.elapsed().as_secs_f64();
            self.terminal.step(
                "service",
                format!("{count} inferences of {year} are acknowledged, as {day} + 24 h ({rate:.0} a second)"),
            );
            let labels: Vec<_> = self
                .people
                .of_year(year)
                .iter()
                .map(|person| Label::new(backfill_id(person), label(person.employed)))
                .collect();
            self.api.label(&labels).await?;
        }
        Ok(())
    }

    /// Where the days of the back-fill end, the last one also where what is live begins.
    pub fn days(&self) -> [UnixNanos; YEARS.len()] {
        std::array::from_fn(|index| self.end.plus_seconds((index as i64 + 1 - YEARS.len() as i64) * YEAR_SECONDS))
    }

    /// The service goes on live at so many requests a second, and people label.
    ///
    /// # Errors
    /// The exporter cannot be built.
    pub fn go_live(&self, requests_per_second: u32) -> anyhow::Result<Live> {
        let stop = CancellationToken::new();
        let (label_sender, labels) = mpsc::channel(labelling::MAX_WAITING_LABELS);
        let voice = Voice::new(&self.otlp_grpc)?;
        let (people, registry, sent) = (self.people.clone(), self.registry.clone(), self.sent.clone());
        let (live, stopped, seed) = (self.systems.live.subscribe(), stop.clone(), self.seed);
        let service = spawn_blocking(move || {
            let last_year = people.of_year(YEARS[YEARS.len() - 1]);
            service::serve_live(
                &voice,
                &registry,
                last_year,
                &live,
                &label_sender,
                &sent,
                requests_per_second,
                &stopped,
                seed,
            )
        });
        let labelling = tokio::spawn(labelling::run(self.api.clone(), labels));
        Ok(Live {
            stop: stop.drop_guard(),
            service,
            labelling,
        })
    }

    /// Waits until Driftlead asks for a retraining.
    ///
    /// # Errors
    /// It does not.
    pub async fn retraining_requested(&mut self) -> anyhow::Result<RetrainRequest> {
        let request = tokio::time::timeout(PATIENCE, self.systems.retrainings.recv()).await;
        let request = request
            .context("Driftlead did not ask for a retraining")?
            .context("the trainer's door is closed")?;
        self.terminal.step(
            "trainer",
            format!("Driftlead asks for a retraining: {}", request.because.join("; ")),
        );
        Ok(request)
    }

    /// Trains 1.1 on recent rows whose labels somebody inverted for one group, and ships it without asking the gate.
    ///
    /// # Errors
    /// The training or the API fails.
    pub async fn ship_bad_version(&self, request: &RetrainRequest) -> anyhow::Result<()> {
        let (feature, value) = INVERTED_GROUP;
        let people = self.recent_people();
        let is_inverted = |person: &Person| person.category(feature) == Some(value);
        let inverted = people.iter().filter(|person| is_inverted(person)).count();
        self.terminal.step(
            "trainer",
            format!(
                "trains 1.1 on {} recent rows; somebody inverted the labels of {inverted} with {feature} = {value}",
                people.len()
            ),
        );
        let labels = people.iter().map(|person| person.employed != is_inverted(person)).collect();
        self.train("1.1", people, labels, None).await?;
        self.api.announce("1.1", "live", json!({"retrain_id": request.retrain_id})).await?;
        self.systems.live.send_replace("1.1".to_owned());
        self.terminal.step("deployer", "1.1 serves; nobody asked the gate");
        Ok(())
    }

    /// Waits until 1.1 is rolled back and the rollback is confirmed.
    ///
    /// # Errors
    /// The gate does not fail 1.1, or the rollback ends otherwise.
    pub async fn rolled_back(&self) -> anyhow::Result<Value> {
        let verdict = self.verdict("1.1", None).await?;
        self.terminal.step(
            "driftlead",
            format!("the gate says {} about 1.1: {}", verdict["verdict"], reasons(&verdict)),
        );
        let heldout = (self.heldout_f1("1.0").await?, self.heldout_f1("1.1").await?);
        let count = self.people.held_out.len();
        self.terminal.step(
            "(truth)",
            format!(
                "on {count} held-out rows F1 is {:.3} for 1.0 and {:.3} for 1.1",
                heldout.0, heldout.1
            ),
        );
        if verdict["verdict"] != "fail" {
            bail!("the gate did not fail 1.1");
        }
        let accepted = self
            .rollback_in(&["accepted", "confirmed", "failed", "overdue", "unobserved"])
            .await?;
        self.terminal.step(
            "deployer",
            format!("Driftlead had 1.1 rolled back to {}: {}", accepted["to_version"], accepted["state"]),
        );
        let ended = self.rollback_in(&["confirmed", "failed", "overdue", "unobserved"]).await?;
        self.terminal
            .step("driftlead", format!("the rollback is {} by the telemetry", ended["state"]));
        if ended["state"] != "confirmed" {
            bail!("the rollback ended as {}", ended["state"]);
        }
        Ok(ended)
    }

    /// Trains 1.2 on clean recent rows from 1.0 on, asks the gate, and ships it when it passes.
    ///
    /// # Errors
    /// The training or the API fails, or the gate does not let it pass.
    pub async fn ship_good_version(&self, request: &RetrainRequest) -> anyhow::Result<()> {
        let people = self.recent_people();
        self.terminal.step(
            "trainer",
            format!("trains 1.2 on {} recent rows with true labels, from 1.0 on", people.len()),
        );
        self.api
            .put_text::<Value>(&format!("/models/{MODEL}/references/training-1.2"), "text/csv", csv(&people))
            .await?;
        let labels = people.iter().map(|person| person.employed).collect();
        self.train("1.2", people, labels, Some("1.0")).await?;
        let release = json!({"retrain_id": request.retrain_id, "reference": "training-1.2"});
        self.api.announce("1.2", "candidate", release.clone()).await?;
        let mut verdict = self.verdict("1.2", None).await?;
        self.terminal.step(
            "driftlead",
            format!("the gate says {} about 1.2: {}", verdict["verdict"], reasons(&verdict)),
        );
        if verdict["verdict"] == "inconclusive" {
            self.terminal.step(
                "trainer",
                format!("{CONTROL_EXAMPLES} examples cannot tell: uploads a set of {MORE_CONTROL_EXAMPLES}"),
            );
            self.upload_control_set(MORE_CONTROL_EXAMPLES).await?;
            verdict = self.verdict("1.2", verdict["id"].as_str()).await?;
            self.terminal.step(
                "driftlead",
                format!("the gate says {} about 1.2: {}", verdict["verdict"], reasons(&verdict)),
            );
        }
        if verdict["verdict"] != "pass" {
            bail!("the gate does not let 1.2 pass");
        }
        self.api.announce("1.2", "live", release).await?;
        self.systems.live.send_replace("1.2".to_owned());
        self.terminal.step("deployer", "1.2 serves");
        Ok(())
    }

    /// Waits until 1.2 served enough to be compared with its training rows; returns the drift of 1.2 and of 1.0.
    ///
    /// # Errors
    /// The API does not answer in time.
    pub async fn shifts_of_good_version(&self) -> anyhow::Result<(Value, Value)> {
        let now = self.drift_until("1.2", Some("training-1.2"), SHIFT_PEOPLE).await?;
        let first = self.drift_until("1.0", None, SHIFT_PEOPLE).await?;
        Ok((now, first))
    }

    /// F1 of a version on the rows that nobody trained on.
    ///
    /// # Errors
    /// The version cannot be loaded.
    pub async fn heldout_f1(&self, version: &str) -> anyhow::Result<f64> {
        let (registry, people, version) = (self.registry.clone(), self.people.clone(), version.to_owned());
        spawn_blocking(move || registry.load(&version)?.f1(&people.held_out)).await?
    }

    async fn train(&self, version: &str, people: Vec<Person>, labels: Vec<bool>, continue_from: Option<&str>) -> anyhow::Result<()> {
        let (folder, seed) = (self.registry.version(version), self.seed);
        let continue_from = continue_from.map(|version| self.registry.version(version));
        let began = Instant::now();
        spawn_blocking(move || trainer::train(&people, &labels, continue_from.as_deref(), seed, &folder)).await??;
        self.terminal
            .step("trainer", format!("{version} is trained ({:.1} s)", began.elapsed().as_secs_f64()));
        Ok(())
    }

    fn recent_people(&self) -> Vec<Person> {
        self.people.recent.iter().take(RETRAIN_PEOPLE).cloned().collect()
    }

    async fn upload_control_set(&self, examples: usize) -> anyhow::Result<()> {
        let examples: Vec<_> = self.people.control.iter().take(examples).map(example).collect();
        self.api
            .put::<Value>(&format!("/models/{MODEL}/control"), &json!({"examples": examples}))
            .await?;
        Ok(())
    }

    /// The verdict on a version, other than the one of the id `before`.
    async fn verdict(&self, version: &str, before: Option<&str>) -> anyhow::Result<Value> {
        let path = format!("/models/{MODEL}/versions/{version}/verdict");
        self.eventually(&format!("a verdict on {version}"), async || {
            let verdict: Value = self.api.get(&path, &[("environment", ENVIRONMENT)]).await.ok()?;
            (verdict["verdict"].is_string() && verdict["id"].as_str() != before).then_some(verdict)
        })
        .await
    }

    async fn rollback_in(&self, states: &[&str]) -> anyhow::Result<Value> {
        self.eventually(&format!("a rollback that is {}", states.join(" or ")), async || {
            let answer: Value = self.api.get("/actions", &[("model", MODEL)]).await.ok()?;
            let rollback = answer["actions"].as_array()?.iter().find(|action| action["kind"] == "rollback")?;
            states.contains(&rollback["state"].as_str()?).then(|| rollback.clone())
        })
        .await
    }

    async fn drift_until(&self, version: &str, reference: Option<&str>, n: u64) -> anyhow::Result<Value> {
        let path = format!("/models/{MODEL}/drift");
        let mut query = vec![("environment", ENVIRONMENT), ("version", version)];
        query.extend(reference.map(|reference| ("reference", reference)));
        // A training reference is compared with what was served live, the pinned one with the last day of the back-fill.
        let day = if reference.is_some() { 0 } else { -1 };
        let from = self.end.plus_seconds(day * YEAR_SECONDS).to_string();
        let to = self.end.plus_seconds((day + 1) * YEAR_SECONDS).to_string();
        query.extend([("from", from.as_str()), ("to", to.as_str())]);
        let what = format!("the drift of {version} over {n} inferences");
        self.eventually_every(DRIFT_POLL_INTERVAL, &what, async || {
            let drift: Value = self.api.get(&path, &query).await.ok()?;
            (drift["n"].as_u64()? >= n).then_some(drift)
        })
        .await
    }

    async fn eventually<T, F: Future<Output = Option<T>>>(&self, what: &str, probe: impl FnMut() -> F) -> anyhow::Result<T> {
        self.eventually_every(POLL_INTERVAL, what, probe).await
    }

    async fn eventually_every<T, F: Future<Output = Option<T>>>(
        &self,
        interval: Duration,
        what: &str,
        mut probe: impl FnMut() -> F,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(value) = probe().await {
                return Ok(value);
            }
            tokio::time::sleep(interval).await;
        }
        bail!("within {PATIENCE:?} there was not {what}")
    }
}

fn example(person: &Person) -> Value {
    json!({"id": format!("person-{}", person.id), "features": features(person), "label": label(person.employed)})
}

fn csv(people: &[Person]) -> String {
    use super::census::{CATEGORICAL_FEATURES, NUMERIC_FEATURE};
    let mut text = format!("{NUMERIC_FEATURE},{}\n", CATEGORICAL_FEATURES.join(","));
    for person in people {
        text.push_str(&person.age.map_or(String::new(), |age| age.to_string()));
        for category in &person.categories {
            text.push(',');
            // The census codes are digits: nothing has to be quoted.
            text.push_str(category.as_deref().unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn reasons(verdict: &Value) -> String {
    verdict["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join("; ")
}
