//! Keys: who may send, read and act. Only hashes are kept; a secret is shown once, when it is made.
//!
//! A secret is `dl_` and 64 hex digits: 256 random bits, so SHA-256 without salt or stretching is enough and
//! a key is found by its hash. [`KeyRing`] answers from memory and looks at the database again every
//! [`KEY_REFRESH`], which is how long a revoked key may still be taken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Mutex;

use super::key_rates::{KeyRate, RateLimiter};
use super::{State, StateError};
use crate::clock::{Clock, UnixNanos};
use crate::ids::{IdKind, new_id};

/// How old the ring's copy of the keys may be: a key made or revoked by the command line counts this soon.
pub const KEY_REFRESH: Duration = Duration::from_secs(2);

/// Starts every secret, so that scanners for leaked secrets can recognise one.
pub const SECRET_PREFIX: &str = "dl_";

const SECRET_BYTES: usize = 32;

/// What a key may do. `admin` includes everything, `operate` includes `read`; `ingest` stands apart, so that
/// a key in a service's configuration reads nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Send telemetry and outcomes.
    Ingest,
    /// Read everything.
    Read,
    /// Announce deployments, roll back, retrain, silence, upload.
    Operate,
    /// Everything, keys included.
    Admin,
}

impl Scope {
    /// All scopes, in ascending order.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Read, Self::Operate, Self::Admin];

    /// Its name as configuration and API have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    fn includes(self, wanted: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Operate => matches!(wanted, Self::Operate | Self::Read),
            Self::Read | Self::Ingest => self == wanted,
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| format!("{text:?} is not a scope: use ingest, read, operate or admin"))
    }
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its id, `key_…`.
    pub id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The environments that it is limited to; empty: all.
    pub environments: Vec<String>,
    /// How much it may send.
    pub rate: KeyRate,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created_at: UnixNanos,
    /// When it was revoked.
    pub revoked_at: Option<UnixNanos>,
}

impl Key {
    /// Whether the key may do this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| held.includes(scope))
    }

    /// Whether the key may do it in this environment.
    pub fn allows_environment(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|allowed| allowed == environment)
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The environments that it is limited to; empty: all.
    pub environments: Vec<String>,
    /// How much it may send.
    pub rate: KeyRate,
    /// What people call it.
    pub label: String,
}

/// The secret of a new key. Not kept, and not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

impl KeySecret {
    /// The text to give to the person who asked for the key.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

fn hash_of(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

impl State {
    /// Makes a key; its secret is returned this once.
    ///
    /// # Errors
    /// The database fails.
    pub async fn create_key(&self, new: NewKey, now: UnixNanos) -> Result<(Key, KeySecret), StateError> {
        let mut bytes = [0; SECRET_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let secret = KeySecret(format!("{SECRET_PREFIX}{}", hex::encode(bytes)));
        let key = Key {
            id: new_id(IdKind::Key),
            scopes: new.scopes,
            environments: new.environments,
            rate: new.rate,
            label: new.label,
            created_at: now,
            revoked_at: None,
        };
        let insert = "INSERT INTO keys (id, hash, scopes, environments, label, created_at, records_per_second, bytes_per_second)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(insert)
            .bind(&key.id)
            .bind(hash_of(secret.reveal()))
            .bind(serde_json::to_string(&key.scopes)?)
            .bind(serde_json::to_string(&key.environments)?)
            .bind(&key.label)
            .bind(key.created_at.0)
            .bind(key.rate.records_per_second.map(as_bigint))
            .bind(key.rate.bytes_per_second.map(as_bigint))
            .execute(self.pool())
            .await?;
        Ok((key, secret))
    }

    /// The key of this secret, unless it was revoked.
    ///
    /// # Errors
    /// The database fails, or the key does not read back.
    pub async fn check_key(&self, secret: &str) -> Result<Option<Key>, StateError> {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM keys WHERE hash = $1 AND revoked_at IS NULL"
        )))
        .bind(hash_of(secret))
        .fetch_optional(self.pool())
        .await?
        .as_ref()
        .map(read)
        .transpose()
    }

    /// Revokes a key. `false` where there is none of this id that is not revoked.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoke_key(&self, id: &str, now: UnixNanos) -> Result<bool, StateError> {
        let revoked = sqlx::query("UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
            .bind(id)
            .bind(now.0)
            .execute(self.pool())
            .await?;
        Ok(revoked.rows_affected() > 0)
    }

