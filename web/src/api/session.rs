//! `/api/v1/session`: a person signs in by pasting a key; pages then use a cookie that no script can read.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use driftlead_store::state::keys::Scope;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use crate::auth::{Access, Asked, COOKIE, Caller, Gate, SESSION_SECONDS, Via, cookie_of};
use crate::error::Problem;
use crate::extract::Body;

/// The path.
pub const PATH: &str = "/api/v1/session";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(PATH, "Who asks. Never answers 401.", show).access(Access::Anybody),
        Endpoint::post(PATH, "Sign in with a key that has the scope read: {key}.", open).access(Access::Anybody),
        Endpoint::delete(PATH, "Sign out.", close).access(Access::Anybody),
    ]
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Session {
    required: bool,
    signed_in: bool,
    scopes: Vec<Scope>,
    label: Option<String>,
    csrf: Option<String>,
}

impl Session {
    fn of(caller: &Caller) -> Self {
        let csrf = match caller.via() {
            Via::Session { csrf } => Some(csrf.clone()),
            _ => None,
        };
        let signed_in = matches!(caller.via(), Via::Session { .. } | Via::Key);
        Self {
            required: *caller.via() != Via::Loopback,
            signed_in,
            scopes: caller.scopes().to_vec(),
            label: signed_in.then(|| caller.name().to_owned()),
            csrf,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    key: String,
}

async fn show(Asked(caller): Asked) -> axum::Json<Session> {
    axum::Json(Session::of(&caller))
}

async fn open(State(gate): State<Arc<Gate>>, Body(sign_in): Body<SignIn>) -> Result<Response, Problem> {
    let key = gate.keys.check(sign_in.key.trim()).await?;
    let key = key.ok_or_else(|| Problem::unauthorized("The key is not known, or was revoked."))?;
    Caller::with_key(&key).check_scope(Scope::Read)?;
    let (token, session) = gate.sessions.open(&key.id, gate.clock.now());
    let caller = Caller::with_session(&key, session.csrf);
    Ok(with_cookie(&gate, &token, SESSION_SECONDS, &caller))
}

async fn close(State(gate): State<Arc<Gate>>, Asked(caller): Asked, headers: HeaderMap) -> Response {
    if let Some(token) = cookie_of(&headers) {
        gate.sessions.close(token);
    }
    let left = match caller.via() {
        Via::Session { .. } => Caller::nobody(),
        _ => Caller::clone(&caller),
    };
    with_cookie(&gate, "", 0, &left)
}

fn with_cookie(gate: &Gate, token: &str, max_age_seconds: i64, caller: &Caller) -> Response {
    let secure = if gate.is_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_seconds}{secure}");
    let mut response = axum::Json(Session::of(caller)).into_response();
    let cookie = HeaderValue::from_str(&cookie).expect("the token is hex, the rest is ours");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}
