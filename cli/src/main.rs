//! The `parans` program: compresses, decompresses, inspects and measures. A thin face of the library: arguments in
//! [`cli`], errors out in [`failure`], and a file for each command.

#[cfg(unix)]
mod allocator;
mod bench;
mod cli;
mod compress;
mod decompress;
mod devices;
mod failure;
mod identity;
mod input;
mod inspect;
mod metadata;
mod output;
mod process;
mod progress;
mod remove;
mod temporary;
mod threads;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::{CommandFactory, Parser};

use cli::{Cli, Command, CommonArgs, FileArgs};
use failure::{Usage, named};
use inspect::Form;

fn main() -> ExitCode {
    process::settle();
    ExitCode::from(run(Cli::parse()))
}

/// Does what the command line says and returns the exit status.
fn run(cli: Cli) -> u8 {
    let Cli { command, mode, files } = cli;
    match command {
        Some(Command::Compress(files)) => each(&files, |path| compress::compress(path, &files)),
        Some(Command::Decompress { files, keep_going }) => {
            each(&files, |path| decompress::decompress(path, &files, keep_going))
        }
        Some(Command::Test(files)) => each(&files, |path| decompress::test(path, &files)),
        Some(Command::Inspect(args)) => {
            let form = if args.json { Form::Json } else { Form::Table };
            let files = FileArgs { files: args.files, common: args.common, ..FileArgs::default() };
            each(&files, |path| inspect::inspect(path, form))
        }
        Some(Command::Extract(args)) => done(in_pool(&args.common, || decompress::extract(&args))),
        Some(Command::Bench(args)) => done(bench::run(&args)),
        Some(Command::Devices) => done(print(|out| devices::list(out))),
        Some(Command::Completions { shell }) => done(print(|out| {
            clap_complete::generate(shell, &mut Cli::command(), "parans", out);
            Ok(())
        })),
        Some(Command::Man) => done(print(|out| clap_mangen::Man::new(Cli::command()).render(out))),
        None if files.files.is_empty() && io::stdin().is_terminal() => {
            done(print(|out| write!(out, "{}", Cli::command().render_help())))
        }
        None if mode.decompress => each(&files, |path| decompress::decompress(path, &files, false)),
        None if mode.test => each(&files, |path| decompress::test(path, &files)),
        None if mode.list => each(&files, |path| inspect::inspect(path, Form::Line)),
        None => each(&files, |path| compress::compress(path, &files)),
    }
}

/// Runs `work` on every file, each failure told in a line; the highest status counts.
fn each(files: &FileArgs, work: impl Fn(&Path) -> Result<()> + Sync) -> u8 {
    let stdin = [PathBuf::from("-")];
    let paths = if files.files.is_empty() { &stdin[..] } else { &files.files };
    if files.output.is_some() && paths.len() > 1 {
        return done(Err(Usage("-o takes a single input file".into()).into()));
    }
    identity::note_inputs(paths);
    paths.iter().map(|path| done(in_pool(&files.common, || work(path)))).max().unwrap_or(0)
}

/// Runs `work` in a pool of as many threads as asked for.
fn in_pool(common: &CommonArgs, work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    threads::pool(common.threads)?.install(work)
}

/// Tells an error and returns the exit status.
fn done(result: Result<()>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            #[cfg(unix)]
            if failure::is_broken_pipe(&error) {
                process::end_by_broken_pipe();
            }
            // Nobody to tell is no reason to fail differently.
            let _ = writeln!(io::stderr(), "parans: {}", failure::line(&error));
            failure::status(&error)
        }
    }
}

/// Prints what `write` makes to standard output.
fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<()> {
    let mut text = Vec::new();
    write(&mut text)?;
    let written = process::stdout().and_then(|mut stdout| stdout.write_all(&text));
    Ok(written.map_err(|error| named(error, "cannot write standard output"))?)
}
