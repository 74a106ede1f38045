//! Driftlead: watches machine-learning models in production and acts when they fail.

mod app;
mod cli;
mod commands;
mod config;
mod demo;
mod engine;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Batches are allocated on one thread and freed on another; the system's allocator keeps what it was given for them.
/// This one gives it back within seconds.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit code of errors; 1 and 3 are answers of `gate` and `demo`.
const ERROR: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("driftlead: a provider of TLS was installed already");
    }
    // The server starts it when its configuration is read.
    if !matches!(command, Command::Serve(_)) {
        telemetry::start();
    }
    let outcome = match command {
        Command::Serve(arguments) => app::serve(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Drift(arguments) => Ok(commands::drift::drift_command(&arguments)),
        Command::Gate(arguments) => Ok(commands::gate::gate_command(&arguments).await),
        Command::CheckData(arguments) => Ok(commands::check_data::check_data_command(&arguments)),
        Command::CheckConfig { config } => commands::check_config::run(&config).map(|()| ExitCode::SUCCESS),
        Command::Reindex(arguments) => commands::reindex::run(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Key(command) => commands::key::run(command).await.map(|()| ExitCode::SUCCESS),
        Command::Engine(arguments) => engine::run(arguments).await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("driftlead: {error:#}");
        ExitCode::from(ERROR)
    })
}
