//! `boatyard`: the server and every client command in one binary.

mod args;
mod commands;
mod demo;
mod failure;
mod kubeconfig;
mod local;
mod output;
mod progress;
mod server;
mod terminal;
mod time;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // clap itself prints help and usage errors and ends with 0 or 2.
    let command = args::Cli::parse().command;
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
