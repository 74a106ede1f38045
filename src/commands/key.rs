//! `driftlead key new`: makes an API key. The key is printed once; only its hash is kept.

use anyhow::{Context, anyhow};
use driftlead_store::clock::Clock;
use driftlead_store::state::State;
use driftlead_store::state::keys::NewKey;

use crate::cli::KeyCommand;

/// Makes the key.
///
/// # Errors
/// A scope is unknown, or the state cannot be opened.
pub async fn run(command: KeyCommand) -> anyhow::Result<()> {
    let KeyCommand::New {
        scopes,
        environments,
        label,
        data,
    } = command;
    let scopes = scopes
        .iter()
        .map(|scope| scope.parse())
        .collect::<Result<_, String>>()
        .map_err(|error| anyhow!(error))?;
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let state = State::open(&data.join("state.db")).await?;
    let (key, secret) = state
        .create_key(
            NewKey {
                scopes,
                environments,
                label,
            },
            Clock::System.now(),
        )
        .await?;
    eprintln!("{} is made; this is shown once:", key.id);
    println!("{}", secret.reveal());
    Ok(())
}
