//! `parans rebase`: the same content, coded against nothing or against another base.

use std::io::{self, Write};

use anyhow::{Context, Result};
use parans::frame::{Base, FrameWriter, WriteOptions, find_repeats, fingerprints, recognise_file};

use crate::{
    base::{self, Content},
    cli::RebaseArgs,
    failure::Usage,
    identity,
    input::{Input, is_stdin},
    output::{Output, Wish},
    progress::{Progress, report},
};

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

/// Writes the content of one file anew.
pub(crate) fn rebase(args: &RebaseArgs) -> Result<()> {
    if is_stdin(&args.file) {
        return Err(Usage("rebase needs a file: it reads from its end".into()).into());
    }
    identity::note_inputs([&args.file]);
    let input = Input::open(&args.file)?;
    let name = || input.path.display().to_string();
    let target = args.output.as_deref().filter(|output| !is_stdin(output));
    let bases = base::for_writing(target, &args.base.base)?;
    let content = Base::open(&args.file).with_context(name)?;
    identity::note_base(&content);
    let length = content.length();
    let mut content = Content::new(content.into());
    let layout = recognise_file(&mut content).with_context(name)?.unwrap_or_default();
    let tensors = fingerprints(&layout, &mut content).with_context(name)?;
    let repeats = find_repeats(&tensors);
    let tensors: Vec<_> = tensors.into_iter().map(|(entry, n)| (entry.clone(), n)).collect();
    let entries = layout.entries.clone();
    let output = match target {
        Some(target) => Output::file(target, Wish::plain(args.force))?,
        None => Output::stdout(args.force)?,
    };
    let quiet = args.common.quiet || output.is_stdout() && !args.common.verbose;
    let mut progress = Progress::new(&input.path, Some(length), &args.common);
    let options = WriteOptions { content_length: Some(length), ..WriteOptions::default() };
    let mut writer = FrameWriter::with_layout(output, options, layout)?.with_repeats(repeats)?;
    for base in bases {
        writer = base::attach(writer, base, &entries, &tensors)?;
    }
    io::Seek::rewind(&mut content)?;
    let mut piece = vec![0; PIECE];
    loop {
        let n = io::Read::read(&mut content, &mut piece).with_context(name)?;
        if n == 0 {
            break;
        }
        writer.write_all(&piece[..n])?;
        progress.at(writer.position());
    }
    let (output, summary) = writer.finish()?;
    output.commit()?;
    let seconds = progress.done();
    if !quiet {
        report(&input.path, summary.content, summary.frame, summary.content, seconds);
    }
    Ok(())
}
