//! Finding what is whole in a damaged file. A file is followed from its start, part by part, each
//! at the place that the part before it promises; and frame by frame from its end, each by its
//! footer and index. Whatever a single change left whole is on one of the two paths. What lies
//! between them is searched, but only for parts of the frame that is known to be there; frames
//! found by search alone may be content of a lost chunk, and are doubtful. `docs/frame-format.md`
//! has the reasons.

use std::{
    collections::HashSet,
    io::{Read, Seek},
    ops::Range,
};

use super::{
    findings::{FramePlan, Front, Item, PlannedChunk},
    places::{FoundFrame, Places},
    wire::{CHUNK_HEADER, ChunkHeader, FOOTER, Footer, HEADER, INDEX_HEADER, MAX_CHUNK, max_index},
};
use crate::{Error, Result};

pub(super) struct Survey<R> {
    pub(super) places: Places<R>,
    /// The end of the last part that is known to belong to a frame before.
    pub(super) floor: u64,
    /// Where the next frame is due; its start only if `promised`.
    pub(super) due: u64,
    pub(super) promised: bool,
    /// Frames found from the end of the file, the lowest last: start and end.
    tail: Option<Vec<(i64, u64)>>,
    /// Frames that begin before this place were found by search.
    pub(super) doubtful_until: u64,
    /// The frame up to where the coded bytes of its last chunk are due, which are not whole.
    pub(super) cut: Range<u64>,
    pub(super) ids: HashSet<u32>,
    frames: u64,
}

impl<R: Read + Seek> Survey<R> {
    pub(super) fn new(inner: R) -> Result<Self> {
        Ok(Self {
            places: Places::new(inner)?,
            floor: 0,
            due: 0,
            promised: true,
            tail: None,
            doubtful_until: 0,
            cut: 0..0,
            ids: HashSet::new(),
            frames: 0,
        })
    }

