//! `parans decompress` and `parans test`.

use std::{
    fs,
    io::{self, BufReader, Read, Write},
    path::Path,
    sync::mpsc::sync_channel,
};

use anyhow::{Context, Result, anyhow};
use parans::frame::{Damage, FrameReader, ReadOptions, Summary};

use crate::{
    cli::{CommonArgs, FileArgs},
    escape,
    failure::{Lossy, named},
    input::{Input, ReadAhead, is_stdin},
    names::{self, Work},
    output::Output,
    progress::{Progress, report, report_sound},
    sparse,
};

/// Bytes of content handed to the writing thread at once.
const PIECE: usize = 1 << 20;

/// Decompresses one file.
pub(crate) fn decompress(path: &Path, args: &FileArgs, keep_going: bool) -> Result<()> {
    let mut input = Input::open(path)?;
    input.refuse_terminal()?;
    // A foreign file is told before anything is said about names.
    let target = names::output(path, args, Work::Read);
    if target.is_err() {
        check_magic(&input)?;
    }
    let output = match target? {
        Some(target) => {
            check_magic(&input)?;
            Output::file(&target, args.force)?
        }
        // Content may be text: it is the user's choice to see it.
        None => Output::stdout(args.force || args.stdout || args.output.is_some())?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let holes = args.sparse.holes(!output.is_stdout());
    let (output, summary, damage, seconds) =
        run(&mut input, output, &args.common, keep_going, holes)?;
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
    let (_, summary, _, seconds) = run(&mut input, Output::nowhere(), common, false, false)?;
    if !common.quiet {
        report_sound(&input.path, summary.content, seconds);
    }
    Ok(())
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
            escape::path(path)
        );
    }
}

/// Decodes `input` into `output`, which another thread writes, with or without holes for zeros.
fn run(
    input: &mut Input,
    mut output: Output,
    common: &CommonArgs,
    keep_going: bool,
    holes: bool,
) -> Result<(Output, Summary, Vec<Damage>, f64)> {
    let mut progress = Progress::new(&input.path, input.length(), common);
    let name = input.path.display().to_string();
    let (sender, receiver) = sync_channel::<Vec<u8>>(4);
    let options = ReadOptions { keep_going, ..ReadOptions::default() };
    let (decoded, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> io::Result<()> {
            let mut position = 0;
            receiver.into_iter().try_for_each(|piece| {
                let begin = position;
                position += piece.len() as u64;
                match holes {
                    true => sparse::write(&mut output, begin, &piece),
                    false => output.write_all(&piece),
                }
            })
        });
        let decoded = input.read_ahead(|ahead| -> Result<(Summary, Vec<Damage>)> {
            let mut reader = FrameReader::new(BufReader::new(ahead), options);
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
                    return Ok((reader.summary(), reader.damage().to_vec()));
                }
                progress.at(reader.summary().frame);
            }
        });
        drop(sender);
        (decoded, writer.join().map_err(|_| anyhow!("the writing thread panicked")))
    });
    // What stopped the writer explains more than what the reader met afterwards.
    written??;
    let (summary, damage) = decoded.context(name)?;
    Ok((output, summary, damage, progress.done()))
}

/// Takes the library's error out of the input-output error that carries it.
fn library_error(error: io::Error) -> anyhow::Error {
    match error.downcast::<parans::Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}

/// Reads a whole stream for its indexes alone.
pub(crate) fn indexes(ahead: ReadAhead) -> Result<(Summary, Vec<parans::frame::Index>)> {
    let options = ReadOptions { keep_indexes: true, ..ReadOptions::default() };
    let mut reader = FrameReader::new(BufReader::new(ahead), options);
    let summary = reader.copy_to(&mut io::sink())?;
    Ok((summary, reader.indexes().to_vec()))
}
