//! `parans decompress`, `parans test` and `parans extract`.

use std::{
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    slice,
    sync::mpsc::sync_channel,
};

use anyhow::{Context, Result};
use parans::frame::{Damage, FrameArchive, FrameReader, ReadOptions, Summary};

use crate::{
    cli::{ExtractArgs, FileArgs},
    compress::SUFFIX,
    failure::{Lossy, Usage, named},
    identity,
    input::{Input, ReadAhead, is_stdin, refuse_device},
    output::{Output, Wish},
    progress::{Progress, report},
    remove::{check_wish, remove},
};

/// Bytes of content handed to the writing thread at once.
const PIECE: usize = 1 << 20;

/// Decompresses one file.
pub(crate) fn decompress(path: &Path, args: &FileArgs, keep_going: bool) -> Result<()> {
    check_wish(path, args)?;
    refuse_device(path, args.force)?;
    let input = Input::open(path)?;
    input.refuse_terminal()?;
    // A foreign file is told before anything is said about names.
    let target = target(path, args);
    if target.is_err() {
        check_magic(&input)?;
    }
    let output = match target? {
        Some(target) => {
            check_magic(&input)?;
            Output::file(&target, Wish::new(&input, args))?
        }
        // Content may be text: it is the user's choice to see it.
        None => Output::stdout(args.force || args.stdout || args.output.is_some())?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let (output, summary, damage, seconds) = run(&input, output, args, keep_going)?;
    output.commit()?;
    if !quiet {
        report(&input.path, summary.frame, summary.content, summary.content, seconds);
    }
    if !damage.is_empty() {
        tell(&input.path, &damage);
        return Err(Lossy(damage.len())).with_context(|| input.path.display().to_string());
    }
    if args.rm { remove(&input, args) } else { Ok(()) }
}

/// Checks one file.
pub(crate) fn test(path: &Path, args: &FileArgs) -> Result<()> {
    refuse_device(path, args.force)?;
    let input = Input::open(path)?;
    input.refuse_terminal()?;
    let (_, summary, _, seconds) = run(&input, Output::nowhere(), args, false)?;
    if !args.common.quiet {
        report(&input.path, summary.frame, summary.content, summary.content, seconds);
    }
    Ok(())
}

/// The file that the content of `path` goes to; none is standard output.
fn target(path: &Path, args: &FileArgs) -> Result<Option<PathBuf>> {
    match &args.output {
        Some(output) if is_stdin(output) => Ok(None),
        Some(output) => Ok(Some(output.clone())),
        None if args.stdout || is_stdin(path) => Ok(None),
        None if path.extension().is_some_and(|extension| extension == SUFFIX) => {
            Ok(Some(path.with_extension("")))
        }
        None => Err(Usage(format!(
            "{}: not named .{SUFFIX}: say with -o or -c where it goes",
            path.display()
        ))
        .into()),
    }
}

/// Refuses a file that begins otherwise than a frame, before its output is thought of.
fn check_magic(input: &Input) -> Result<()> {
    let Some(file) = input.file().filter(|_| input.length().is_some()) else { return Ok(()) };
    let mut head = Vec::new();
    let mut copy = file;
    copy.take(8).read_to_end(&mut head).map_err(|error| named(error, input.path.display()))?;
    io::Seek::rewind(&mut copy).map_err(|error| named(error, input.path.display()))?;
    if !head.is_empty() && !parans::frame::is_frame(&head) {
        let error =
            parans::Error::Unsupported("not a parans frame: its first bytes are others".into());
        return Err(error).with_context(|| input.path.display().to_string());
    }
    Ok(())
}

fn tell(path: &Path, damage: &[Damage]) {
    for Damage { chunk, content, reason } in damage {
        let lost = match content.end {
            u64::MAX => format!("bytes from {} on", content.start),
            _ if content.is_empty() => "no bytes".into(),
            end => format!("bytes {}..{end}", content.start),
        };
        let _ = writeln!(
            io::stderr(),
            "parans: {}: lost {lost} at chunk {chunk}: {reason}",
            path.display()
        );
    }
}

/// Decodes `input` into `output`, which another thread writes where one can be had.
fn run(
    input: &Input,
    mut output: Output,
    args: &FileArgs,
    keep_going: bool,
) -> Result<(Output, Summary, Vec<Damage>, f64)> {
    let mut progress = Progress::new(&input.path, input.length(), &args.common);
    let max_content = args.max_output.unwrap_or(u64::MAX);
    let options = ReadOptions { keep_going, max_content };
    let mut decode = |give: &mut dyn FnMut(Vec<u8>) -> bool| {
        input.read_ahead(|ahead| {
            let mut reader = FrameReader::new(BufReader::new(ahead), options.clone());
            decode(&mut reader, give, &mut progress)
                .map(|()| (reader.summary(), reader.damage().to_vec()))
        })
    };
    let threaded = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<u8>>(4);
        let write = || receiver.into_iter().try_for_each(|piece| output.write_all(&piece));
        let thread = std::thread::Builder::new().name("writer".into());
        let writer = thread.spawn_scoped(scope, write).ok()?;
        // A writer that went away has an error of its own, which says more.
        let decoded = decode(&mut |piece| sender.send(piece).is_ok());
        drop(sender);
        Some((decoded, writer.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))))
    });
    let (decoded, written) = threaded.unwrap_or_else(|| {
        let mut written = Ok(());
        let decoded = decode(&mut |piece| {
            written = output.write_all(&piece);
            written.is_ok()
        });
        (decoded, written)
    });
    // What stopped the writer explains more than what the reader met afterwards.
    written?;
    let (summary, damage) = decoded.with_context(|| input.path.display().to_string())?;
    Ok((output, summary, damage, progress.done()))
}

