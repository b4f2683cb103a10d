//! The `parans` program.

mod bench;

use clap::Parser;

/// Entropy coding of files and tensors with parallel ANS.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Time coding on this machine
    Bench(bench::BenchArgs),
}

fn main() -> std::process::ExitCode {
    let Command::Bench(args) = Command::parse();
    match bench::run(&args) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parans: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
