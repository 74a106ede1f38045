//! Sessions of people: opened with a key, kept in memory, known by a cookie that no script can read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use driftlead_store::clock::UnixNanos;
use rand::RngCore;
use sha2::{Digest, Sha256};

/// The cookie's name.
pub(crate) const COOKIE: &str = "driftlead_session";
/// A session ends this long after it was opened: a working day.
pub(crate) const SESSION_SECONDS: i64 = 12 * 3_600;
/// Sessions kept at once; the one opened first gives way. Far more people than one installation has.
const MAX_SESSIONS: usize = 10_000;
const TOKEN_BYTES: usize = 32;

/// An open session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The key that opened it; revoked, the session ends too.
    pub key_id: String,
    /// What changes have to carry.
    pub csrf: String,
    opened_at: UnixNanos,
}

/// The sessions, by the hash of their token.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session and returns its token.
    pub fn open(&self, key_id: &str, now: UnixNanos) -> (String, Session) {
        let (token, csrf) = (random(), random());
        let session = Session {
            key_id: key_id.to_owned(),
            csrf,
            opened_at: now,
        };
        let mut open = self.lock();
        open.retain(|_, session| !is_over(session, now));
        if open.len() >= MAX_SESSIONS
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.opened_at).map(|(hash, _)| *hash)
        {
            open.remove(&oldest);
        }
        open.insert(hash_of(&token), session.clone());
        (token, session)
    }

    /// The session of a token, unless it is over.
    pub fn find(&self, token: &str, now: UnixNanos) -> Option<Session> {
        self.lock().get(&hash_of(token)).filter(|session| !is_over(session, now)).cloned()
    }

    /// Ends a session.
    pub fn close(&self, token: &str) {
        self.lock().remove(&hash_of(token));
    }
}

fn is_over(session: &Session, now: UnixNanos) -> bool {
    !(0.0..SESSION_SECONDS as f64).contains(&now.seconds_since(session.opened_at))
}

fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn random() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// The token in a request's cookies.
pub(crate) fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_token_until_it_is_over_or_closed() {
        let sessions = Sessions::default();
        let opened = UnixNanos::from_seconds(1_000);
        let (token, session) = sessions.open("key_1", opened);
        let found = |at| sessions.find(&token, at).map(|session| session.csrf);
        assert_eq!(found(opened), Some(session.csrf.clone()));
        assert_eq!(found(opened.plus_seconds(SESSION_SECONDS - 1)), Some(session.csrf));
        assert_eq!(found(opened.plus_seconds(SESSION_SECONDS)), None);
        assert!(sessions.find("other", opened).is_none());
        sessions.close(&token);
        assert_eq!(found(opened), None);
    }

    #[test]
    fn sessions_are_bounded() {
        let sessions = Sessions::default();
        let (first, _) = sessions.open("key_1", UnixNanos::from_seconds(0));
        for second in 0..MAX_SESSIONS {
            sessions.open("key_1", UnixNanos::from_seconds(second as i64 / 1_000 + 1));
        }
        assert!(sessions.lock().len() <= MAX_SESSIONS);
        assert!(sessions.find(&first, UnixNanos::from_seconds(20)).is_none());
    }
}