/// Gives the content in pieces to `give`, as long as it returns `true`.
fn decode(
    reader: &mut FrameReader<BufReader<ReadAhead>>,
    give: &mut dyn FnMut(Vec<u8>) -> bool,
    progress: &mut Progress,
) -> Result<()> {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        reader.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(library_error)?;
        if piece.is_empty() || !give(piece) {
            return Ok(());
        }
        progress.at(reader.summary().frame);
    }
}

/// Takes the library's error out of the input-output error that carries it.
fn library_error(error: io::Error) -> anyhow::Error {
    match error.downcast::<parans::Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}

/// Decodes one tensor or range.
pub(crate) fn extract(args: &ExtractArgs) -> Result<()> {
    identity::note_inputs(slice::from_ref(&args.file));
    let input = Input::open(&args.file)?;
    let name = || input.path.display().to_string();
    let (Some(file), Some(_)) = (input.file(), input.length()) else {
        return Err(Usage(
            "extract needs a file: what it skips cannot be skipped in a pipe".into(),
        )
        .into());
    };
    let mut archive = FrameArchive::open(BufReader::new(file)).with_context(name)?;
    let content = match (&args.bytes, &args.name) {
        (Some(range), _) => range.start..range.end,
        (None, Some(tensor)) => match archive.entry(tensor) {
            Some(entry) => entry.offset..entry.end(),
            None => {
                let text = format!("no tensor is named {tensor:?}; `parans inspect` lists them");
                return Err(Usage(text)).with_context(name);
            }
        },
        (None, None) => return Err(Usage("say which tensor or which bytes".into()).into()),
    };
    let mut output = match &args.output {
        Some(output) if !is_stdin(output) => Output::file(output, Wish::plain(args.force))?,
        _ => Output::stdout(args.force)?,
    };
    archive.copy_range(content, &mut output).with_context(name)?;
    output.commit()
}

/// Reads a whole stream for its indexes alone.
pub(crate) fn indexes(ahead: ReadAhead) -> Result<(Summary, Vec<parans::frame::Index>)> {
    let mut reader = FrameReader::new(BufReader::new(ahead), ReadOptions::default());
    let summary = reader.copy_to(&mut io::sink())?;
    Ok((summary, reader.indexes().to_vec()))
}
