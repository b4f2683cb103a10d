//! Content that is recognised as it arrives, by its beginning or, of a zip file, member by member.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::{HEAD, Layout, fit, head_wanted, recognise_head, walk::Walk};
use crate::frame::{Base, Container, FrameWriter, Summary, WriteOptions};
use crate::{Error, Result};

/// The longest header that is waited for where the length of the content is not known, and where it
/// is.
const MAX_STREAM_HEAD: u64 = 16 << 20;
const MAX_HEAD: u64 = 100_000_008;

/// Writes one frame of content that is recognised while it is written: a model file from a pipe.
///
/// safetensors, npy and GGUF files are recognised by their headers, of which up to 16 MiB are held.
/// An npz file and what `torch.save` writes are followed member by member, as `numpy` and PyTorch
/// write them to files and to pipes; a pickle of up to 64 MiB is held, and members below 1 MiB.
/// Content that turns out to be something else is kept as plain bytes.
///
/// ```
/// use std::io::{Cursor, Write};
/// use parans::frame::{Container, FrameArchive, RecognisingWriter, WriteOptions};
///
/// let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }";
/// let mut array = [b"\x93NUMPY\x01\0v\0", &header[..]].concat();
/// array.resize(127, b' ');
/// array.extend(b"\n123456789012345678901234567890123456");
/// let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default());
/// for piece in array.chunks(10) {
///     writer.write_all(piece)?;
/// }
/// let (frame, _) = writer.finish()?;
/// assert_eq!(FrameArchive::open(Cursor::new(frame))?.index().container, Container::Npy);
/// # Ok::<(), parans::Error>(())
/// ```
pub struct RecognisingWriter<W: Write> {
    state: State<W>,
    length: Option<u64>,
    bases: Vec<Arc<Base>>,
    position: u64,
}

enum State<W: Write> {
    /// What it is shows when so many bytes are held.
    Head {
        inner: W,
        options: WriteOptions,
        held: Vec<u8>,
        wanted: u64,
    },
    Known(FrameWriter<W>),
    Zip(FrameWriter<W>, Box<Walk>),
    Failed,
}

impl<W: Write + Send> RecognisingWriter<W> {
    /// Begins a frame. The options are checked with the first bytes that are coded.
    pub fn new(inner: W, options: WriteOptions) -> Self {
        let state = State::Head { inner, options, held: Vec::new(), wanted: HEAD };
        Self { state, length: None, bases: Vec::new(), position: 0 }
    }

    /// Says how many bytes will come, of a file for instance. Headers of up to 100 MB are waited
    /// for then; a layout of content of another length is none; and the frame announces the
    /// length if the content is recognised, so that another one in the end is an error. Zip files
    /// are not followed: [`recognise_file`](super::recognise_file) finds more in their directory.
    #[must_use]
    pub fn expect_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Codes the content against bases, see [`FrameWriter::with_base`].
    #[must_use]
    pub fn with_bases(mut self, bases: Vec<Arc<Base>>) -> Self {
        self.bases = bases;
        self
    }

    /// Content bytes taken so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the content has been recognised, as far as it has come.
    #[must_use]
    pub fn is_recognised(&self) -> bool {
        match &self.state {
            State::Known(frame) => frame.container() != Container::None,
            State::Zip(_, walk) => walk.is_sound(),
            State::Head { held, .. } => self.layout(held).is_some(),
            State::Failed => false,
        }
    }

    /// The layout of the content that begins with `head`.
    fn layout(&self, head: &[u8]) -> Option<Layout> {
        let layout = recognise_head(head)?;
        match self.length {
            Some(length) => fit(layout, length),
            None => Some(layout),
        }
    }

    /// Ends the frame: see [`FrameWriter::finish`].
    ///
    /// # Errors
    /// The same.
    pub fn finish(mut self) -> Result<(W, Summary)> {
        self.decide(true)?;
        match self.state {
            State::Known(mut frame) => {
                // What fills a file up to its alignment was not foreseen.
                let after = frame.unplanned();
                let layout = Layout { container: frame.container(), ..Layout::default() };
                if let (Some(after), Container::Gguf) = (after, frame.container())
                    && let Some(layout) = fit(layout, after)
                {
                    frame.extend_layout(layout.segments);
                }
                frame.finish()
            }
            State::Zip(mut frame, walk) => {
                if let Some((container, entries)) = walk.finish(&mut frame)? {
                    frame.set_directory(container, entries);
                }
                frame.finish()
            }
            State::Head { .. } | State::Failed => {
                Err(io::Error::other("an earlier write to this frame failed").into())
            }
        }
    }

    /// Begins the frame if the beginning says what it is, or if there will be no more of it.
    fn decide(&mut self, end: bool) -> Result<()> {
        let State::Head { held, wanted, .. } = &mut self.state else { return Ok(()) };
        let most = self.length.map_or(MAX_STREAM_HEAD, |_| MAX_HEAD);
        let mut open = !end;
        while open {
            if (held.len() as u64) < *wanted {
                return Ok(());
            }
            let more = head_wanted(held);
            open = more > *wanted && more <= most;
            *wanted = more;
        }
        let State::Head { inner, mut options, held, .. } =
            std::mem::replace(&mut self.state, State::Failed)
        else {
            return Ok(());
        };
        let layout = self.layout(&held);
        if self.length.is_none() && layout.is_none() && Walk::begins(&held) {
            let mut frame = against(FrameWriter::new(inner, options)?, &mut self.bases)?;
            let mut walk = Box::<Walk>::default();
            walk.take(&held, &mut frame)?;
            self.state = State::Zip(frame, walk);
            return Ok(());
        }
        if layout.is_some() {
            options.content_length = options.content_length.or(self.length);
        }
        let frame = FrameWriter::with_layout(inner, options, layout.unwrap_or_default())?;
        let mut frame = against(frame, &mut self.bases)?;
        frame.write_all(&held)?;
        self.state = State::Known(frame);
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let State::Head { held, wanted, .. } = &mut self.state {
            if bytes.is_empty() {
                return Ok(());
            }
            let missing = wanted.saturating_sub(held.len() as u64);
            let (here, rest) = bytes.split_at((bytes.len() as u64).min(missing) as usize);
            held.extend_from_slice(here);
            bytes = rest;
            self.decide(false)?;
        }
        match &mut self.state {
            State::Known(frame) => frame.write_all(bytes)?,
            State::Zip(frame, walk) => walk.take(bytes, frame)?,
            State::Head { .. } | State::Failed => {
                return Err(io::Error::other("an earlier write to this frame failed").into());
            }
        }
        Ok(())
    }
}

/// Gives a writer its bases.
fn against<W: Write + Send>(
    frame: FrameWriter<W>,
    bases: &mut Vec<Arc<Base>>,
) -> Result<FrameWriter<W>> {
    bases.drain(..).try_fold(frame, FrameWriter::with_base)
}

impl<W: Write + Send> Write for RecognisingWriter<W> {
    /// Takes all of `bytes`, or fails for ever.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.take(bytes) {
            Ok(()) => {
                self.position += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(error) => {
                self.state = State::Failed;
                Err(match error {
                    Error::Io(error) => error,
                    error => io::Error::other(error),
                })
            }
        }
    }

    /// Writes what is coded.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Known(frame) | State::Zip(frame, _) => frame.flush(),
            State::Head { .. } | State::Failed => Ok(()),
        }
    }
}
