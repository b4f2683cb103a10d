//! `parans decompress`, `parans test` and `parans extract`.

use std::{
    fs,
    io::{self, BufReader, Read, Seek, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use parans::frame::{Damage, FrameArchive, FrameReader, FrameSalvage, Loss, ReadOptions, Summary};

use crate::{
    cli::{CommonArgs, ExtractArgs, FileArgs},
    compress::SUFFIX,
    failure::{Lossy, Usage, named},
    input::{Input, ReadAhead, is_stdin},
    output::Output,
    progress::{Progress, report},
};

/// Bytes of content handed to the writing thread at once.
const PIECE: usize = 1 << 20;
/// Bytes of a pipe to keep in memory before they go to a temporary file.
const SPOOL: usize = 64 << 20;

/// Decompresses one file.
pub(crate) fn decompress(path: &Path, args: &FileArgs, keep_going: bool) -> Result<()> {
    let mut input = Input::open(path)?;
    input.refuse_terminal()?;
    // A foreign file is told before anything is said about names.
    let target = target(path, args);
    if target.is_err() {
        check_magic(&input)?;
    }
    let output = match target? {
        Some(target) => {
            if !keep_going {
                check_magic(&input)?;
            }
            Output::file(&target, args.force)?
        }
        // Content may be text: it is the user's choice to see it.
        None => Output::stdout(args.force || args.stdout || args.output.is_some())?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let (output, summary, damage, seconds) = if keep_going {
        save(&mut input, output)?
    } else {
        let (output, summary, seconds) = run(&mut input, output, &args.common)?;
        (output, summary, Vec::new(), seconds)
    };
    output.commit(input.metadata.as_ref())?;
    if !quiet {
        report(&input.path, summary.frame, summary.content, summary.content, seconds);
    }
    if !damage.is_empty() {
        tell(&input.path, &damage);
        return Err(Lossy(damage.len())).with_context(|| input.path.display().to_string());
    }
    if args.rm && !is_stdin(path) {
        fs::remove_file(path).map_err(|error| named(error, path.display()))?;
    }
    Ok(())
}

/// Checks one file.
pub(crate) fn test(path: &Path, common: &CommonArgs) -> Result<()> {
    let mut input = Input::open(path)?;
    input.refuse_terminal()?;
    let (_, summary, seconds) = run(&mut input, Output::nowhere(), common)?;
    if !common.quiet {
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
    for Damage { frame, chunk, output, loss, reason, .. } in damage {
        let Range { start, end } = output;
        let lost = match loss {
            Loss::Nothing => format!("lost no bytes of frame {frame}"),
            Loss::Zeros => format!("lost bytes {start}..{end}"),
            Loss::Omitted(n) => format!("lost {n} bytes at byte {start}, left out"),
            Loss::Doubtful => format!("not sure of bytes {start}..{end}"),
            _ => format!("lost an unknown number of bytes at byte {start}"),
        };
        let place = match chunk {
            Some(chunk) if *frame > 0 => format!(" at chunk {chunk} of frame {frame}"),
            Some(chunk) => format!(" at chunk {chunk}"),
            None => String::new(),
        };
        let _ = writeln!(io::stderr(), "parans: {}: {lost}{place}: {reason}", path.display());
    }
}

/// Saves what is whole of `input` in `output`. A pipe is copied to a temporary file first: salvage looks at a file from
/// both ends.
fn save(input: &mut Input, mut output: Output) -> Result<(Output, Summary, Vec<Damage>, f64)> {
    let begin = Instant::now();
    let name = input.path.display().to_string();
    let (summary, damage) = match input.file().filter(|_| input.length().is_some()) {
        Some(file) => salvage(file, &mut output),
        None => {
            let mut copy = tempfile::spooled_tempfile(SPOOL);
            input.read_ahead(|mut ahead| io::copy(&mut ahead, &mut copy))?;
            salvage(copy, &mut output)
        }
    }
    .context(name)?;
    Ok((output, summary, damage, begin.elapsed().as_secs_f64()))
}

fn salvage(input: impl Read + Seek, output: &mut Output) -> Result<(Summary, Vec<Damage>)> {
    let mut salvage = FrameSalvage::new(input, ReadOptions::default())?;
    let summary = salvage.copy_to(output)?;
    Ok((summary, salvage.damage().to_vec()))
}

/// Decodes `input` into `output`, which another thread writes.
fn run(
    input: &mut Input,
    mut output: Output,
    common: &CommonArgs,
) -> Result<(Output, Summary, f64)> {
    let mut progress = Progress::new(&input.path, input.length(), common);
    let name = input.path.display().to_string();
    let (sender, receiver) = sync_channel::<Vec<u8>>(4);
    let (decoded, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> io::Result<()> {
            receiver.into_iter().try_for_each(|piece| output.write_all(&piece))
        });
        let decoded = input.read_ahead(|ahead| -> Result<Summary> {
            let mut reader = FrameReader::new(BufReader::new(ahead), ReadOptions::default());
            loop {
                let mut piece = Vec::with_capacity(PIECE);
                reader
                    .by_ref()
                    .take(PIECE as u64)
                    .read_to_end(&mut piece)
                    .map_err(library_error)?;
                let done = piece.is_empty();
                // The writer went away with an error of its own, which says more.
                if done || sender.send(piece).is_err() {
                    return Ok(reader.summary());
                }
                progress.at(reader.summary().frame);
            }
        });
        drop(sender);
        (decoded, writer.join().map_err(|_| anyhow!("the writing thread panicked")))
    });
    // What stopped the writer explains more than what the reader met afterwards.
    written??;
    let summary = decoded.context(name)?;
    Ok((output, summary, progress.done()))
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
    let input = Input::open(&args.file)?;
    let name = || input.path.display().to_string();
    let (Some(file), Some(_)) = (input.file(), input.length()) else {
        return Err(Usage(
            "extract needs a file: what it skips cannot be skipped in a pipe".into(),
        )
        .into());
    };
    let mut archive = FrameArchive::open(file).with_context(name)?;
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
        Some(output) if !is_stdin(output) => Output::file(output, args.force)?,
        _ => Output::stdout(args.force)?,
    };
    archive.copy_range(content, &mut output).with_context(name)?;
    output.commit(None)
}

/// Reads a whole stream for its indexes alone. Their entries are placed in the content of all frames.
pub(crate) fn indexes(ahead: ReadAhead) -> Result<(Summary, Vec<parans::frame::Index>)> {
    let mut reader = FrameReader::new(BufReader::new(ahead), ReadOptions::default());
    let summary = reader.copy_to(&mut io::sink())?;
    let mut indexes = reader.indexes().to_vec();
    let mut base = 0;
    for index in &mut indexes {
        index.entries.iter_mut().for_each(|entry| entry.offset += base);
        base += index.content_length();
    }
    Ok((summary, indexes))
}
