//! The collector's way to the keys.

use driftlead_collector::{KeyChecker, KeyGrant, KeyRefusal};
use driftlead_store::state::keys::{KeyRing, Scope};
use futures_util::future::BoxFuture;

/// Checks keys against the state.
pub struct Keys {
    ring: KeyRing,
}

impl Keys {
    /// Over this ring.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }

    async fn judge(&self, secret: Option<&str>) -> Result<KeyGrant, KeyRefusal> {
        let Some(secret) = secret else {
            let open = self.ring.is_open().await.map_err(|_| KeyRefusal::Unavailable)?;
            return if open { Ok(KeyGrant::default()) } else { Err(KeyRefusal::Missing) };
        };
        let key = self.ring.check(secret).await.map_err(|_| KeyRefusal::Unavailable)?;
        match key {
            Some(key) if key.allows(Scope::Ingest) => Ok(KeyGrant {
                key_id: key.id.clone(),
                environments: key.environments.clone(),
            }),
            Some(_) => Err(KeyRefusal::Scope),
            // Without any keys everybody may send; a key that a client still has does no harm.
            None if self.ring.is_open().await.map_err(|_| KeyRefusal::Unavailable)? => Ok(KeyGrant::default()),
            None => Err(KeyRefusal::Unknown),
        }
    }
}

impl KeyChecker for Keys {
    fn check<'a>(&'a self, key: Option<&'a str>) -> BoxFuture<'a, Result<KeyGrant, KeyRefusal>> {
        Box::pin(self.judge(key))
    }

    fn keys_required(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { !self.ring.is_open().await.unwrap_or(false) })
    }
}
