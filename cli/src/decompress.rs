//! `parans decompress` and `parans test`.

use std::{
    io::{self, BufReader, Read, Write},
    path::Path,
    sync::{Arc, mpsc::sync_channel},
};

use anyhow::{Context, Result};
use parans::{
    Device,
    frame::{Base, FrameReader, ReadOptions, Summary},
};

use crate::{
    base,
    cli::{CommonArgs, FileArgs, ReadArgs},
    device,
    failure::{Lossy, named},
    input::{Input, ReadAhead, refuse_device},
    names::{self, Work},
    output::{Output, Wish},
    progress::{Progress, report, report_sound},
    remove::{check_wish, remove},
    salvage::{self, Saved},
    sparse,
};

/// Bytes of content handed to the writing thread at once.
const PIECE: usize = 1 << 20;

/// Decompresses one file.
pub(crate) fn decompress(path: &Path, args: &FileArgs, keep_going: bool) -> Result<()> {
    check_wish(path, args)?;
    if keep_going {
        device::refuse(args.device.device, "--keep-going saves")?;
    }
    refuse_device(path, args.force)?;
    let input = Input::open(path)?;
    input.refuse_terminal()?;
    // A foreign file is reported before anything is said about names.
    let target = names::output(path, args, Work::Read);
    if target.is_err() {
        check_magic(&input)?;
    }
    // Without its base, content that is coded by itself can still be saved.
    let bases = match base::for_reading(&input, &args.base.base) {
        Err(_) if keep_going && args.base.base.is_empty() => Vec::new(),
        bases => bases?,
    };
    let output = match target? {
        Some(target) => {
            if !keep_going {
                check_magic(&input)?;
            }
            Output::file(&target, Wish::new(&input, args))?
        }
        // Content may be text: it is the user's choice to see it.
        None => Output::stdout(args.force || args.stdout || args.output.is_some())?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let holes = args.sparse.holes(!output.is_stdout());
    let options = options(args.limit.max_output, bases);
    let device = args.device.device;
    let Saved { output, summary, damage, seconds } = if keep_going {
        salvage::save(&input, output, options, holes)?
    } else {
        let how = How { options, device };
        let (output, summary, seconds) = run(&input, output, &args.common, how, holes)?;
        Saved { output, summary, damage: Vec::new(), seconds }
    };
    output.commit()?;
    if !quiet {
        report(&input.path, summary.frame, summary.content, summary.content, seconds);
    }
    if !damage.is_empty() {
        salvage::report(&input.path, &damage);
        return Err(Lossy(damage.len())).with_context(|| input.path.display().to_string());
    }
    if args.rm { remove(&input, args) } else { Ok(()) }
}

/// Checks one file.
pub(crate) fn test(path: &Path, args: &ReadArgs) -> Result<()> {
    let input = Input::open(path)?;
    input.refuse_terminal()?;
    let bases = base::for_reading(&input, &args.base.base)?;
    let how = How { options: options(args.limit.max_output, bases), device: args.device.device };
    let (_, summary, seconds) = run(&input, Output::nowhere(), &args.common, how, false)?;
    if !args.common.quiet {
        report_sound(&input.path, summary.content, seconds);
    }
    Ok(())
}

fn options(max_output: Option<u64>, bases: Vec<Arc<Base>>) -> ReadOptions {
    let max_content = max_output.unwrap_or(u64::MAX);
    ReadOptions { max_content, bases, ..ReadOptions::default() }
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

/// What a file is decoded with.
struct How {
    options: ReadOptions,
    device: Device,
}

/// Decodes `input` into `output`, with or without holes for zeros. Another thread writes, where one
/// can be had.
fn run(
    input: &Input,
    mut output: Output,
    common: &CommonArgs,
    How { options, device }: How,
    holes: bool,
) -> Result<(Output, Summary, f64)> {
    let gpu = device::open(device)?;
    let mut progress = Progress::new(&input.path, input.length(), common);
    let mut writer = sparse::Writer::new(&mut output, holes);
    let mut write = |piece: Vec<u8>| writer.write_all(&piece);
    let mut decode = |give: &mut dyn FnMut(Vec<u8>) -> bool| {
        if let Some(gpu) = &gpu {
            return device::decode(gpu, input, &options, give, &mut progress);
        }
        input.read_ahead(|ahead| {
            let mut reader = FrameReader::new(BufReader::new(ahead), options.clone());
            decode(&mut reader, give, &mut progress).map(|()| reader.summary())
        })
    };
    let threaded = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<u8>>(4);
        let write_all = || receiver.into_iter().try_for_each(&mut write);
        let thread = std::thread::Builder::new().name("writer".into());
        let writer = thread.spawn_scoped(scope, write_all).ok()?;
        // A writer that went away has an error of its own, which says more.
        let decoded = decode(&mut |piece| sender.send(piece).is_ok());
        drop(sender);
        Some((decoded, writer.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))))
    });
    let (decoded, written) = threaded.unwrap_or_else(|| {
        let mut written = Ok(());
        let decoded = decode(&mut |piece| {
            written = write(piece);
            written.is_ok()
        });
        (decoded, written)
    });
    // What stopped the writer explains more than what the reader met afterwards.
    written?;
    let summary = decoded.with_context(|| input.path.display().to_string())?;
    Ok((output, summary, progress.done()))
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

/// Reads a whole stream for its indexes alone. Their entries are placed in the content of all
/// frames.
pub(crate) fn indexes(ahead: ReadAhead) -> Result<(Summary, Vec<parans::frame::Index>)> {
    let options = ReadOptions { keep_indexes: true, ..ReadOptions::default() };
    let mut reader = FrameReader::new(BufReader::new(ahead), options);
    let summary = reader.copy_to(&mut io::sink())?;
    let mut indexes = reader.indexes().to_vec();
    let mut base = 0;
    for index in &mut indexes {
        index.entries.iter_mut().for_each(|entry| entry.offset += base);
        base += index.content_length();
    }
    Ok((summary, indexes))
}