    /// The next item in the order of the file.
    ///
    /// # Errors
    /// `Unsupported` for a file without a frame, or whose first frame is of another version; `Io`.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        let length = self.places.length;
        let promised = std::mem::replace(&mut self.promised, true);
        let mut front = if promised && self.due < length { self.front(self.due)? } else { None };
        let mut found = self.lowest_of_tail()?;
        if let (Some(inside), Some(around)) = (&front, &found)
            && self.is_content(inside.start(), around)?
        {
            front = None;
        }
        if let Some(front) = front.as_ref().filter(|front| front.index.is_some()) {
            let plan = self.complete(front)?;
            return self.frame(plan);
        }
        if self.floor == length {
            return Ok(None);
        }
        let mut whole = None;
        while let (Some(front), Some(inside)) = (&front, &found)
            && inside.end as i64 <= front.reach
            && !same(front, inside)
        {
            // It lies where the coded bytes of a chunk are due: content, if these are whole, and
            // perhaps if they are not.
            let whole = match whole {
                Some(whole) => whole,
                None => *whole.insert(self.is_whole(front)?),
            };
            if !whole {
                break;
            }
            self.tail.as_mut().map(Vec::pop);
            found = self.lowest_of_tail()?;
        }
        match (front, found) {
            (None, None) if self.due >= length => Ok(None),
            (Some(front), Some(found)) if same(&front, &found) => {
                let plan = self.by_index(Some(&front), &found)?;
                self.frame(plan)
            }
            (None, Some(found)) if found.start <= self.due as i64 => {
                let plan = self.by_index(None, &found)?;
                self.frame(plan)
            }
            (Some(mut front), found) => {
                let limit = found.map_or(length as i64, |found| found.start);
                let plan = self.search_on(&mut front, limit)?;
                self.frame(plan)
            }
            (None, found) => {
                let limit = found.map_or(length, |found| found.start as u64);
                let foreign = self.due..limit;
                if !self.search_frame(self.due, limit)? {
                    if self.frames == 0 && limit == length {
                        return Err(Error::Unsupported(
                            "not a parans frame: no part of one in it".into(),
                        ));
                    }
                    (self.floor, self.due) = (limit, limit);
                }
                Ok(Some(Item::Foreign(foreign.start..self.due)))
            }
        }
    }

    fn frame(&mut self, mut plan: FramePlan) -> Result<Option<Item>> {
        let Range { start, end } = plan.extent;
        plan.doubtful =
            start < self.doubtful_until || self.cut.contains(&start) && end <= self.cut.end;
        self.ids.insert(plan.id);
        self.frames += 1;
        Ok(Some(Item::Frame(plan)))
    }

    /// The lowest frame found from the end of the file that ends behind what is known already.
    fn lowest_of_tail(&mut self) -> Result<Option<FoundFrame>> {
        if self.tail.is_none() {
            let mut tail = Vec::new();
            let mut end = self.places.length;
            while let Some(found) = self.ending_at(end)? {
                tail.push((found.start, end));
                match u64::try_from(found.start) {
                    Ok(start) if start > self.due => end = start,
                    _ => break,
                }
            }
            self.tail = Some(tail);
        }
        let tail = self.tail.as_mut().expect("it was made above");
        while tail.last().is_some_and(|&(_, end)| end <= self.floor) {
            tail.pop();
        }
        match tail.last() {
            Some(&(_, end)) => self.ending_at(end),
            None => Ok(None),
        }
    }

    fn ending_at(&mut self, end: u64) -> Result<Option<FoundFrame>> {
        match self.places.frame_ending_at(end) {
            Ok(found) => Ok(Some(found)),
            Err(error @ Error::Io(_)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Follows the frame at `at` as far as its parts are where they are due; none where nothing
    /// says that there is a frame.
    fn front(&mut self, at: u64) -> Result<Option<Front>> {
        let header = match self.places.header(at) {
            Ok(header) => Some(header),
            // Another version has another layout: there is nothing to save here.
            Err(error @ Error::Unsupported(_)) if self.frames == 0 && self.is_magic(at)? => {
                return Err(error);
            }
            Err(error @ Error::Io(_)) => return Err(error),
            Err(_) => None,
        };
        let stop = (at + HEADER as u64) as i64;
        let id = match header {
            Some(header) => Some(header.id),
            None => match self.places.chunk(stop, MAX_CHUNK as u32)? {
                Some(chunk) => Some(chunk.id).filter(|_| chunk.offset == 0),
                None => self
                    .places
                    .index_header(stop)?
                    .filter(|index| index.content_length == 0)
                    .map(|index| index.id),
            },
        };
        let Some(id) = id else { return Ok(None) };
        let max_chunk = header.map_or(MAX_CHUNK as u32, |header| header.max_chunk);
        let mut front = Front {
            at,
            id,
            max_chunk,
            header,
            chunks: Vec::new(),
            stop,
            offset: 0,
            reach: 0,
            index: None,
        };
        self.follow(&mut front)?;
        Ok(Some(front))
    }

    fn is_magic(&mut self, at: u64) -> Result<bool> {
        let mut bytes = Vec::new();
        self.places.bytes(at as i64, 8, &mut bytes)?;
        Ok(bytes.len() == 8 && super::is_frame(&bytes))
    }

    /// Takes the parts that are where they are due.
    pub(super) fn follow(&mut self, front: &mut Front) -> Result<()> {
        while let Some(chunk) = self.places.chunk(front.stop, front.max_chunk)? {
            if (chunk.id, chunk.offset) != (front.id, front.offset) {
                return Ok(());
            }
            front.reach = front.stop + chunk.length() as i64;
            if front.reach > self.places.length as i64 {
                return Ok(());
            }
            front.chunks.push((front.stop, chunk));
            front.stop = front.reach;
            front.offset += u64::from(chunk.info.raw);
        }
        let index = self.places.index_header(front.stop)?;
        front.index =
            index.filter(|index| (index.id, index.content_length) == (front.id, front.offset));
        Ok(())
    }

    /// The plan of a frame whose chunks are complete up to the index header.
    pub(super) fn complete(&mut self, front: &Front) -> Result<FramePlan> {
        let index = front.index.expect("only for complete frames");
        let index_end = front.stop + INDEX_HEADER as i64;
        let mut plan = self.plan(front, Some(front.offset));
        let expected = Footer {
            index_offset: front.stop as u64 - front.at,
            index_length: index.length,
            index_check: 0,
            content_length: front.offset,
            content_check: 0,
            id: front.id,
        };
        // An index that its frame cannot have, or that the file has no bytes for, is not looked at.
        let most =
            (self.places.length - index_end as u64).min(max_index(front.chunks.len() as u64));
        let footer_at = index_end.saturating_add_unsigned(index.length);
        let (mut bytes, mut footer) = (Vec::new(), Vec::new());
        if index.length <= most {
            self.places.bytes(index_end, index.length, &mut bytes)?;
            self.places.bytes(footer_at, FOOTER as u64, &mut footer)?;
        }
        let expected = Footer { index_check: xxhash_rust::xxh3::xxh3_64(&bytes), ..expected };
        let sound = footer.first_chunk().and_then(|bytes| Footer::from_bytes(bytes).ok());
        let sound = sound.filter(|footer| {
            let Footer { index_check, content_check, .. } = *footer;
            *footer == Footer { index_check, content_check, ..expected }
        });
        self.due = (footer_at as u64).saturating_add(FOOTER as u64);
        plan.extent.end = self.due;
        match sound {
            Some(sound) => {
                self.floor = self.due;
                plan.check = Some(sound.content_check);
                let described =
                    super::index::Index::from_bytes(&bytes, front.max_chunk).is_ok_and(|index| {
                        index.chunks.iter().eq(front.chunks.iter().map(|(_, chunk)| &chunk.info))
                    });
                if sound.index_check != expected.index_check {
                    plan.trouble = Some("the index differs from its checksum".into());
                } else if !described {
                    plan.trouble = Some("the index does not describe the chunks before it".into());
                }
            }
            None => {
                self.floor = index_end as u64;
                plan.trouble = Some(if self.due > self.places.length {
                    "the file ends inside the index or the footer".into()
                } else {
                    "the index or the footer is damaged".into()
                });
                plan.footer = Some((expected, footer));
            }
        }
        match front.header {
            None => plan.trouble = Some("the frame header is damaged".into()),
            Some(header) if header.content_length.is_some_and(|n| n != front.offset) => {
                plan.trouble = Some("the header announces another length".into());
            }
            Some(_) => {}
        }
        Ok(plan)
    }

    /// Whether the last chunk followed has the coded bytes that it was written with.
    pub(super) fn is_whole(&mut self, front: &Front) -> Result<bool> {
        match front.chunks.last() {
            Some((place, chunk)) => self.has_coded_bytes(*place, chunk),
            None => Ok(false),
        }
    }

    /// Whether `place` is inside the coded bytes of a whole chunk of a frame found from its end.
    /// What seems to be a frame there is content: bytes missing before it moved it to where a frame
    /// is due.
    fn is_content(&mut self, place: u64, found: &FoundFrame) -> Result<bool> {
        let max_chunk = found.header.map_or(MAX_CHUNK as u32, |header| header.max_chunk);
        let (mut begin, mut offset) = (found.start + HEADER as i64, 0);
        for info in &found.index.chunks {
            let coded = begin + CHUNK_HEADER as i64;
            let end = coded + i64::from(info.coded);
            if (place as i64) < coded {
                // The chunks ascend.
                return Ok(false);
            }
            if (place as i64) < end {
                let header = self.places.chunk(begin, max_chunk)?.filter(|chunk| {
                    (chunk.id, chunk.info, chunk.offset) == (found.footer.id, *info, offset)
                });
                return match header {
                    Some(header) => self.has_coded_bytes(begin, &header),
                    None => Ok(false),
                };
            }
            (begin, offset) = (end, offset + u64::from(info.raw));
        }
        Ok(false)
    }

    fn has_coded_bytes(&mut self, place: i64, chunk: &ChunkHeader) -> Result<bool> {
        let mut coded = Vec::new();
        self.places.bytes(place + CHUNK_HEADER as i64, chunk.info.coded.into(), &mut coded)?;
        Ok(chunk.matches(&coded))
    }

    /// The plan of what was followed.
    pub(super) fn plan(&self, front: &Front, length: Option<u64>) -> FramePlan {
        let chunks =
            front.chunks.iter().enumerate().map(|(number, &(place, chunk))| PlannedChunk {
                number: number as u64,
                offset: chunk.offset,
                raw: chunk.info.raw,
                places: vec![place],
                earned: true,
            });
        FramePlan {
            id: front.id,
            max_chunk: front.max_chunk,
            chunks: chunks.collect(),
            length,
            check: None,
            trouble: None,
            footer: None,
            open: false,
            last: false,
            apart: false,
            doubtful: false,
            extent: front.start()..front.stop as u64,
            lost: Vec::new(),
        }
    }

    /// The plan of a frame whose index is sound: each chunk is where the index places it, counted
    /// from the end of the frame or from its start. Chunks at neither place are searched for.
    fn by_index(&mut self, front: Option<&Front>, found: &FoundFrame) -> Result<FramePlan> {
        let id = found.footer.id;
        let max_chunk = found.header.map_or(MAX_CHUNK as u32, |header| header.max_chunk);
        let mut chunks = Vec::with_capacity(found.index.chunks.len());
        let (mut place, mut offset) = (found.start + HEADER as i64, 0);
        let mut twice = false;
        let mut lost = Vec::new();
        for (number, info) in found.index.chunks.iter().enumerate() {
            let mut places = Vec::new();
            if let Some(&(place, _)) = front.and_then(|front| front.chunks.get(number)) {
                places.push(place);
            }
            if !places.contains(&place)
                && place >= self.floor as i64
                && self.places.chunk(place, max_chunk)?.is_some_and(|chunk| {
                    (chunk.id, chunk.info, chunk.offset) == (id, *info, offset)
                })
            {
                twice |= !places.is_empty();
                places.push(place);
            }
            if places.is_empty() && place < self.due as i64 {
                lost.push(
                    place + CHUNK_HEADER as i64
                        ..place + CHUNK_HEADER as i64 + i64::from(info.coded),
                );
            }
            chunks.push(PlannedChunk {
                number: number as u64,
                offset,
                raw: info.raw,
                earned: true,
                places,
            });
            place += (CHUNK_HEADER as u64 + u64::from(info.coded)) as i64;
            offset += u64::from(info.raw);
        }
        self.search_gaps(front, found, max_chunk, &mut chunks)?;
        let trouble = match front {
            _ if twice => "parts of the frame are there twice".into(),
            Some(front) if front.header.is_none() => "the frame header is damaged".into(),
            None => "the frame header is damaged".into(),
            Some(front) => not_at(front.stop),
        };
        let due = self.due;
        (self.floor, self.due) = (found.end, found.end);
        Ok(FramePlan {
            id,
            max_chunk,
            chunks,
            length: Some(offset),
            check: Some(found.footer.content_check),
            trouble: Some(trouble),
            footer: None,
            // A frame that is there twice may be two, of which each lost a part.
            open: twice,
            last: false,
            apart: front.is_none() && found.start != due as i64,
            doubtful: false,
            extent: found.start.max(0) as u64..found.end,
            lost,
        })
    }
}

/// Whether a frame found from its end is the one that was followed from its start.
fn same(front: &Front, found: &FoundFrame) -> bool {
    let moved = found.start - front.at as i64;
    // Another frame with the same beginning stands where its own header does, or right behind one
    // of the same length.
    let other = moved != 0
        && (found.header.is_some() || found.footer.frame_length() == u64::try_from(moved).ok());
    let chunks = &found.index.chunks;
    let alike = front.chunks.len() <= chunks.len()
        && front.chunks.iter().zip(chunks).all(|((_, a), b)| a.info == *b);
    found.footer.id == front.id && alike && !other
}

pub(super) fn not_at(place: i64) -> String {
    format!("no sound part of the frame is at file offset {place}, where one is due")
}
