//! What a recogniser learns of content while it is written.

use std::io::Write;

use super::FrameWriter;
use crate::frame::{
    index::{Container, Entry},
    layout::{Segment, runs},
};
use crate::order0;

impl<W: Write + Send> FrameWriter<W> {
    /// Adds what a recogniser has learnt of the content that comes next.
    pub(in crate::frame) fn extend_layout(&mut self, segments: Vec<Segment>) {
        if let Some(planned) = &mut self.planned {
            *planned += segments.iter().map(|segment| segment.length).sum::<u64>();
        }
        let together = self.options.chunk_size.unwrap_or(order0::DEFAULT_CHUNK) / 8 * 8;
        self.runs.extend(runs(segments, together as u64));
    }

    /// The container of the content, as far as is known.
    pub(in crate::frame) fn container(&self) -> Container {
        self.index.container
    }

    /// Content bytes past those that the layout speaks of.
    pub(in crate::frame) fn unplanned(&self) -> Option<u64> {
        self.position().checked_sub(self.planned?)
    }

    /// Replaces the directory by what a recogniser has found in the content.
    pub(in crate::frame) fn set_directory(&mut self, container: Container, entries: Vec<Entry>) {
        self.index.container = container;
        self.index.entries = entries;
    }
}
