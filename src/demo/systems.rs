//! The systems around a model, as the demo plays them: the deployer that decides which version serves, the trainer's
//! door, and the receiver of alerts. All three are real HTTP servers on one loopback port that Driftlead knows only by URL.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Retrainings that may wait; Driftlead asks for one at a time.
const MAX_WAITING_RETRAININGS: usize = 8;

/// A request to train.
#[derive(Debug, Clone)]
pub struct RetrainRequest {
    /// To be named by the deployment that comes of it.
    pub retrain_id: String,
    /// Why, in words.
    pub because: Vec<String>,
}

/// An alert as the receiver got it.
#[derive(Debug, Clone)]
pub struct ReceivedAlert {
    /// Name of the rule.
    pub rule: String,
    /// `alert.firing` or `alert.resolved`.
    pub kind: String,
}

/// The running systems.
pub struct Systems {
    /// Where all of them listen.
    pub address: SocketAddr,
    /// The version that serves; the deployer moves it, the service follows.
    pub live: watch::Sender<String>,
    /// Retrainings that Driftlead asked for.
    pub retrainings: mpsc::Receiver<RetrainRequest>,
    shared: Arc<Shared>,
}

struct Shared {
    live: watch::Sender<String>,
    retrainings: mpsc::Sender<RetrainRequest>,
    alerts: Mutex<Vec<ReceivedAlert>>,
    deliveries: Mutex<Vec<String>>,
}

impl Systems {
    /// Starts all of them; `first_version` serves.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(first_version: &str) -> std::io::Result<Self> {
        let (live, _) = watch::channel(first_version.to_owned());
        let (retrain_sender, retrainings) = mpsc::channel(MAX_WAITING_RETRAININGS);
        let shared = Arc::new(Shared {
            live: live.clone(),
            retrainings: retrain_sender,
            alerts: Mutex::default(),
            deliveries: Mutex::default(),
        });
        let router = Router::new()
            .route("/rollback", post(roll_back))
            .route("/retrain", post(retrain))
            .route("/alerts", post(receive_alert))
            .with_state(shared.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            live,
            retrainings,
            shared,
        })
    }

    /// Alerts received so far.
    pub fn alerts(&self) -> Vec<ReceivedAlert> {
        self.shared.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    /// Whether this delivery is new: a message that comes twice carries the same `webhook-id` and is acted on once.
    fn is_new(&self, headers: &HeaderMap) -> bool {
        let id = headers
            .get("webhook-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        if deliveries.contains(&id) {
            return false;
        }
        deliveries.push(id);
        true
    }
}

async fn roll_back(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(message): Json<Value>) -> StatusCode {
    let Some(target) = message["data"]["to"].as_str() else {
        return StatusCode::UNPROCESSABLE_ENTITY;
    };
    if shared.is_new(&headers) {
        shared.live.send_replace(target.to_owned());
    }
    StatusCode::OK
}

async fn retrain(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(message): Json<Value>) -> StatusCode {
    let data = &message["data"];
    let Some(retrain_id) = data["retrain_id"].as_str() else {
        return StatusCode::UNPROCESSABLE_ENTITY;
    };
    let because = data["because"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let request = RetrainRequest {
        retrain_id: retrain_id.to_owned(),
        because,
    };
    if !shared.is_new(&headers) {
        return StatusCode::ACCEPTED;
    }
    match shared.retrainings.try_send(request) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn receive_alert(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(message): Json<Value>) -> StatusCode {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if shared.is_new(&headers) {
        let alert = ReceivedAlert {
            rule: text(&message["data"]["rule"]),
            kind: text(&message["type"]),
        };
        shared.alerts.lock().unwrap_or_else(PoisonError::into_inner).push(alert);
    }
    StatusCode::NO_CONTENT
}
