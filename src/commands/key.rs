//! `driftlead key new | list | revoke`: API keys. A key is printed once; only its hash is kept.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use driftlead_store::clock::Clock;
use driftlead_store::state::State;
use driftlead_store::state::audit::AuditEntry;
use driftlead_store::state::key_rates::KeyRate;
use driftlead_store::state::keys::{Key, NewKey, Scope};

use crate::cli::KeyCommand;

/// Who the audit names: whoever can open the data folder.
const ACTOR: &str = "command line";

/// Does what is asked.
///
/// # Errors
/// A scope is unknown, there is no such key, or the state cannot be opened.
pub async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::New {
            scopes,
            environments,
            label,
            records_per_second,
            bytes_per_second,
            data,
        } => {
            let rate = KeyRate {
                records_per_second,
                bytes_per_second,
            };
            make(scopes, environments, label, rate, &data).await
        }
        KeyCommand::List { data } => {
            for key in open(&data).await?.keys().await? {
                println!("{}", line(&key));
            }
            Ok(())
        }
        KeyCommand::Revoke { id, data } => revoke(&id, &data).await,
    }
}

async fn make(scopes: Vec<String>, environments: Vec<String>, label: String, rate: KeyRate, data: &Path) -> anyhow::Result<()> {
    let scopes = scopes
        .iter()
        .map(|scope| scope.parse())
        .collect::<Result<_, String>>()
        .map_err(|error| anyhow!(error))?;
    std::fs::create_dir_all(data).with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let state = State::open(&data.join("state.db")).await?;
    let new = NewKey {
        scopes,
        environments,
        rate,
        label,
    };
    let (key, secret) = state.create_key(new, Clock::System.now()).await?;
    record(&state, "key.new", &key.id).await?;
    eprintln!("{} is made; this is shown once:", key.id);
    println!("{}", secret.reveal());
    Ok(())
}

async fn revoke(id: &str, data: &Path) -> anyhow::Result<()> {
    let state = open(data).await?;
    if !state.revoke_key(id, Clock::System.now()).await? {
        bail!("there is no key {id} that is not revoked: `driftlead key list` shows all");
    }
    record(&state, "key.revoke", id).await?;
    eprintln!("{id} is revoked; a running server takes it no more within seconds");
    Ok(())
}

/// Listing or revoking keys must not make a data folder where there is none.
async fn open(data: &Path) -> anyhow::Result<State> {
    let file = data.join("state.db");
    if !file.exists() {
        bail!("there is no data folder at {}: name it with --data", data.display());
    }
    Ok(State::open(&file).await?)
}

async fn record(state: &State, action: &str, id: &str) -> anyhow::Result<()> {
    let entry = AuditEntry {
        at: Clock::System.now(),
        actor: ACTOR.to_owned(),
        action: action.to_owned(),
        subject: id.to_owned(),
        details: serde_json::json!({}),
    };
    Ok(state.record_audit(&entry).await?)
}

/// One key a line, tab-separated: id, scopes, environments, how much it may send, when it was made, until when it counted, label.
fn line(key: &Key) -> String {
    let scopes: Vec<&str> = key.scopes.iter().copied().map(Scope::name).collect();
    let environments = if key.environments.is_empty() {
        "all environments".to_owned()
    } else {
        key.environments.join(",")
    };
    let state = key.revoked_at.map_or_else(|| "valid".to_owned(), |at| format!("revoked {at}"));
    [
        key.id.clone(),
        scopes.join(","),
        environments,
        rate_text(key.rate),
        key.created_at.to_string(),
        state,
        key.label.clone(),
    ]
    .join("\t")
}

fn rate_text(rate: KeyRate) -> String {
    let limits = [(rate.records_per_second, "records/s"), (rate.bytes_per_second, "bytes/s")];
    let stated: Vec<String> = limits
        .into_iter()
        .filter_map(|(limit, unit)| limit.map(|limit| format!("{limit} {unit}")))
        .collect();
    if stated.is_empty() {
        "any rate".to_owned()
    } else {
        stated.join(",")
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::clock::UnixNanos;

    use super::*;

    #[tokio::test]
    async fn a_key_is_listed_and_revoked_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(revoke("key_1", &data).await.unwrap_err().to_string().contains("--data"));
        assert!(!data.exists());
        let rate = KeyRate {
            records_per_second: Some(5),
            bytes_per_second: None,
        };
        make(vec!["read".into()], vec!["production".into()], "ci".into(), rate, &data)
            .await
            .unwrap();
        let state = open(&data).await.unwrap();
        let key = state.keys().await.unwrap().remove(0);
        assert!(
            line(&key).ends_with("\tvalid\tci") && line(&key).contains("\t5 records/s\t"),
            "{}",
            line(&key)
        );
        revoke(&key.id, &data).await.unwrap();
        assert!(revoke(&key.id, &data).await.unwrap_err().to_string().contains("key list"));
        let audit = state.audit_entries(10).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["key.revoke", "key.new"]);
    }

    #[test]
    fn a_line_says_all_but_the_secret() {
        let key = Key {
            id: "key_1".into(),
            scopes: vec![Scope::Read, Scope::Ingest],
            environments: vec![],
            rate: KeyRate::default(),
            label: "ci".into(),
            created_at: UnixNanos(0),
            revoked_at: Some(UnixNanos(0)),
        };
        let expected = "key_1\tread,ingest\tall environments\tany rate\t1970-01-01T00:00:00Z\trevoked 1970-01-01T00:00:00Z\tci";
        assert_eq!(line(&key), expected);
    }
}
