//! Content that chunks of other frames are coded against: the checkpoint before, the model that was
//! fine-tuned.

use std::{
    fmt,
    ops::Range,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::index::{BaseName, Entry};
use crate::{Error, Result};

/// Bytes that are hashed at once.
const PIECE: u64 = 1 << 20;

/// Where the bytes of a base are.
pub(super) trait Content: Send + Sync {
    /// Appends a range of them, which there is, to `out`, on this thread.
    fn read(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()>;
}

/// Content that chunks of other frames are coded against, see
/// [`FrameWriter::with_base`](super::FrameWriter::with_base): a file of any kind, or the content of
/// frames. What was coded against it can be read only with it.
pub struct Base {
    content: Box<dyn Content>,
    entries: Vec<Entry>,
    length: u64,
    check: OnceLock<u64>,
    name: String,
    files: Vec<PathBuf>,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("name", &self.name).field("length", &self.length).finish()
    }
}

impl Base {
    pub(super) fn new(
        name: String,
        content: impl Content + 'static,
        entries: Vec<Entry>,
        length: u64,
        check: OnceLock<u64>,
    ) -> Self {
        let files = Vec::new();
        Self { content: Box::new(content), entries, length, check, name, files }
    }

    /// Checks that this is the base that a frame names, as far as it can be said without reading
    /// all of it.
    ///
    /// # Errors
    /// [`Error::Base`] for other content.
    pub fn expect(&self, name: &BaseName) -> Result<()> {
        let check = self.check.get().copied().unwrap_or(name.check);
        if (self.length, check) != (name.length, name.check) {
            return Err(Error::Base(format!(
                "{} is not the base {}: it has {} bytes of content with checksum {check:016x}, not \
                 {} with {:016x}",
                self.name, name.name, self.length, name.length, name.check
            )));
        }
        Ok(())
    }

    /// What a frame will say of the base unless [`Base::named`] says otherwise.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files that it takes: the base's own and those that it is coded against in its turn. None
    /// for a base in memory.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Says which files it takes.
    pub(super) fn with_files(self, files: Vec<PathBuf>) -> Self {
        Self { files, ..self }
    }

    /// The same base under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    #[cfg(test)]
    pub(super) fn set_entries(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
    }

    /// Its named parts.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of content.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What a frame that is coded against it says of it. Reads all of a file the first time.
    ///
    /// # Errors
    /// As [`Base::read`].
    pub fn identity(&self) -> Result<BaseName> {
        let check = match self.check.get() {
            Some(&check) => check,
            None => {
                let (mut hash, mut at, mut piece) = (Xxh3::new(), 0, Vec::new());
                while at < self.length {
                    let end = self.length.min(at + PIECE);
                    self.read(at..end, &mut piece)?;
                    hash.update(&piece);
                    at = end;
                }
                *self.check.get_or_init(|| hash.digest())
            }
        };
        Ok(BaseName { check, length: self.length, name: self.name.clone() })
    }

    /// Reads a range of the content, at most a few chunks of it, into `out`, on this thread.
    ///
    /// # Errors
    /// `InvalidArgument` for a range outside the content; `Corrupt` and the like for damaged
    /// frames; `Io`.
    pub fn read(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        if range.start > range.end || range.end > self.length {
            return Err(Error::InvalidArgument(format!(
                "bytes {range:?} of the {} of base {}",
                self.length, self.name
            )));
        }
        out.clear();
        self.content.read(range, out).map_err(|error| match error {
            Error::Io(error) => {
                let text = format!("base {}: {error}", self.name);
                std::io::Error::new(error.kind(), text).into()
            }
            error => error,
        })
    }
}

/// The bases that chunks are decoded with.
#[derive(Clone, Debug, Default)]
pub(super) struct Bases(Arc<[Arc<Base>]>);

impl From<Vec<Arc<Base>>> for Bases {
    fn from(bases: Vec<Arc<Base>>) -> Self {
        Self(bases.into())
    }
}

impl Bases {
    /// Reads the range that a chunk was coded against: from the base of this number or, as a stream
    /// names its bases at its end only, from the first one that has those bytes there.
    pub(super) fn read(
        &self,
        number: u64,
        range: Range<u64>,
        check: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if self.0.is_empty() {
            return Err(Error::Base(
                "the content is coded against a base, and none was given".into(),
            ));
        }
        let first = usize::try_from(number).unwrap_or(usize::MAX);
        let first = self.0.get(first).into_iter();
        for base in first.chain(self.0.iter()).filter(|base| range.end <= base.length) {
            base.read(range.clone(), out)?;
            if check_of(out) == check {
                return Ok(());
            }
        }
        let names: Vec<&str> = self.0.iter().map(|base| base.name()).collect();
        Err(Error::Base(format!(
            "bytes {range:?} of {} are not those that the content was coded against",
            names.join(" and of ")
        )))
    }
}

/// The check of the bytes that a chunk is coded against: the low 32 bits of their XXH3.
pub(super) fn check_of(bytes: &[u8]) -> u32 {
    // The low half: `as` keeps it on purpose.
    xxh3_64(bytes) as u32
}
