//! The collector's way to the keys.

use driftlead_collector::{KeyChecker, KeyGrant, KeyRefusal};
use driftlead_store::state::StateError;
use driftlead_store::state::keys::{KeyRing, Scope};
use futures_util::future::BoxFuture;

/// Checks keys against the state.
pub struct Keys {
    ring: KeyRing,
    /// Whether only this machine can send.
    loopback_only: bool,
}

impl Keys {
    /// Over this ring. Where others than this machine can send, nobody is let in without a key, not even when
    /// the last one was revoked.
    pub fn new(ring: KeyRing, loopback_only: bool) -> Self {
        Self { ring, loopback_only }
    }

    /// Whether everybody may send.
    async fn is_open(&self) -> Result<bool, StateError> {
        Ok(self.loopback_only && self.ring.is_open().await?)
    }

    async fn judge(&self, secret: Option<&str>) -> Result<KeyGrant, KeyRefusal> {
        let Some(secret) = secret else {
            let open = self.is_open().await.map_err(|_| KeyRefusal::Unavailable)?;
            return if open { Ok(KeyGrant::default()) } else { Err(KeyRefusal::Missing) };
        };
        let key = self.ring.check(secret).await.map_err(|_| KeyRefusal::Unavailable)?;
        match key {
            Some(key) if key.allows(Scope::Ingest) => match self.ring.within_rate(&key) {
                Ok(()) => Ok(KeyGrant {
                    key_id: key.id.clone(),
                    environments: key.environments.clone(),
                    rate: key.rate,
                }),
                Err(wait) => Err(KeyRefusal::TooFast { wait }),
            },
            Some(_) => Err(KeyRefusal::Scope),
            // Without any keys everybody may send; a key that a client still has does no harm.
            None if self.is_open().await.map_err(|_| KeyRefusal::Unavailable)? => Ok(KeyGrant::default()),
            None => Err(KeyRefusal::Unknown),
        }
    }
}

impl KeyChecker for Keys {
    fn check<'a>(&'a self, key: Option<&'a str>) -> BoxFuture<'a, Result<KeyGrant, KeyRefusal>> {
        Box::pin(self.judge(key))
    }

    fn keys_required(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { !self.is_open().await.unwrap_or(false) })
    }

    fn charge(&self, grant: &KeyGrant, records: u64, bytes: u64) {
        self.ring.charge(&grant.key_id, grant.rate, records, bytes);
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::clock::Clock;
    use driftlead_store::state::State;

    use super::*;

    #[tokio::test]
    async fn without_keys_only_this_machine_may_send() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).await.unwrap();
        for (loopback_only, unknown, missing) in [
            (true, Ok(KeyGrant::default()), Ok(KeyGrant::default())),
            (false, Err(KeyRefusal::Unknown), Err(KeyRefusal::Missing)),
        ] {
            let keys = Keys::new(KeyRing::new(state.clone(), Clock::System), loopback_only);
            assert_eq!(keys.check(Some("dl_revoked")).await, unknown, "loopback only: {loopback_only}");
            assert_eq!(keys.check(None).await, missing, "loopback only: {loopback_only}");
            assert_eq!(keys.keys_required().await, !loopback_only);
        }
    }
}
