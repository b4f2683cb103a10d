//! `parans compress`.

use std::{
    io::{self, BufReader, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Result, bail};
use parans::frame::{
    Base, Container, Entry, FrameWriter, Layout, Repeat, Summary, WriteOptions, find_repeats,
    fingerprints, recognise_file, recognise_head,
};

use crate::{
    base,
    cli::FileArgs,
    decompress,
    earlier::{Earlier, Shared},
    failure::{Usage, named},
    input::{Input, ReadAhead, refuse_device},
    names::{self, Work},
    output::{Output, Wish},
    progress::{Progress, report},
    remove::{check_wish, remove},
    shards,
};

/// The longest safetensors header that is waited for in a pipe, and in a file.
const MAX_HEAD: usize = 16 << 20;
const MAX_FILE_HEAD: usize = 100_000_008;

/// Compresses one file.
pub(crate) fn compress(path: &Path, args: &FileArgs, earlier: &mut Earlier) -> Result<()> {
    if args.limit.max_output.is_some() {
        return Err(Usage("--max-output is for decompressing and testing".into()).into());
    }
    check_wish(path, args)?;
    refuse_device(path, args.force)?;
    let input = Input::open(path)?;
    let target = names::output(path, args, Work::Compress)?;
    if args.check && target.is_none() {
        return Err(
            Usage("--check reads the output file back; standard output is gone".into()).into()
        );
    }
    let bases = base::for_writing(target.as_deref(), &args.base.base)?;
    let output = match &target {
        Some(target) => Output::file(target, Wish::new(&input, args))?,
        None => Output::stdout(args.force)?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let mut progress = Progress::new(&input.path, input.length(), &args.common);
    let tensors = tensors(&input)?;
    let seen: Vec<_> = tensors.iter().map(|(entry, number)| (entry, *number)).collect();
    let shared = if args.dedup { earlier.shared(&seen, target.as_deref())? } else { Vec::new() };
    let plan = Plan { zip: zip_layout(&input)?, repeats: find_repeats(&seen), shared, bases };
    let (output, summary, recognised) =
        input.read_ahead(|ahead| write(&input, ahead, plan, output, &mut progress))?;
    let change = input.changed(Some(summary.content))?;
    refuse_change(&input, change.as_deref().filter(|_| recognised))?;
    output.commit()?;
    if let Some(target) = &target {
        shards::write_index(&input, target, args)?;
        if args.dedup {
            earlier.add(tensors, target);
        }
    }
    let seconds = progress.done();
    if !quiet {
        report(&input.path, summary.content, summary.frame, summary.content, seconds);
    }
    if let Some(change) = change {
        bail!("{}: {change}; the output has what was read", input.path.display());
    }
    if let (true, Some(target)) = (args.check, &target) {
        decompress::test(target, &args.base, &args.common, None)?;
    }
    if args.rm { remove(&input, args) } else { Ok(()) }
}

/// The layout of a zip file, whose directory is at its end: what no stream can say.
fn zip_layout(input: &Input) -> Result<Option<Layout>> {
    let Some(mut file) = input.file().filter(|_| input.length().is_some()) else {
        return Ok(None);
    };
    let mut recognise = || {
        let mut magic = Vec::new();
        file.take(4).read_to_end(&mut magic)?;
        let zip = magic == b"PK\x03\x04";
        let layout = if zip { recognise_file(BufReader::new(file))? } else { None };
        file.rewind()?;
        io::Result::Ok(layout)
    };
    Ok(recognise().map_err(|error| named(error, input.path.display()))?)
}

/// What is known of content before it is read through.
struct Plan {
    zip: Option<Layout>,
    repeats: Vec<Repeat>,
    shared: Vec<Shared>,
    bases: Vec<Arc<Base>>,
}

/// The large tensors of a file with their fingerprints.
fn tensors(input: &Input) -> Result<Vec<(Entry, u128)>> {
    let Some(mut file) = input.file().filter(|_| input.length().is_some()) else {
        return Ok(Vec::new());
    };
    let mut find = || {
        let layout = recognise_file(BufReader::new(file))?.unwrap_or_default();
        let tensors = fingerprints(&layout, file)?;
        let tensors = tensors.into_iter().map(|(entry, number)| (entry.clone(), number)).collect();
        file.rewind()?;
        io::Result::Ok(tensors)
    };
    Ok(find().map_err(|error| named(error, input.path.display()))?)
}

/// Refuses what was read of a recognised file that has changed meanwhile: parts of it may be of two
/// versions.
fn refuse_change(input: &Input, change: Option<&str>) -> Result<()> {
    match change {
        Some(change) => bail!("{}: {change}: nothing is written", input.path.display()),
        None => Ok(()),
    }
}

/// Writes the frame, and says whether its content was recognised. The bytes that are hashed,
/// recognised and coded are one copy of the input.
fn write(
    input: &Input,
    mut ahead: ReadAhead,
    plan: Plan,
    output: Output,
    progress: &mut Progress,
) -> Result<(Output, Summary, bool)> {
    // The content of a device or a file in /proc has a length that its metadata do not say.
    let length = input.length().filter(|&length| length > 0);
    let head = head(&mut ahead, length.map_or(MAX_HEAD, |_| MAX_FILE_HEAD))?;
    let fits = |layout: &Layout| length.is_none_or(|length| layout.length() == length);
    let layout = plan.zip.or_else(|| recognise_head(&head).filter(fits)).unwrap_or_default();
    let recognised = layout.container != Container::None;
    // Plain content may have got longer or shorter by its end: then it is kept as it was read.
    let content_length = length.filter(|_| recognised);
    let options = WriteOptions { content_length, ..WriteOptions::default() };
    let mut writer = FrameWriter::with_layout(output, options, layout)?;
    writer = writer.with_repeats(plan.repeats)?;
    for (base, ranges) in plan.shared {
        writer = writer.with_base_ranges(base, ranges)?;
    }
    for base in plan.bases {
        writer = writer.with_base(base)?;
    }
    writer.write_all(&head)?;
    drop(head);
    loop {
        let piece = ahead.piece()?;
        if piece.is_empty() {
            break;
        }
        writer.write_all(piece)?;
        let n = piece.len();
        ahead.consume(n);
        progress.at(writer.position());
    }
    let change = input.changed(Some(writer.position()))?;
    refuse_change(input, change.as_deref().filter(|_| recognised))?;
    let (output, summary) = writer.finish()?;
    Ok((output, summary, recognised))
}

/// As much of the beginning as it takes to recognise it.
fn head(input: &mut ReadAhead, most: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.by_ref().take(64 << 10).read_to_end(&mut head)?;
    if let (Some(length), Some(b'{')) = (head.first_chunk(), head.get(8)) {
        let length = u64::from_le_bytes(*length).saturating_add(8);
        if length <= most as u64 {
            let more = length.saturating_sub(head.len() as u64);
            input.by_ref().take(more).read_to_end(&mut head)?;
        }
    }
    Ok(head)
}
