//! What a writer codes content against besides itself.

use std::{io::Write, sync::Arc};

use super::FrameWriter;
use crate::frame::{
    base::Base,
    index::MAX_NAME,
    sources::{Repeat, Repeats},
};
use crate::{Error, Result};

impl<W: Write + Send> FrameWriter<W> {
    /// Codes content against a base where that takes less: each tensor against the tensor of its
    /// name, type and shape, else one of its type and shape; content of no known kind against the
    /// bytes at the same place. The frame can be read only with the base, see
    /// [`ReadOptions::bases`](crate::frame::ReadOptions) and
    /// [`FrameArchive::set_bases`](crate::frame::FrameArchive::set_bases), and names it.
    ///
    /// A second base is for content that resembles nothing of the first.
    ///
    /// # Errors
    /// `InvalidArgument` once content was written, and for a name that is too long to keep.
    pub fn with_base(mut self, base: Arc<Base>) -> Result<Self> {
        self.expect_base(&base)?;
        self.sources.add(base, &self.index.entries, &mut self.runs);
        Ok(self)
    }

    /// As [`FrameWriter::with_base`], where the caller says which ranges of the base resemble
    /// content, as those that [`fingerprints`](crate::frame::fingerprints) finds in both.
    ///
    /// # Errors
    /// As [`FrameWriter::with_base`].
    pub fn with_base_ranges(mut self, base: Arc<Base>, ranges: Vec<Repeat>) -> Result<Self> {
        self.expect_base(&base)?;
        self.sources.add_ranges(base, ranges, &mut self.runs);
        Ok(self)
    }

    fn expect_base(&self, base: &Base) -> Result<()> {
        self.expect_empty("a base")?;
        if base.name().len() > MAX_NAME {
            return Err(Error::InvalidArgument(format!(
                "a base's name of {} bytes: at most {MAX_NAME} are kept",
                base.name().len()
            )));
        }
        Ok(())
    }

    /// Says which content probably repeats earlier content, as
    /// [`find_repeats`](crate::frame::find_repeats) finds it: chunks that do are stored as a
    /// reference to the earlier ones. A reader keeps the coded bytes of content that may be
    /// repeated.
    ///
    /// # Errors
    /// `InvalidArgument` for a repeat that does not lie behind its source, and once content was
    /// written.
    pub fn with_repeats(mut self, repeats: Vec<Repeat>) -> Result<Self> {
        self.expect_empty("repeats")?;
        self.repeats = Repeats::new(repeats, &mut self.runs)?;
        Ok(self)
    }

    fn expect_empty(&self, what: &str) -> Result<()> {
        if self.position() > 0 {
            return Err(Error::InvalidArgument(format!("{what} after content was written")));
        }
        Ok(())
    }
}
