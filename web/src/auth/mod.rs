//! Who asks, and whether they may.
//!
//! Every request is identified once ([`identify`]): by a key in `Authorization: Bearer`, by the cookie of a
//! session that was opened with a key ([`session`]), or by nothing at all, which is everybody as long as no
//! key was ever made, the listener is on loopback, and it is asked by a name of loopback: behind a proxy that
//! publishes it, a key is needed. Each endpoint names the scope that it needs ([`require`]).
//! Requests that change something must come from our own pages or from no page at all ([`origin`]).

mod caller;
mod elastic;
mod origin;
mod session;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use driftlead_store::clock::Clock;
use driftlead_store::state::keys::{KeyRing, Scope};

pub use caller::{Asked, Caller, Via};
pub(crate) use session::{COOKIE, SESSION_SECONDS, Sessions, cookie_of};

use crate::error::Problem;

/// Carries the session's CSRF token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What an endpoint asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: health checks, and signing in.
    Anybody,
    /// A key with this scope.
    Scope(Scope),
}

/// What decides who may come in.
pub struct Gate {
    pub(crate) keys: KeyRing,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Clock,
    /// Whether only this machine can reach the listener.
    pub(crate) is_loopback: bool,
    /// Host of the public address, with its port if it has one.
    pub(crate) public_host: Option<String>,
    /// The pages are reached over TLS, so cookies must be too.
    pub(crate) is_secure: bool,
}

impl Gate {
    /// A gate for a listener.
    pub fn new(keys: KeyRing, clock: Clock, is_loopback: bool, public_url: Option<&str>) -> Self {
        Self {
            keys,
            sessions: Sessions::default(),
            clock,
            is_loopback,
            public_host: public_url.and_then(origin::host_of).map(str::to_owned),
            is_secure: public_url.is_some_and(|url| url.starts_with("https://")),
        }
    }

    /// Who asks.
    pub(crate) async fn identify(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Problem> {
        let secret = match uri.path().starts_with(crate::es::PREFIX) {
            true => elastic::secret(headers)?,
            false => bearer(headers)?.map(str::to_owned),
        };
        if let Some(secret) = secret {
            let key = self.keys.check(&secret).await?;
            return key
                .map(|key| Caller::with_key(&key))
                .ok_or_else(|| Problem::unauthorized("The key is not known, or was revoked."));
        }
        if let Some(token) = session::cookie_of(headers)
            && let Some(open) = self.sessions.find(token, self.clock.now())
            && let Some(key) = self.keys.get(&open.key_id).await?
        {
            return Ok(Caller::with_session(&key, open.csrf));
        }
        let is_local = self.is_loopback && origin::names_loopback(uri, headers);
        match is_local && self.keys.is_open().await? {
            true => Ok(Caller::everybody()),
            false => Ok(Caller::nobody()),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(secret.trim())),
        _ => Err(Problem::unauthorized("Send the key as Authorization: Bearer dl_….")),
    }
}

/// Whether a method changes something.
pub(crate) fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses hosts that are not ours: a page elsewhere must not reach a loopback listener by a name of its own.
pub(crate) async fn check_host(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match origin::check_host(&gate, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Finds out who asks and refuses changes that another site's page asks for. The [`Caller`] is an extension
/// of the request from here on.
pub(crate) async fn identify(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let caller = match admitted(&gate, &head).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    head.extensions.insert(Arc::new(caller));
    next.run(Request::from_parts(head, body)).await
}

async fn admitted(gate: &Gate, head: &Parts) -> Result<Caller, Problem> {
    let headers = &head.headers;
    let caller = gate.identify(&head.uri, headers).await?;
    if is_change(&head.method) {
        origin::check_origin(gate, &head.uri, headers)?;
        let opens_session = head.uri.path() == crate::api::session::PATH && head.method == Method::POST;
        if let Via::Session { csrf } = caller.via()
            && !opens_session
            && headers.get(CSRF_HEADER).is_none_or(|token| token.as_bytes() != csrf.as_bytes())
        {
            return Err(Problem::forbidden(format!("Send the session's token as {CSRF_HEADER}.")));
        }
    }
    Ok(caller)
}

/// Lets a request through to an endpoint when its caller may.
pub(crate) async fn require(access: Access, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Arc<Caller>>().cloned();
    let allowed = match (access, caller) {
        (Access::Anybody, _) => Ok(()),
        (Access::Scope(scope), Some(caller)) => caller.check_scope(scope),
        (Access::Scope(_), None) => Err(Problem::unauthorized(caller::ASK_FOR_KEY)),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
