//! Finding and opening bases: files of any kind, frames and what those are coded against.

use std::{
    fs::File,
    io::{Cursor, Read, Seek, SeekFrom},
    ops::Range,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{
    archive::FrameArchive,
    base::{Base, Content},
    chunk::ChunkDecoder,
    index::BaseName,
};
use crate::{Error, Result};

/// The most bases that are coded against one another.
const MAX_CHAIN: usize = 64;
/// How the names of compressed files usually end.
const SUFFIX: &str = ".parans";

trait Source: Read + Seek + Send {}
impl<R: Read + Seek + Send> Source for R {}

type Archive = FrameArchive<Box<dyn Source>>;

impl Content for Vec<u8> {
    fn read(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self[range.start as usize..range.end as usize]);
        Ok(())
    }
}

impl Content for File {
    fn read(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        out.resize((range.end - range.start) as usize, 0);
        Ok(read_at(self, range.start, out)?)
    }
}

impl Content for Mutex<Archive> {
    fn read(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let (mut decoder, mut chunk) = (ChunkDecoder::new(), Vec::new());
        // Chunks are fetched one by one and decoded without the lock: a thread that waits for it
        // must not keep those that have it from going on.
        let locked = || self.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = locked().chunks_of(&range);
        for number in chunks {
            let fetched = locked().fetch(number)?;
            fetched.decode(&mut decoder, &mut chunk)?;
            let from = range.start.saturating_sub(fetched.content) as usize;
            let to = (range.end - fetched.content).min(chunk.len() as u64) as usize;
            out.extend_from_slice(&chunk[from..to]);
        }
        Ok(())
    }
}

