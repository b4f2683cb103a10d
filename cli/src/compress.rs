//! `parans compress`.

use std::{
    io::{self, BufReader, Read, Seek, Write},
    path::Path,
};

use anyhow::{Result, bail};
use parans::frame::{
    FrameWriter, Layout, RecognisingWriter, Summary, WriteOptions, recognise_file,
};

use crate::{
    cli::FileArgs,
    decompress,
    failure::{Usage, named},
    input::{Input, ReadAhead, refuse_device},
    names::{self, Work},
    output::{Output, Wish},
    progress::{Progress, report},
    remove::{check_wish, remove},
};

/// Compresses one file.
pub(crate) fn compress(path: &Path, args: &FileArgs) -> Result<()> {
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
    let output = match &target {
        Some(target) => Output::file(target, Wish::new(&input, args))?,
        None => Output::stdout(args.force)?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let mut progress = Progress::new(&input.path, input.length(), &args.common);
    let zip = zip_layout(&input)?;
    let (output, summary, recognised) =
        input.read_ahead(|ahead| write(&input, ahead, zip, output, &mut progress))?;
    let change = input.changed(Some(summary.content))?;
    refuse_change(&input, change.as_deref().filter(|_| recognised))?;
    output.commit()?;
    let seconds = progress.done();
    if !quiet {
        report(&input.path, summary.content, summary.frame, summary.content, seconds);
    }
    if let Some(change) = change {
        bail!("{}: {change}; the output has what was read", input.path.display());
    }
    if let (true, Some(target)) = (args.check, &target) {
        decompress::test(target, &args.common, None)?;
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
    zip: Option<Layout>,
    output: Output,
    progress: &mut Progress,
) -> Result<(Output, Summary, bool)> {
    // The content of a device or a file in /proc has a length that its metadata do not say.
    let length = input.length().filter(|&length| length > 0);
    let mut writer = match zip {
        Some(layout) => {
            let options = WriteOptions { content_length: length, ..WriteOptions::default() };
            Target::Known(FrameWriter::with_layout(output, options, layout)?)
        }
        // Plain content may have got longer or shorter by its end: then it is kept as it was read.
        None => {
            let writer = RecognisingWriter::new(output, WriteOptions::default());
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
