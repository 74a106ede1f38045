//! The demo's way to the product: its HTTP API, as any script would use it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use driftlead_store::clock::UnixNanos;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::telemetry::MODEL;

/// Most items that one page of inferences holds.
const PAGE_ITEMS: usize = 5_000;
/// Outcomes of one request.
const OUTCOMES_PER_REQUEST: usize = 5_000;
/// Stretches of time that are read side by side.
const READERS: usize = 3;

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base: String,
}

/// A label that became known.
#[derive(Debug, Clone, Serialize)]
pub struct Label {
    model: &'static str,
    request_id: String,
    kind: &'static str,
    label: String,
}

impl Label {
    /// The truth about one request.
    pub fn new(request_id: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            model: MODEL,
            request_id: request_id.into(),
            kind: "label",
            label: label.into(),
        }
    }
}

impl Api {
    /// For the server at `web` (host and port).
    ///
    /// # Errors
    /// The client cannot be built.
    pub fn new(web: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self {
            client,
            base: format!("http://{web}"),
        })
    }

    /// `GET` of a path under `/api/v1`.
    ///
    /// # Errors
    /// The server does not answer with 2xx and the expected JSON.
    pub async fn get<Answer: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.answer(self.client.get(self.url(path)).query(query), path).await
    }

    /// `POST` of JSON to a path under `/api/v1`.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn post<Answer: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Answer> {
        self.answer(self.client.post(self.url(path)).json(body), path).await
    }

    /// `PUT` of JSON to a path under `/api/v1`.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn put<Answer: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Answer> {
        self.answer(self.client.put(self.url(path)).json(body), path).await
    }

    /// `PUT` of text (CSV, JSONL) to a path under `/api/v1`.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn put_text<Answer: DeserializeOwned>(&self, path: &str, content_type: &str, body: String) -> anyhow::Result<Answer> {
        self.answer(
            self.client.put(self.url(path)).header("content-type", content_type).body(body),
            path,
        )
        .await
    }

    /// Hands over labels, in bounded requests.
    ///
    /// # Errors
    /// A request fails, or a label is rejected.
    pub async fn label(&self, labels: &[Label]) -> anyhow::Result<()> {
        for part in labels.chunks(OUTCOMES_PER_REQUEST) {
            let answer: Value = self.post("/outcomes", &part).await?;
            let rejected = answer["rejected"].as_array().map_or(0, Vec::len);
            if rejected > 0 {
                bail!("{rejected} labels were rejected, the first: {}", answer["rejected"][0]);
            }
        }
        Ok(())
    }

    /// How often each request id is stored, and the exact total that the server states. Read in the stretches of time
    /// that the `boundaries` make, a few at a time.
    ///
    /// # Errors
    /// A page cannot be read.
    pub async fn stored_ids(&self, boundaries: &[UnixNanos]) -> anyhow::Result<(u64, HashMap<String, u32>)> {
        let page: Value = self.get(&inferences_path(), &[("limit", "1")]).await?;
        let total = page["total"].as_u64().context("a page without a total")?;
        let begins = std::iter::once(None).chain(boundaries.iter().copied().map(Some));
        let ends = boundaries.iter().copied().map(Some).chain([None]);
        let mut parts = stream::iter(begins.zip(ends).map(|(from, to)| self.ids_between(from, to))).buffer_unordered(READERS);
        let mut times_stored = HashMap::new();
        while let Some(ids) = parts.try_next().await? {
            for id in ids {
                *times_stored.entry(id).or_insert(0) += 1;
            }
        }
        Ok((total, times_stored))
    }

    /// The ids of all inferences in a stretch of time, page by page.
    async fn ids_between(&self, from: Option<UnixNanos>, to: Option<UnixNanos>) -> anyhow::Result<Vec<String>> {
        let limit = PAGE_ITEMS.to_string();
        let (from, to) = (from.map(|from| from.to_string()), to.map(|to| to.to_string()));
        let mut ids = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let asked = [("from", &from), ("to", &to), ("cursor", &cursor)];
            let mut query = vec![("limit", limit.as_str())];
            query.extend(asked.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
            let page: Value = self.get(&inferences_path(), &query).await?;
            for item in page["items"].as_array().context("a page without items")? {
                ids.push(item["request_id"].as_str().context("an inference without an id")?.to_owned());
            }
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(ids),
            }
        }
    }

    /// Announces that a version is a candidate or live.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn announce(&self, version: &str, event: &str, more: Value) -> anyhow::Result<Value> {
        let mut body = json!({"model": MODEL, "version": version, "environment": super::telemetry::ENVIRONMENT, "event": event});
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.post("/deployments", &body).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    async fn answer<Answer: DeserializeOwned>(&self, request: reqwest::RequestBuilder, path: &str) -> anyhow::Result<Answer> {
        let response = request.send().await.with_context(|| format!("{path}: no answer"))?;
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            bail!("{path}: {status}: {}", String::from_utf8_lossy(&body[..body.len().min(600)]));
        }
        serde_json::from_slice(&body).with_context(|| format!("{path}: an answer that is not understood"))
    }
}

fn inferences_path() -> String {
    format!("/models/{MODEL}/inferences")
}
