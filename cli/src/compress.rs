//! `parans compress`.

use std::{
    io::{self, BufReader, Seek, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Result, bail};
use parans::frame::{
    Base, Entry, FrameWriter, Layout, RecognisingWriter, Repeat, Summary, WriteOptions,
    find_repeats, fingerprints, recognise_file,
};

use crate::{
    base,
    cli::{FileArgs, ReadArgs},
    decompress, device,
    earlier::{Earlier, Shared},
    failure::{Usage, named},
    identity,
    input::{Input, ReadAhead, refuse_device},
    names::{self, Work},
    output::{Output, Wish},
    progress::{Progress, report},
    remove::{check_wish, remove},
    shards,
};

/// Compresses one file.
pub(crate) fn compress(path: &Path, args: &FileArgs, earlier: &mut Earlier) -> Result<()> {
    if args.limit.max_output.is_some() {
        return Err(Usage("--max-output is for decompressing and testing".into()).into());
    }
    device::refuse(args.device.device, "compressing runs")?;
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
    if input.metadata.as_ref().is_some_and(identity::is_base) {
        let text = "is its own base: without it, the output could not be read";
        return Err(Usage(format!("{}: {text}", input.path.display())).into());
    }
    let output = match &target {
        Some(target) => Output::file(target, Wish::new(&input, args))?,
        None => Output::stdout(args.force)?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let mut progress = Progress::new(&input.path, input.length(), &args.common);
    let (layout, tensors) = survey(&input)?;
    let seen: Vec<_> = tensors.iter().map(|(entry, number)| (entry, *number)).collect();
    let shared = if args.dedup { earlier.shared(&seen, target.as_deref())? } else { Vec::new() };
    let repeats = find_repeats(&seen);
    let plan = Plan { layout, tensors: &tensors, repeats, shared, bases };
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
        let (base, common) = (args.base.clone(), args.common.clone());
        let (limit, device) = (args.limit.clone(), args.device);
        decompress::test(target, &ReadArgs { base, limit, device, common })?;
    }
    if args.rm { remove(&input, args) } else { Ok(()) }
}

/// What is known of content before it is read through.
struct Plan<'a> {
    /// The layout, of a file that is recognised.
    layout: Option<Layout>,
    /// Its large tensors, by their fingerprints.
    tensors: &'a [(Entry, u128)],
    repeats: Vec<Repeat>,
    shared: Vec<Shared>,
    bases: Vec<Arc<Base>>,
}

/// Large tensors with their fingerprints.
type Tensors = Vec<(Entry, u128)>;

/// The layout of a file that is recognised, and its large tensors.
fn survey(input: &Input) -> Result<(Option<Layout>, Tensors)> {
    // A file that the kernel makes up (/proc) has a size of 0, and no end to begin from.
    let length = input.length().filter(|&length| length > 0);
    let Some(mut file) = input.file().filter(|_| length.is_some()) else {
        return Ok((None, Vec::new()));
    };
    let mut find = || {
        let layout = recognise_file(BufReader::new(file))?;
        let tensors = match &layout {
            Some(layout) => fingerprints(layout, file)?,
            None => Vec::new(),
        };
        let tensors = tensors.into_iter().map(|(entry, number)| (entry.clone(), number)).collect();
        file.rewind()?;
        io::Result::Ok((layout, tensors))
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

/// Where content goes: a frame of a layout that is known, or of one that its bytes will show.
enum Target {
    Known(FrameWriter<Output>),
    Recognising(RecognisingWriter<Output>),
}

impl Target {
    fn is_recognised(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Recognising(writer) => writer.is_recognised(),
        }
    }

    fn position(&self) -> u64 {
        match self {
            Self::Known(writer) => writer.position(),
            Self::Recognising(writer) => writer.position(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Known(writer) => writer.write_all(bytes),
            Self::Recognising(writer) => writer.write_all(bytes),
        }
    }

    fn finish(self) -> parans::Result<(Output, Summary)> {
        match self {
            Self::Known(writer) => writer.finish(),
            Self::Recognising(writer) => writer.finish(),
        }
    }
}

/// Writes the frame, and says whether its content was recognised. The bytes that are hashed,
/// recognised and coded are one copy of the input.
fn write(
    input: &Input,
    mut ahead: ReadAhead,
    plan: Plan<'_>,
    output: Output,
    progress: &mut Progress,
) -> Result<(Output, Summary, bool)> {
    // The content of a device or a file in /proc has a length that its metadata do not say.
    let length = input.length().filter(|&length| length > 0);
    let mut writer = match plan.layout {
        Some(layout) => {
            let options = WriteOptions { content_length: length, ..WriteOptions::default() };
            let entries = if plan.bases.is_empty() { Vec::new() } else { layout.entries.clone() };
            let mut writer = FrameWriter::with_layout(output, options, layout)?;
            writer = writer.with_repeats(plan.repeats)?;
            for (base, ranges) in plan.shared {
                writer = writer.with_base_ranges(base, ranges)?;
            }
            for base in plan.bases {
                writer = base::attach(writer, base, &entries, plan.tensors)?;
            }
            Target::Known(writer)
        }
        // Plain content may have got longer or shorter by its end: then it is kept as it was read.
        None => {
            let writer = RecognisingWriter::new(output, WriteOptions::default());
            let writer = writer.with_bases(plan.bases);
            Target::Recognising(match length {
                Some(length) => writer.expect_length(length),
                None => writer,
            })
        }
    };
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
    let recognised = writer.is_recognised();
    let change = input.changed(Some(writer.position()))?;
    refuse_change(input, change.as_deref().filter(|_| recognised))?;
    let (output, summary) = writer.finish()?;
    Ok((output, summary, recognised))
}
