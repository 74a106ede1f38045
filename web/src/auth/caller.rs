//! Who asks.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use driftlead_store::state::keys::{Key, Scope};

use crate::error::Problem;

/// Said to those who have no key.
pub(super) const ASK_FOR_KEY: &str =
    "A key is needed: sign in, or send Authorization: Bearer with a key. Make one with `driftlead key new --scope read`.";

/// How a caller was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// Not at all, and nothing is allowed.
    Nothing,
    /// Not at all, but no keys exist and only this machine can ask: everything is allowed.
    Loopback,
    /// By a key.
    Key,
    /// By a session that was opened with a key.
    Session {
        /// What changes have to carry.
        csrf: String,
    },
}

/// Who asks, and what they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    key_id: String,
    label: String,
    scopes: Vec<Scope>,
    environments: Vec<String>,
    via: Via,
}

impl Caller {
    pub(crate) fn nobody() -> Self {
        Self {
            key_id: String::new(),
            label: String::new(),
            scopes: Vec::new(),
            environments: Vec::new(),
            via: Via::Nothing,
        }
    }

    pub(super) fn everybody() -> Self {
        Self {
            scopes: Scope::ALL.to_vec(),
            label: "loopback".into(),
            via: Via::Loopback,
            ..Self::nobody()
        }
    }

    pub(crate) fn with_key(key: &Key) -> Self {
        Self {
            key_id: key.id.clone(),
            label: key.label.clone(),
            scopes: Scope::ALL.into_iter().filter(|scope| key.allows(*scope)).collect(),
            environments: key.environments.clone(),
            via: Via::Key,
        }
    }

    pub(crate) fn with_session(key: &Key, csrf: String) -> Self {
        Self {
            via: Via::Session { csrf },
            ..Self::with_key(key)
        }
    }

    /// How the caller was recognised.
    pub fn via(&self) -> &Via {
        &self.via
    }

    /// Id of the key; empty without one.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What the audit and messages call the caller: the key's label, else its id.
    pub fn name(&self) -> &str {
        if self.label.is_empty() { &self.key_id } else { &self.label }
    }

    /// What the caller may do.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The environments that the caller may see; empty: all.
    pub fn environments(&self) -> &[String] {
        &self.environments
    }

    /// Whether the caller may see this environment.
    pub fn sees(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|allowed| allowed == environment)
    }

    /// Refuses a caller without this scope.
    ///
    /// # Errors
    /// 401 without a key, 403 with one that lacks the scope.
    pub fn check_scope(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(match self.via {
            Via::Nothing => Problem::unauthorized(ASK_FOR_KEY),
            _ => Problem::forbidden(format!("The key lacks the scope {}.", scope.name())),
        })
    }

    /// Refuses a caller who may not see this environment.
    ///
    /// # Errors
    /// 403.
    pub fn check_environment(&self, environment: &str) -> Result<(), Problem> {
        if self.sees(environment) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "The key is limited to other environments than {environment:?}."
        )))
    }

    /// Refuses a caller who is limited to environments, for what counts in all of them.
    ///
    /// # Errors
    /// 403.
    pub fn check_all_environments(&self, what: &str) -> Result<(), Problem> {
        if self.environments.is_empty() {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "{what} counts in every environment of the model: use a key that is not limited to environments."
        )))
    }

    /// The environment to show: the one that was asked for, where the caller may see it. A key that is limited
    /// to one environment need not name it.
    ///
    /// # Errors
    /// 403 for an environment that the caller may not see, 400 where one of several has to be named.
    pub fn environment(&self, asked: Option<String>) -> Result<Option<String>, Problem> {
        match (asked, self.environments.as_slice()) {
            (Some(asked), _) => self.check_environment(&asked).map(|()| Some(asked)),
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some(only.clone())),
            (None, _) => Err(Problem::bad_request(
                "The key is limited to several environments: name one of them.",
            )),
        }
    }
}

/// Handlers of endpoints that need a scope get who asks.
#[derive(Debug, Clone)]
pub struct Asked(pub Arc<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        Ok(Self(caller.unwrap_or_else(|| Arc::new(Caller::nobody()))))
    }
}
