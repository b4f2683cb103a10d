//! The `parans` program: compresses, decompresses, inspects and measures, with the library. It
//! reads its arguments with [`cli`] and [`parse`], reports errors with [`failure`], and has one
//! file per command.

#[cfg(unix)]
mod allocator;
mod base;
mod bench;
mod cli;
mod completions;
mod compress;
mod decompress;
mod device;
mod devices;
mod earlier;
mod escape;
mod extract;
mod failure;
mod identity;
mod input;
mod inspect;
mod man;
mod metadata;
mod names;
mod npy;
mod output;
mod parse;
mod pool;
mod process;
mod progress;
mod rebase;
mod remote;
mod remove;
mod salvage;
mod shards;
mod sparse;
mod temporary;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use parans::{Error, simd::Level};

use cli::{Cli, Command, CommonArgs, FileArgs, InputArgs, ListArgs, ReadArgs, TestArgs};
use earlier::Earlier;
use failure::{Usage, named};
use inspect::{Form, Listing};
use names::Work;

fn main() -> ExitCode {
    process::settle();
    ExitCode::from(match parse::parse() {
        Ok(Some(cli)) => run(cli),
        Ok(None) => 0,
        Err(error) => done(Err(error)),
    })
}

/// Does what the command line says and returns the exit status.
fn run(cli: Cli) -> u8 {
    if let Err(error) = check_environment() {
        return done(Err(error));
    }
    let Cli { command, mode, files } = cli;
    match command {
        Some(Command::Compress(files)) => compress(&files),
        Some(Command::Decompress { files, keep_going }) => decompress(&files, keep_going),
        Some(Command::Test(args)) => test(&args),
        Some(Command::List(ListArgs { input, common })) => list(&input, &common),
        Some(Command::Inspect(args)) => {
            let form = || if args.json { Form::Json } else { Form::Table };
            let paths = names::inputs(&args.input, Work::Read);
            each(paths, &args.common, |path| inspect::inspect(path, form()))
        }
        Some(Command::Extract(args)) => {
            let pool = pool::for_files(args.common.threads, [&args.file]);
            done(pool.and_then(|pool| pool.install(|| extract::extract(&args))))
        }
        Some(Command::Rebase(args)) => {
            let pool = pool::for_files(args.common.threads, [&args.file]);
            done(pool.and_then(|pool| pool.install(|| rebase::rebase(&args))))
        }
        Some(Command::Bench(args)) => done(bench::run(&args)),
        Some(Command::Devices) => done(print(|out| devices::list(out))),
        Some(Command::Completions { shell }) => done(print(|out| completions::write(shell, out))),
        Some(Command::Man { dir: Some(dir), .. }) => done(man::write_all(&dir)),
        Some(Command::Man { command, .. }) => done(print(|out| man::page(command.as_deref(), out))),
        None if files.input.files.is_empty() && io::stdin().is_terminal() => done(parse::help()),
        None if mode.decompress => decompress(&files, false),
        None if mode.test => {
            let FileArgs { input, base, limit, device, common, .. } = files;
            test(&TestArgs { input, read: ReadArgs { base, limit, device, common } })
        }
        None if mode.list => list(&files.input, &files.common),
        None => compress(&files),
    }
}

fn compress(args: &FileArgs) -> u8 {
    let mut earlier = Earlier::default();
    with_outputs(args, Work::Compress, |path| compress::compress(path, args, &mut earlier))
}

fn decompress(args: &FileArgs, keep_going: bool) -> u8 {
    with_outputs(args, Work::Read, |path| decompress::decompress(path, args, keep_going))
}

fn test(args: &TestArgs) -> u8 {
    let paths = names::inputs(&args.input, Work::Read);
    each(paths, &args.read.common, |path| decompress::test(path, &args.read))
}

fn list(input: &InputArgs, common: &CommonArgs) -> u8 {
    let mut listing = Listing::new(common.quiet);
    let paths = names::inputs(input, Work::Read);
    let status = each(paths, common, |path| inspect::inspect(path, Form::Line(&mut listing)));
    status.max(done(print(|out| write!(out, "{}", listing.total()))))
}

/// Runs `work` on every file that `args` name, once it is clear that their outputs are apart.
fn with_outputs(args: &FileArgs, work: Work, f: impl FnMut(&Path) -> Result<()> + Send) -> u8 {
    let paths = names::inputs(&args.input, work);
    identity::note_inputs(paths.iter().flatten());
    match names::prepare(args, &paths, work) {
        Ok(()) => each(paths, &args.common, f),
        Err(error) => done(Err(error)),
    }
}

/// Runs `work` on every file, on one pool of threads. Each failure is reported in a line; the
/// highest status counts.
fn each(
    paths: Vec<Result<PathBuf>>,
    common: &CommonArgs,
    mut work: impl FnMut(&Path) -> Result<()> + Send,
) -> u8 {
    let pool = match pool::for_files(common.threads, paths.iter().flatten()) {
        Ok(pool) => pool,
        Err(error) => return done(Err(error)),
    };
    pool.install(|| {
        let statuses = paths.into_iter().map(|path| done(path.and_then(|path| work(&path))));
        statuses.max().unwrap_or(0)
    })
}

/// Reports a value of `PARANS_SIMD` that the library would not follow.
fn check_environment() -> Result<()> {
    match Level::from_environment() {
        Ok(_) => Ok(()),
        Err(Error::InvalidArgument(text) | Error::Unsupported(text)) => Err(Usage(text).into()),
        Err(error) => Err(error.into()),
    }
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
