//! `driftlead check-config`: reads the configuration and its rules and says everything that is wrong.

use std::path::Path;

use crate::config::Config;

/// Checks the file.
///
/// # Errors
/// Everything that is wrong.
pub fn run(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(Some(path), std::env::vars())?;
    config.collector().check()?;
    let rules = driftlead_alerting::check(&config.alerting_settings("127.0.0.1:8080")?, &config.models)?;
    println!("{} is fine: {rules} rules, {} models declared", path.display(), config.models.len());
    Ok(())
}
