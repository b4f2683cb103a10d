//! Where input comes from: a file or standard input, read ahead of the coders by a thread of its
//! own.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::SystemTime,
};

use anyhow::Result;

use crate::{
    failure::{Usage, named},
    process,
};

/// Bytes of a piece that is read at once.
const PIECE: usize = 1 << 20;
/// Pieces that may wait to be coded.
const AHEAD: usize = 4;

/// An opened input.
pub(crate) struct Input {
    /// The name for messages.
    pub(crate) path: PathBuf,
    file: Arc<File>,
    /// What the file was when it was opened, also if it is standard input.
    opened: fs::Metadata,
    /// Of a file that has a name.
    pub(crate) metadata: Option<fs::Metadata>,
}

/// Whether a path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Refuses a device, whose reading may never end or do something, unless forced.
pub(crate) fn refuse_device(path: &Path, force: bool) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = fs::metadata(path).map(|metadata| metadata.file_type());
        let device = kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device());
        if device && !force && !is_stdin(path) {
            let text = format!("{}: is a device: --force reads it", path.display());
            return Err(Usage(text).into());
        }
    }
    Ok(())
}

impl Input {
    /// Opens a file or, for `-`, standard input.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let stdin = is_stdin(path);
        let path: PathBuf = if stdin { "standard input".into() } else { path.to_owned() };
        let fail = |error| named(error, path.display());
        let file = if stdin { process::stdin() } else { File::open(&path) }.map_err(fail)?;
        let opened = file.metadata().map_err(fail)?;
        if opened.is_dir() {
            return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)).into());
        }
        let metadata = (!stdin).then(|| opened.clone());
        Ok(Self { path, file: Arc::new(file), opened, metadata })
    }

    /// Refuses compressed input typed at a terminal.
    pub(crate) fn refuse_terminal(&self) -> Result<()> {
        if self.metadata.is_none() && io::stdin().is_terminal() {
            return Err(
                Usage("compressed input is not read from a terminal; see --help".into()).into()
            );
        }
        Ok(())
    }

    /// The length, of a regular file.
    pub(crate) fn length(&self) -> Option<u64> {
        self.metadata.as_ref().filter(|metadata| metadata.is_file()).map(fs::Metadata::len)
    }

    /// The file, unless it is standard input.
    pub(crate) fn file(&self) -> Option<&File> {
        self.metadata.is_some().then_some(&*self.file)
    }

    /// How a regular file is another than when it was opened, if it is; `read` is what its end came
    /// after, where all of it was read.
    pub(crate) fn changed(&self, read: Option<u64>) -> io::Result<Option<String>> {
        if !self.opened.is_file() {
            return Ok(None);
        }
        let stamp = |metadata: &fs::Metadata| -> (u64, Option<SystemTime>) {
            (metadata.len(), metadata.modified().ok())
        };
        let now = self.file.metadata().map_err(|error| named(error, self.path.display()))?;
        let length = self.opened.len();
        Ok(if stamp(&now) != stamp(&self.opened) {
            Some("changed while it was read".into())
        } else if let Some(read) = read.filter(|&read| length > 0 && read != length)
            && self.metadata.is_some()
        {
            Some(format!("gave {read} bytes, but has a size of {length}"))
        } else {
            // What the kernel makes up (/proc) has a size of 0.
            None
        })
    }

    /// Runs `work` on the input while another thread reads ahead. Where no thread can be had,
    /// `work` reads by itself.
    pub(crate) fn read_ahead<T>(&self, work: impl FnOnce(ReadAhead) -> T) -> T {
        let (sender, receiver) = sync_channel(AHEAD);
        let (file, name) = (self.file.clone(), self.path.clone());
        // Not waited for: it may wait for a pipe long after nobody wants its bytes. The receiver is
        // dropped with the work, which ends the thread should it still have more.
        let thread = std::thread::Builder::new()
            .name("reader".into())
            .spawn(move || while send_piece(&file, &name, &sender) {});
        let source = match thread {
            Ok(_) => Pieces::Sent(receiver),
            Err(_) => Pieces::Read(self.file.clone(), self.path.clone()),
        };
        work(ReadAhead { source, piece: Vec::new(), taken: 0 })
    }
}

fn read_piece(mut file: &File, name: &Path) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE);
    match file.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
        Ok(_) => Ok(piece),
        Err(error) => Err(named(error, format_args!("cannot read {}", name.display()))),
    }
}

/// Reads and sends a piece; `false` after the last one.
fn send_piece(file: &File, name: &Path, sender: &SyncSender<io::Result<Vec<u8>>>) -> bool {
    let piece = read_piece(file, name);
    let more = piece.as_ref().is_ok_and(|piece| !piece.is_empty());
    sender.send(piece).is_ok() && more
}

enum Pieces {
    Sent(Receiver<io::Result<Vec<u8>>>),
    Read(Arc<File>, PathBuf),
}

/// What the reading thread has read.
pub(crate) struct ReadAhead {
    source: Pieces,
    piece: Vec<u8>,
    taken: usize,
}

impl ReadAhead {
    /// The next piece, empty at the end.
    pub(crate) fn piece(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.piece.len() {
            self.piece = match &self.source {
                Pieces::Sent(receiver) => receiver.recv().unwrap_or(Ok(Vec::new())),
                Pieces::Read(file, name) => read_piece(file, name),
            }?;
            self.taken = 0;
        }
        Ok(&self.piece[self.taken..])
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.taken += n;
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let here = self.piece()?;
        let n = here.len().min(out.len());
        out[..n].copy_from_slice(&here[..n]);
        self.consume(n);
        Ok(n)
    }
}