    /// All keys, revoked ones too, oldest first.
    ///
    /// # Errors
    /// The database fails, or a key does not read back.
    pub async fn keys(&self) -> Result<Vec<Key>, StateError> {
        sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id")))
            .fetch_all(self.pool())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Whether any key was ever made. Without one Driftlead serves loopback only, openly; revoking the last one
    /// does not open it again.
    ///
    /// # Errors
    /// The database fails.
    pub async fn has_keys(&self) -> Result<bool, StateError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM keys LIMIT 1").fetch_optional(self.pool()).await?;
        Ok(found.is_some())
    }

    async fn keys_by_hash(&self) -> Result<HashMap<String, Arc<Key>>, StateError> {
        sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM keys WHERE revoked_at IS NULL")))
            .fetch_all(self.pool())
            .await?
            .iter()
            .map(|row| Ok((row.try_get("hash")?, Arc::new(read(row)?))))
            .collect()
    }
}

/// By name: a newer Driftlead may add columns while this one reads.
const COLUMNS: &str = "id, hash, scopes, environments, label, created_at, revoked_at, records_per_second, bytes_per_second";

/// A rate that is beyond what the column holds limits nothing that could be sent.
fn as_bigint(per_second: u64) -> i64 {
    i64::try_from(per_second).unwrap_or(i64::MAX)
}

fn read(row: &SqliteRow) -> Result<Key, StateError> {
    let limit = |column| Ok::<_, StateError>(row.try_get::<Option<i64>, _>(column)?.map(i64::unsigned_abs));
    Ok(Key {
        id: row.try_get("id")?,
        scopes: serde_json::from_str(row.try_get("scopes")?)?,
        environments: serde_json::from_str(row.try_get("environments")?)?,
        rate: KeyRate {
            records_per_second: limit("records_per_second")?,
            bytes_per_second: limit("bytes_per_second")?,
        },
        label: row.try_get("label")?,
        created_at: UnixNanos(row.try_get("created_at")?),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(UnixNanos),
    })
}

/// The keys in memory, for checks on every request, and what each has sent. Clones share both.
#[derive(Debug, Clone)]
pub struct KeyRing {
    state: State,
    clock: Clock,
    rates: RateLimiter,
    copy: Arc<Mutex<Option<Copy>>>,
}

#[derive(Debug, Clone)]
struct Copy {
    read_at: UnixNanos,
    by_hash: Arc<HashMap<String, Arc<Key>>>,
    /// No key was ever made.
    is_open: bool,
}

impl KeyRing {
    /// A ring over these keys.
    pub fn new(state: State, clock: Clock) -> Self {
        Self {
            state,
            clock,
            rates: RateLimiter::default(),
            copy: Arc::new(Mutex::new(None)),
        }
    }

    /// The key of this secret, unless it was revoked more than [`KEY_REFRESH`] ago.
    ///
    /// # Errors
    /// The database fails.
    pub async fn check(&self, secret: &str) -> Result<Option<Arc<Key>>, StateError> {
        Ok(self.fresh().await?.by_hash.get(&hash_of(secret)).cloned())
    }

    /// The key of this id, unless it was revoked more than [`KEY_REFRESH`] ago.
    ///
    /// # Errors
    /// The database fails.
    pub async fn get(&self, id: &str) -> Result<Option<Arc<Key>>, StateError> {
        Ok(self.fresh().await?.by_hash.values().find(|key| key.id == id).cloned())
    }

