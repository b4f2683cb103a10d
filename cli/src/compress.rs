//! `parans compress`.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use anyhow::Result;
use memmap2::Mmap;
use parans::frame::{FrameWriter, Layout, Summary, WriteOptions, recognise, recognise_head};

use crate::{
    cli::FileArgs,
    decompress,
    failure::Usage,
    input::{Input, ReadAhead, is_stdin},
    names::{self, Work},
    output::Output,
    progress::{Progress, report},
};

/// Content handed to the writer at once from a mapped file: what the progress bar moves by.
const STEP: usize = 16 << 20;
/// The longest safetensors header that is waited for in a pipe.
const MAX_HEAD: usize = 16 << 20;

/// Compresses one file.
pub(crate) fn compress(path: &Path, args: &FileArgs) -> Result<()> {
    let mut input = Input::open(path)?;
    let target = names::output(path, args, Work::Compress)?;
    if args.check && target.is_none() {
        return Err(
            Usage("--check reads the output file back; standard output is gone".into()).into()
        );
    }
    let output = match &target {
        Some(target) => Output::file(target, args.force)?,
        None => Output::stdout(args.force)?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let length = input.length();
    let mut progress = Progress::new(&input.path, length, &args.common);
    // The content of a device or a file in /proc has a length that its metadata do not tell.
    let options = WriteOptions {
        content_length: length.filter(|&length| length > 0),
        ..WriteOptions::default()
    };
    let (output, summary) =
        match input.file().and_then(map).and_then(|map| Some((recognise(&map)?, map))) {
            Some((layout, map)) => from_map(&map, layout, output, options, &mut progress)?,
            None => input.read_ahead(|ahead| from_stream(ahead, output, options, &mut progress))?,
        };
    output.commit(input.metadata.as_ref())?;
    let seconds = progress.done();
    if !quiet {
        report(&input.path, summary.content, summary.frame, summary.content, seconds);
    }
    if let (true, Some(target)) = (args.check, &target) {
        decompress::test(target, &args.common)?;
    }
    if args.rm && !is_stdin(path) {
        fs::remove_file(path).map_err(|error| crate::failure::named(error, path.display()))?;
    }
    Ok(())
}

#[allow(unsafe_code, reason = "a mapped file can be changed by others while it is read")]
fn map(file: &File) -> Option<Mmap> {
    if !file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return None;
    }
    // SAFETY: The bytes are only read, and nothing that is checked once is relied on later: the layout is a list of numbers of
    // its own, and chunks take the bytes as they are at that moment. A file that is cut short meanwhile ends the program by a signal,
    // before the output has got its name.
    unsafe { Mmap::map(file).ok() }
}

fn from_map(
    map: &[u8],
    layout: Layout,
    output: Output,
    options: WriteOptions,
    progress: &mut Progress,
) -> Result<(Output, Summary)> {
    let mut writer = FrameWriter::with_layout(output, options, layout)?;
    for step in map.chunks(STEP) {
        writer.write_all(step)?;
        progress.at(writer.position());
    }
    Ok(writer.finish()?)
}

fn from_stream(
    mut input: ReadAhead,
    output: Output,
    options: WriteOptions,
    progress: &mut Progress,
) -> Result<(Output, Summary)> {
    let head = head(&mut input)?;
    let layout = recognise_head(&head).unwrap_or_default();
    // A device can have more or less than its metadata said; what a regular file has can have changed.
    let options = WriteOptions { content_length: None, ..options };
    let mut writer = FrameWriter::with_layout(output, options, layout)?;
    writer.write_all(&head)?;
    drop(head);
    loop {
        let piece = input.piece()?;
        if piece.is_empty() {
            return Ok(writer.finish()?);
        }
        writer.write_all(piece)?;
        let n = piece.len();
        input.consume(n);
        progress.at(writer.position());
    }
}

/// As much of the beginning as it takes to recognise it.
fn head(input: &mut ReadAhead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.by_ref().take(64 << 10).read_to_end(&mut head)?;
    if let (Some(length), Some(b'{')) = (head.first_chunk(), head.get(8)) {
        let length = u64::from_le_bytes(*length).saturating_add(8);
        if length <= MAX_HEAD as u64 {
            let more = length.saturating_sub(head.len() as u64);
            input.by_ref().take(more).read_to_end(&mut head)?;
        }
    }
    Ok(head)
}
