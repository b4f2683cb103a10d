//! What content is coded against: the files of `--base`, or those that a compressed file names.

use std::{
    collections::HashMap,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use parans::{
    Error,
    frame::{
        Base, BaseName, Entry, EntryKind, FrameArchive, FrameWriter, Layout, Repeat, fingerprints,
    },
};
use rayon::prelude::*;

use crate::{failure::named, identity::note_base, input::Input, output::directory};

/// The bases for the output `target`, under names by which they are found from there; standard
/// output has no folder, and names them as they were given.
pub(crate) fn for_writing(target: Option<&Path>, given: &[PathBuf]) -> Result<Vec<Arc<Base>>> {
    let open = |path: &PathBuf| {
        let base = Base::open(path)?;
        note_base(&base);
        Ok(Arc::new(match target {
            Some(target) => base.seen_from(directory(target)),
            None => base,
        }))
    };
    given.iter().map(open).collect()
}

/// The bases that it takes to read `input`: those given, or those that it names. A pipe names none
/// before its end.
pub(crate) fn for_reading(input: &Input, given: &[PathBuf]) -> Result<Vec<Arc<Base>>> {
    for_archive(&names(input)?, &input.path, given)
}

/// The bases of these names, which the file at `path` gives: those given, or those that are where
/// the names say, from the file's folder.
pub(crate) fn for_archive(
    names: &[BaseName],
    path: &Path,
    given: &[PathBuf],
) -> Result<Vec<Arc<Base>>> {
    if given.is_empty() {
        let find = |name| Base::find(name, directory(path)).inspect(|base| note_base(base));
        return names.iter().map(find).collect::<parans::Result<_>>().map_err(Into::into);
    }
    let open = |path: &PathBuf| Base::open(path).inspect(note_base).map(Arc::new);
    let given = given.iter().map(open).collect::<parans::Result<Vec<_>>>()?;
    in_order(names, given).with_context(|| path.display().to_string())
}

/// The bases in the order of the names, where names are known.
fn in_order(names: &[BaseName], given: Vec<Arc<Base>>) -> Result<Vec<Arc<Base>>> {
    if names.is_empty() {
        return Ok(given);
    }
    let find = |name: &BaseName| {
        let mut wrong = None;
        for base in &given {
            match base.expect(name) {
                Ok(()) => return Ok(base.clone()),
                Err(error) => wrong = Some(error),
            }
        }
        Err(wrong.unwrap_or_else(|| Error::Base(name.name.clone())))
    };
    Ok(names.iter().map(find).collect::<parans::Result<_>>()?)
}

/// The bases that a file names. A damaged one names none: what reads it says what is wrong.
fn names(input: &Input) -> Result<Vec<BaseName>> {
    let Some(mut file) = input.file().filter(|_| input.length().is_some()) else {
        return Ok(Vec::new());
    };
    let names = FrameArchive::open(file).map(|archive| archive.bases().to_vec());
    file.rewind().map_err(|error| named(error, input.path.display()))?;
    Ok(names.unwrap_or_default())
}

/// Codes content with these entries and large tensors against a base: each tensor against the one
/// of its name, else against one with the same bytes; if there is none such, as the library
/// chooses.
pub(crate) fn attach<W: Write + Send>(
    writer: FrameWriter<W>,
    base: Arc<Base>,
    entries: &[Entry],
    tensors: &[(Entry, u128)],
) -> parans::Result<FrameWriter<W>> {
    let named: HashMap<_, u64> = base.entries().iter().rev().map(|e| (key(e), e.offset)).collect();
    let moved = tensors.iter().filter(|(entry, _)| !named.contains_key(&key(entry)));
    let moved: HashMap<u128, &Entry> = moved.map(|(entry, number)| (*number, entry)).collect();
    if moved.is_empty() {
        return writer.with_base(base);
    }
    let layout = Layout { entries: base.entries().to_vec(), ..Layout::default() };
    let found = fingerprints(&layout, Content::new(base.clone()))?;
    let mut ranges: Vec<Repeat> = found
        .iter()
        .filter_map(|(source, number)| Some((source, moved.get(number)?)))
        .map(|(source, entry)| Repeat { content: entry.offset..entry.end(), source: source.offset })
        .collect();
    if ranges.is_empty() {
        return writer.with_base(base);
    }
    ranges.extend(entries.iter().filter_map(|entry| {
        Some(Repeat { content: entry.offset..entry.end(), source: *named.get(&key(entry))? })
    }));
    writer.with_base_ranges(base, ranges)
}

/// What tensors have in common that are matched by their names.
fn key(entry: &Entry) -> (&str, &EntryKind, u64) {
    (&entry.name, &entry.kind, entry.length)
}

/// The content of a base, to be read from any place on, several pieces at a time.
pub(crate) struct Content {
    base: Arc<Base>,
    at: u64,
    /// What was read of it from `begin` on.
    begin: u64,
    held: Vec<u8>,
}

/// Bytes of a piece that one thread decodes.
const PIECE: u64 = 1 << 20;
/// Pieces that are decoded together where content is read from first to last.
const PIECES: u64 = 16;

impl Content {
    pub(crate) fn new(base: Arc<Base>) -> Self {
        Self { base, at: 0, begin: 0, held: Vec::new() }
    }

    /// Reads the pieces from here on, fewer after a jump.
    fn fill(&mut self) -> io::Result<()> {
        let end = self.begin + self.held.len() as u64;
        let pieces = if self.at == end && end > 0 { PIECES } else { 1 };
        let starts: Vec<u64> = (0..pieces).map(|i| self.at + i * PIECE).collect();
        let length = self.base.length();
        let read = |&at: &u64| {
            let mut piece = Vec::new();
            self.base.read(at.min(length)..length.min(at + PIECE), &mut piece).map(|()| piece)
        };
        let read: parans::Result<Vec<Vec<u8>>> = starts.par_iter().map(read).collect();
        self.begin = self.at;
        self.held = read.map_err(io::Error::other)?.concat();
        Ok(())
    }
}

impl Read for Content {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let inside = self.at.checked_sub(self.begin).filter(|&n| n < self.held.len() as u64);
        if inside.is_none() {
            self.fill()?;
        }
        let here = &self.held[(self.at - self.begin) as usize..];
        let n = here.len().min(out.len());
        out[..n].copy_from_slice(&here[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Content {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(n) => self.base.length().checked_add_signed(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
