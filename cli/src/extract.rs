//! `parans extract`: one tensor or a range of bytes, as raw bytes or as an npy file.

use std::io::Write;

use anyhow::{Context, Result};
use parans::frame::{Container, Entry, EntryKind, FrameArchive};

use crate::{
    base,
    cli::{ByteRange, ExtractArgs},
    failure::Usage,
    identity,
    input::{Input, is_stdin},
    npy,
    output::{Output, Wish},
    remote::{self, Source},
    shards, sparse,
};

type Archive<'a> = FrameArchive<Box<dyn Source + 'a>>;

/// Decodes one tensor or range.
pub(crate) fn extract(args: &ExtractArgs) -> Result<()> {
    let file = shards::file_of(&args.file, args.name.as_deref())?;
    identity::note_inputs([&file]);
    let input = if remote::is_url(&file) { None } else { Some(Input::open(&file)?) };
    let path = input.as_ref().map_or(&file, |input| &input.path);
    let name = || path.display().to_string();
    let source: Box<dyn Source + '_> = match &input {
        None => Box::new(remote::open(&file).with_context(name)?),
        Some(input) => match (input.file(), input.length()) {
            (Some(file), Some(_)) => Box::new(file),
            _ => {
                return Err(Usage(
                    "extract needs a file: what it skips cannot be skipped in a pipe".into(),
                )
                .into());
            }
        },
    };
    let mut archive = FrameArchive::open(source).with_context(name)?;
    if !archive.bases().is_empty() {
        let bases = base::for_archive(archive.bases(), path, &args.base.base)?;
        archive.set_bases(bases).with_context(name)?;
    }
    let (header, content) = match args.bytes {
        Some(ByteRange { start, end }) => {
            (Vec::new(), start..end.unwrap_or(archive.content_length()).max(start))
        }
        None => {
            let entry = find(&archive, args.name.as_deref()).with_context(name)?.clone();
            let header = if args.npy { npy_header(&mut archive, &entry) } else { Ok(Vec::new()) };
            (header.with_context(name)?, entry.offset..entry.end())
        }
    };
    let mut output = match &args.output {
        Some(output) if !is_stdin(output) => Output::file(output, Wish::plain(args.force))?,
        _ => Output::stdout(args.force)?,
    };
    let holes = args.sparse.holes(!output.is_stdout());
    let mut writer = sparse::Writer::new(&mut output, holes);
    writer.write_all(&header)?;
    archive.copy_range(content, &mut writer).with_context(name)?;
    output.commit()
}

/// The entry with this name, or with this name without `.npy`. Without a name, the only tensor, or
/// the only entry.
fn find<'a>(archive: &'a Archive<'_>, name: Option<&str>) -> Result<&'a Entry> {
    if let Some(name) = name {
        let found = archive.entry(name);
        let found = found.or_else(|| archive.entry(name.strip_suffix(".npy")?));
        return Ok(found.ok_or_else(|| {
            Usage(format!("no tensor is named {name:?}; `parans inspect` lists them"))
        })?);
    }
    let entries = &archive.index().entries;
    let tensors = || entries.iter().filter(|entry| matches!(entry.kind, EntryKind::Tensor { .. }));
    match (&entries[..], tensors().count()) {
        ([entry], _) => Ok(entry),
        (_, 1) => Ok(tensors().next().expect("there is one")),
        (_, 0) => Err(Usage("it has no tensors: say which --bytes".into()).into()),
        (_, n) => {
            Err(Usage(format!("say which of {n} tensors; `parans inspect` lists them")).into())
        }
    }
}

/// What an npy file of this entry begins with: the header in the content where that is one of
/// numpy's own, else one made of the entry's type and shape.
fn npy_header(archive: &mut Archive<'_>, entry: &Entry) -> Result<Vec<u8>> {
    let EntryKind::Tensor { dtype, shape } = &entry.kind else {
        return Err(Usage("--npy needs a tensor; this entry has no type and shape".into()).into());
    };
    if matches!(archive.index().container, Container::Npy | Container::Npz) {
        let before = entry.offset.saturating_sub(npy::MAX_HEADER)..entry.offset;
        let before = archive.read_range(before)?;
        let header = npy::last_header(&before);
        return Ok(header.context("no npy header stands before the tensor")?.to_vec());
    }
    npy::header(dtype, shape, entry.length).map_err(|reason| Usage(reason).into())
}