    /// Whether no key was ever made, so that everything on loopback is allowed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_open(&self) -> Result<bool, StateError> {
        Ok(self.fresh().await?.is_open)
    }

    /// Whether the key has kept to its rate so far.
    ///
    /// # Errors
    /// How long it has to wait before it may send again.
    pub fn within_rate(&self, key: &Key) -> Result<(), Duration> {
        self.rates.check(&key.id, key.rate, Instant::now())
    }

    /// Counts what a key sent.
    pub fn charge(&self, key_id: &str, rate: KeyRate, records: u64, bytes: u64) {
        self.rates.charge(key_id, rate, records, bytes, Instant::now());
    }

    /// Forgets the copy: a change that this process made counts at once.
    pub async fn refresh(&self) {
        *self.copy.lock().await = None;
    }

    async fn fresh(&self) -> Result<Copy, StateError> {
        let now = self.clock.now();
        let mut copy = self.copy.lock().await;
        if let Some(copy) = copy.as_ref()
            && (0.0..KEY_REFRESH.as_secs_f64()).contains(&now.seconds_since(copy.read_at))
        {
            return Ok(copy.clone());
        }
        let read = Copy {
            read_at: now,
            by_hash: Arc::new(self.state.keys_by_hash().await?),
            is_open: !self.state.has_keys().await?,
        };
        *copy = Some(read.clone());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn state(folder: &tempfile::TempDir) -> State {
        State::open(&folder.path().join("state.db")).await.unwrap()
    }

    fn new_key(scopes: &[Scope]) -> NewKey {
        NewKey {
            scopes: scopes.to_vec(),
            environments: vec!["production".into()],
            rate: KeyRate {
                records_per_second: Some(100),
                bytes_per_second: None,
            },
            label: "ci".into(),
        }
    }

    #[test]
    fn scopes_include_what_they_should_and_no_more() {
        use Scope::{Admin, Ingest, Operate, Read};
        for (held, allowed) in [
            (vec![Ingest], vec![Ingest]),
            (vec![Read], vec![Read]),
            (vec![Operate], vec![Read, Operate]),
            (vec![Admin], vec![Ingest, Read, Operate, Admin]),
            (vec![Ingest, Read], vec![Ingest, Read]),
            (vec![], vec![]),
        ] {
            let key = Key {
                id: String::new(),
                scopes: held.clone(),
                environments: Vec::new(),
                rate: KeyRate::default(),
                label: String::new(),
                created_at: UnixNanos(0),
                revoked_at: None,
            };
            let actual: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| key.allows(*scope)).collect();
            assert_eq!(actual, allowed, "{held:?}");
        }
    }

    #[tokio::test]
    async fn a_key_is_known_by_its_secret_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder).await;
        assert!(!state.has_keys().await.unwrap());
        let (key, secret) = state.create_key(new_key(&[Scope::Read]), UnixNanos(1)).await.unwrap();
        assert_eq!(secret.reveal().len(), SECRET_PREFIX.len() + 2 * SECRET_BYTES);
        assert_eq!(state.check_key(secret.reveal()).await.unwrap(), Some(key.clone()));
        assert!(key.allows_environment("production") && !key.allows_environment("staging"));
        for wrong in ["", "dl_", &secret.reveal().to_uppercase(), &format!("{} ", secret.reveal())] {
            assert_eq!(state.check_key(wrong).await.unwrap(), None, "{wrong:?}");
        }
        assert!(state.revoke_key(&key.id, UnixNanos(2)).await.unwrap());
        assert!(!state.revoke_key(&key.id, UnixNanos(3)).await.unwrap());
        assert_eq!(state.check_key(secret.reveal()).await.unwrap(), None);
        assert_eq!(state.keys().await.unwrap()[0].revoked_at, Some(UnixNanos(2)));
        assert!(state.has_keys().await.unwrap(), "revoking the last key opens nothing");
    }

    #[tokio::test]
    async fn the_file_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(&folder).await;
        let (_, secret) = state.create_key(new_key(&[Scope::Admin]), UnixNanos(1)).await.unwrap();
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        state.close().await;
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let secret = &secret.reveal().as_bytes()[SECRET_PREFIX.len()..];
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }

    #[tokio::test]
    async fn keys_are_read_while_a_newer_process_adds_columns() {
        let folder = tempfile::tempdir().unwrap();
        let (here, elsewhere) = (state(&folder).await, state(&folder).await);
        let (key, secret) = here.create_key(new_key(&[Scope::Read]), UnixNanos(1)).await.unwrap();
        let read = async || (here.keys().await.unwrap(), here.check_key(secret.reveal()).await.unwrap());
        assert_eq!(read().await, (vec![key.clone()], Some(key.clone())));
        sqlx::query("ALTER TABLE keys ADD COLUMN later TEXT")
            .execute(elsewhere.pool())
            .await
            .unwrap();
        assert_eq!(read().await, (vec![key.clone()], Some(key)));
    }

    #[tokio::test]
    async fn the_ring_sees_what_another_process_changed_within_its_refresh() {
        let folder = tempfile::tempdir().unwrap();
        let (here, elsewhere) = (state(&folder).await, state(&folder).await);
        let clock = Clock::manual(UnixNanos::from_seconds(1_000));
        let ring = KeyRing::new(here, clock.clone());
        assert!(ring.is_open().await.unwrap());
        let (key, secret) = elsewhere.create_key(new_key(&[Scope::Read]), UnixNanos(1)).await.unwrap();
        clock.set(UnixNanos::from_seconds(1_002));
        assert_eq!(*ring.check(secret.reveal()).await.unwrap().unwrap(), key);
        elsewhere.revoke_key(&key.id, UnixNanos(2)).await.unwrap();
        clock.set(UnixNanos::from_seconds(1_004));
        assert_eq!(ring.check(secret.reveal()).await.unwrap(), None);
        assert!(!ring.is_open().await.unwrap());
    }
}
