//! Where input comes from: a file or standard input, read ahead of the coders by a thread of its own.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use anyhow::Result;

use crate::failure::{Usage, named};

/// Bytes of a piece that is read at once.
const PIECE: usize = 1 << 20;
/// Pieces that may wait to be coded.
const AHEAD: usize = 4;

/// An opened input.
pub(crate) struct Input {
    /// The name for messages.
    pub(crate) path: PathBuf,
    source: Source,
    /// Of a file.
    pub(crate) metadata: Option<fs::Metadata>,
}

enum Source {
    File(File),
    Stdin,
}

/// Whether a path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    /// Opens a file or, for `-`, standard input.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if is_stdin(path) {
            return Ok(Self {
                path: "standard input".into(),
                source: Source::Stdin,
                metadata: None,
            });
        }
        let fail = |error| named(error, path.display());
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)).into());
        }
        Ok(Self { path: path.to_owned(), source: Source::File(file), metadata: Some(metadata) })
    }

    /// Refuses compressed input typed at a terminal.
    pub(crate) fn refuse_terminal(&self) -> Result<()> {
        if matches!(self.source, Source::Stdin) && io::stdin().is_terminal() {
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
        match &self.source {
            Source::File(file) => Some(file),
            Source::Stdin => None,
        }
    }

    fn reader(&mut self) -> Box<dyn Read + Send + '_> {
        match &mut self.source {
            Source::File(file) => Box::new(file),
            Source::Stdin => Box::new(io::stdin()),
        }
    }

    /// Runs `work` on the input while another thread reads ahead.
    pub(crate) fn read_ahead<T: Send>(&mut self, work: impl FnOnce(ReadAhead) -> T + Send) -> T {
        let name = self.path.clone();
        let reader = self.reader();
        let (sender, receiver) = sync_channel(AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || read_pieces(reader, &name, &sender));
            // The receiver is dropped with the work, which ends the reader should it still have more.
            work(ReadAhead { receiver, piece: Vec::new(), taken: 0 })
        })
    }
}

fn read_pieces(mut reader: impl Read, name: &Path, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let read =
            read.map_err(|error| named(error, format_args!("cannot read {}", name.display())));
        let last = match &read {
            Ok(0) => return,
            Ok(_) => false,
            Err(_) => true,
        };
        if sender.send(read.map(|_| piece)).is_err() || last {
            return;
        }
    }
}

/// What the reading thread has read.
pub(crate) struct ReadAhead {
    receiver: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    taken: usize,
}

impl ReadAhead {
    /// The next piece, empty at the end.
    pub(crate) fn piece(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.piece.len() {
            self.piece = self.receiver.recv().unwrap_or(Ok(Vec::new()))?;
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
