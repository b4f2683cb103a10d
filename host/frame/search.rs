//! Searching a damaged file for sound parts, where no part that is sound leads to them.

use std::io::{Read, Seek};

use super::{
    findings::{FramePlan, Front, PlannedChunk},
    places::FoundFrame,
    survey::{Survey, not_at},
    wire::{CHUNK_HEADER, FOOTER, HEADER, Part},
};
use crate::Result;

/// Bytes that are searched at once: few at first, for a search that soon ends.
const WINDOWS: std::ops::RangeInclusive<u64> = 4 << 10..=1 << 20;

impl<R: Read + Seek> Survey<R> {
    /// Looks for the chunks that have no place, between those that have one, and checks whether the
    /// bytes are there that they take.
    pub(super) fn search_gaps(
        &mut self,
        front: Option<&Front>,
        found: &FoundFrame,
        max_chunk: u32,
        chunks: &mut [PlannedChunk],
    ) -> Result<()> {
        let infos = &found.index.chunks;
        let size = |number: usize| CHUNK_HEADER as i64 + i64::from(infos[number].coded);
        let begin = front.map_or(self.floor, |front| front.at + HEADER as u64) as i64;
        let index_at = found.start + found.footer.index_offset as i64;
        let mut first = 0;
        while first < chunks.len() {
            if !chunks[first].places.is_empty() {
                first += 1;
                continue;
            }
            let lost = chunks[first..].iter().take_while(|chunk| chunk.places.is_empty()).count();
            let end = first + lost;
            let from = match first.checked_sub(1) {
                // The header of the chunk before is sound, but perhaps not its length of coded
                // bytes.
                Some(before) => {
                    chunks[before].places.last().map_or(begin, |&place| place + CHUNK_HEADER as i64)
                }
                None => begin,
            };
            let to =
                chunks.get(end).and_then(|next| next.places.last().copied()).unwrap_or(index_at);
            let mut there = Vec::new();
            self.search(from, to, |place, part| {
                if let Part::Chunk(chunk) = part
                    && chunk.id == found.footer.id
                    && chunk.info.raw <= max_chunk
                {
                    there.push((place, chunk));
                }
                false
            })?;
            let room =
                to - from - first.checked_sub(1).map_or(0, |before| i64::from(infos[before].coded));
            let earned = (first..end).map(size).sum::<i64>() <= room;
            for chunk in &mut chunks[first..end] {
                let info = infos[chunk.number as usize];
                let here = there.iter().find(|(_, c)| (c.offset, c.info) == (chunk.offset, info));
                chunk.places.extend(here.map(|&(place, _)| place));
                chunk.earned = earned;
            }
            first = end;
        }
        Ok(())
    }

    /// The plan of a frame whose end is not known: what follows of it up to `limit` is searched.
    pub(super) fn search_on(&mut self, front: &mut Front, limit: i64) -> Result<FramePlan> {
        let trouble = not_at(front.stop);
        let mut length = None;
        // Behind a chunk header that is sound, its coded bytes are due.
        let mut from = match front.chunks.last() {
            Some(&(place, _)) if !self.is_whole(front)? => place + CHUNK_HEADER as i64,
            _ => front.stop,
        };
        if from < front.reach {
            // What is found there may be the content of this chunk.
            self.cut = front.at + 1..front.reach as u64;
        }
        let promised = from <= limit;
        let limit = limit.max(from);
        while front.index.is_none() {
            let (id, offset, max_chunk) = (front.id, front.offset, front.max_chunk);
            let found = self.search(from, limit, |_, part| match part {
                Part::Chunk(chunk) => {
                    chunk.id == id && chunk.offset >= offset && chunk.info.raw <= max_chunk
                }
                Part::Index(index) => index.id == id && index.content_length >= offset,
                Part::Footer(footer) => footer.id == id && footer.content_length >= offset,
                Part::Header(_) => false,
            })?;
            match found {
                Some((place, Part::Chunk(chunk))) => {
                    (front.stop, front.offset) = (place, chunk.offset);
                    self.follow(front)?;
                    // A header without its bytes behind it is not followed.
                    from = front.stop.max(place + CHUNK_HEADER as i64);
                }
                Some((place, Part::Index(index))) => {
                    (front.stop, front.offset) = (place, index.content_length);
                    front.index = Some(index);
                }
                Some((place, Part::Footer(footer))) => {
                    length = Some(footer.content_length);
                    self.floor = place as u64 + FOOTER as u64;
                    self.due = self.floor;
                    break;
                }
                _ => break,
            }
        }
        if front.index.is_some() {
            let mut plan = self.complete(front)?;
            plan.trouble = Some(trouble);
            return Ok(plan);
        }
        let mut plan = self.plan(front, length);
        plan.trouble = Some(trouble);
        if length.is_none() {
            plan.length = front.header.and_then(|header| header.content_length);
            plan.open = true;
            self.floor = from.max(0) as u64;
            self.due = limit.max(from) as u64;
            self.promised = promised;
            let due = self.due;
            let begin = front.stop.max(front.reach) as u64;
            plan.last = !self.search_frame(begin, due)? && due == self.places.length;
        }
        Ok(plan)
    }

    /// Looks for a frame that begins between two places, and makes it the next one.
    pub(super) fn search_frame(&mut self, from: u64, limit: u64) -> Result<bool> {
        let mut at = from;
        while at < limit {
            let found =
                self.search(at as i64, limit as i64, |_, part| matches!(part, Part::Header(_)))?;
            let Some((place, Part::Header(header))) = found else { return Ok(false) };
            let next = place + HEADER as i64;
            let chunk = self.places.chunk(next, header.max_chunk)?;
            let index = self.places.index_header(next)?;
            let id = chunk.map(|chunk| chunk.id).or(index.map(|index| index.id));
            // A frame that is known already is a copy.
            if id == Some(header.id) && !self.ids.contains(&header.id) {
                (self.due, self.doubtful_until) = (place as u64, limit);
                self.promised = true;
                return Ok(true);
            }
            at = place as u64 + 1;
        }
        Ok(false)
    }

    /// The first sound part that begins between two places and that `accept` wants.
    fn search(
        &mut self,
        from: i64,
        to: i64,
        mut accept: impl FnMut(i64, Part) -> bool,
    ) -> Result<Option<(i64, Part)>> {
        let mut at = from.max(0);
        let to = to.min(self.places.length as i64);
        let mut window = Vec::new();
        let mut most = *WINDOWS.start();
        while at < to {
            self.places.bytes(at, most + FOOTER as u64, &mut window)?;
            let starts = (to - at).min(most as i64) as usize;
            for place in 0..starts.min(window.len()) {
                if let Some(part) = Part::at(&window[place..])
                    && accept(at + place as i64, part)
                {
                    return Ok(Some((at + place as i64, part)));
                }
            }
            at += most as i64;
            most = (2 * most).min(*WINDOWS.end());
        }
        Ok(None)
    }
}