impl Base {
    /// A base in memory: the content of frames, if `bytes` are such, else `bytes` themselves.
    /// `name` is what a frame will say of it.
    ///
    /// # Errors
    /// As [`FrameArchive::open`] for frames; [`Error::Base`] for frames that have bases of their
    /// own, which only [`Base::open`] finds.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self> {
        if super::is_frame(bytes.get(..8).unwrap_or(&bytes)) {
            let archive = FrameArchive::open(Box::new(Cursor::new(bytes)) as Box<dyn Source>)?;
            if let Some(base) = archive.bases().first() {
                return Err(missing(base));
            }
            return Ok(Self::of_archive(name.into(), archive));
        }
        #[cfg(feature = "containers")]
        let entries = super::recognise(&bytes).unwrap_or_default().entries;
        #[cfg(not(feature = "containers"))]
        let entries = Vec::new();
        let length = bytes.len() as u64;
        Ok(Self::new(name.into(), bytes, entries, length, OnceLock::new()))
    }

    /// Opens a file: the content of frames, if it holds such, else its bytes. The bases of frames
    /// are found by the names that the frames give them.
    ///
    /// # Errors
    /// `Io` where the file cannot be read; as [`FrameArchive::open`] and [`Base::find`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_below(path, &mut Vec::new())
    }

    fn open_below(path: &Path, above: &mut Vec<PathBuf>) -> Result<Self> {
        let named = |error: std::io::Error| {
            std::io::Error::new(error.kind(), format!("base {}: {error}", path.display()))
        };
        let mut file = File::open(path).map_err(named)?;
        let mut head = Vec::new();
        file.by_ref().take(8).read_to_end(&mut head).map_err(named)?;
        let name = path.to_string_lossy().into_owned();
        if !super::is_frame(&head) {
            let base = Self::of_file(name, file).map_err(named)?;
            return Ok(base.with_files(vec![path.to_owned()]));
        }
        let whole = path.canonicalize().map_err(named)?;
        if above.contains(&whole) || above.len() == MAX_CHAIN {
            let what = if above.len() == MAX_CHAIN { "a longer chain than 64" } else { "a cycle" };
            return Err(Error::Base(format!("{what} of bases leads to {}", path.display())));
        }
        let mut archive = FrameArchive::open(Box::new(file) as Box<dyn Source>)?;
        above.push(whole);
        let folder = path.parent().unwrap_or(Path::new(""));
        let bases = archive.bases().iter().map(|name| Self::find_below(name, folder, above));
        let bases = bases.collect::<Result<Vec<_>>>()?;
        above.pop();
        let mut files = vec![path.to_owned()];
        files.extend(bases.iter().flat_map(|base| base.files().iter().cloned()));
        archive.set_bases(bases)?;
        Ok(Self::of_archive(name, archive).with_files(files))
    }

    fn of_file(name: String, mut file: File) -> std::io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        #[cfg(feature = "containers")]
        let layout = super::recognise_file(std::io::BufReader::new(&file))?;
        #[cfg(feature = "containers")]
        let entries = layout.unwrap_or_default().entries;
        #[cfg(not(feature = "containers"))]
        let entries = Vec::new();
        Ok(Self::new(name, file, entries, length, OnceLock::new()))
    }

    fn of_archive(name: String, archive: Archive) -> Self {
        let entries = archive.index().entries.clone();
        let check = archive.content_check().map_or_else(OnceLock::new, OnceLock::from);
        let length = archive.content_length();
        Self::new(name, Mutex::new(archive), entries, length, check)
    }

    /// Finds the base that a frame names: a file of the name in `folder`, or the compressed or
    /// decompressed form of it there, with the length and, as far as it is known without reading
    /// all of the file, the checksum that the frame gives. What is read of it is checked then.
    ///
    /// A frame that cannot be trusted may name any file that its reader can open: such frames are
    /// given their bases by [`FrameArchive::set_bases`] alone. Names of whole paths are not
    /// followed.
    ///
    /// # Errors
    /// [`Error::Base`] where there is no such file, and for a cycle of bases; as [`Base::open`].
    pub fn find(name: &BaseName, folder: &Path) -> Result<Arc<Self>> {
        Self::find_below(name, folder, &mut Vec::new())
    }

    fn find_below(name: &BaseName, folder: &Path, above: &mut Vec<PathBuf>) -> Result<Arc<Self>> {
        let mut names = vec![name.name.clone(), format!("{}{SUFFIX}", name.name)];
        names.extend(name.name.strip_suffix(SUFFIX).map(str::to_owned));
        let mut other = None;
        for candidate in names {
            let path = folder.join(&candidate);
            if Path::new(&candidate).has_root() || !path.is_file() {
                continue;
            }
            let base = Self::open_below(&path, above)?;
            match base.expect(name) {
                Ok(()) => return Ok(Arc::new(base)),
                Err(error) => other = Some(error),
            }
        }
        Err(other.unwrap_or_else(|| missing(name)))
    }

    /// The same base under the name by which frames in a folder find it: its path from there. The
    /// name stays where there is no such path that is text.
    #[must_use]
    pub fn seen_from(self, folder: &Path) -> Self {
        let (folder, own) = (folder.canonicalize(), Path::new(self.name()).canonicalize());
        match folder.ok().zip(own.ok()).and_then(|(folder, own)| relative(&folder, &own)) {
            Some(name) => self.named(&name),
            None => self,
        }
    }
}

fn missing(name: &BaseName) -> Error {
    Error::Base(format!(
        "the content is coded against {:?}, of {} bytes with checksum {:016x}, which is not there: \
         say where it is",
        name.name, name.length, name.check
    ))
}

/// The path of `file` seen from `folder`, both whole; none where it is no text, or on another
/// drive.
fn relative(folder: &Path, file: &Path) -> Option<String> {
    let (from, to): (Vec<_>, Vec<_>) = (folder.components().collect(), file.components().collect());
    let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    if matches!(to.get(shared), None | Some(Component::Prefix(_))) {
        return None;
    }
    let mut parts = vec![".."; from.len() - shared];
    for part in &to[shared..] {
        parts.push(part.as_os_str().to_str()?);
    }
    Some(parts.join("/"))
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, out: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut out: &mut [u8]) -> std::io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => (at, out) = (at + n as u64, &mut out[n..]),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_seen_from_a_folder() {
        for (folder, file, name) in [
            ("/a/b", "/a/b/c", Some("c")),
            ("/a/b", "/a/c/d", Some("../c/d")),
            ("/a", "/a/b/c", Some("b/c")),
            ("/", "/c", Some("c")),
            ("/a/b", "/a", None),
        ] {
            assert_eq!(relative(Path::new(folder), Path::new(file)).as_deref(), name);
        }
    }
}
