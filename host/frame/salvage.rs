//! Saving what is whole in a damaged file, and reporting what is not. [`super::survey`] finds the
//! chunks; here they are checked, decoded and written.

use std::{
    io::{Read, Seek, Write},
    ops::Range,
};

use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::{
    base::Bases,
    chunk::{ChunkDecoder, repeated},
    findings::{FramePlan, Item, PlannedChunk},
    options::{Summary, batch_bytes},
    reader::{ReadOptions, decode},
    survey::Survey,
    walk::no_source,
    wire::{CHUNK_HEADER, ChunkCodec, ChunkHeader, MAX_CHUNK},
};
use crate::{Error, Result};

/// Bytes of zeros for each byte of the file that may stand for lost chunks whose bytes are not in
/// the file.
const EXPANSION: u64 = 1024;
/// The least bytes at the end of a footer by which it is known: its checksum and its tag.
const FOOTER_END: usize = 8;

/// What became of lost content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// No content of the frame is lost: its header, index or footer is damaged, or its parts are
    /// not where they were.
    Nothing,
    /// Zeros stand for it, as many as bytes are lost.
    Zeros,
    /// So many bytes are lost and nothing stands for them: nothing follows, or the file has not the
    /// bytes that so much content takes.
    Omitted(u64),
    /// Nobody knows how many bytes are lost, perhaps none; nothing stands for them. Whole frames
    /// can be among them.
    Unknown,
    /// Nothing is known to be lost, but the bytes may not be what was written: they differ from the
    /// checksum of the whole, or the frame that they are in may be content of a lost chunk of
    /// another frame.
    Doubtful,
}

/// A part of the file that is not as it was written.
///
/// All that is written and lies in no [`Damage::output`] is right. It stands where it stood in the
/// content, too, less what earlier damage [omitted](Loss::Omitted); behind damage of
/// [unknown](Loss::Unknown) length it stands in its place among the bytes since then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The number of the frame, from 0, in the order in which frames were found.
    pub frame: u64,
    /// The number of the first lost chunk in its frame, where the damage is of chunks whose number
    /// is known.
    pub chunk: Option<u64>,
    /// The bytes written that are not right; empty at the place where bytes are missing or may be.
    pub output: Range<u64>,
    /// What is lost there.
    pub loss: Loss,
    /// What is wrong.
    pub reason: String,
}

/// Reads damaged frames; see the [module](super) for the whole.
///
/// Content of lost chunks is written as zeros where its length is known and the file has, or may
/// have had, the bytes for it: the rest keeps its place then. Memory is bounded by a batch of
/// chunks, about 80 bytes for each chunk of a frame, and 64 for each frame.
pub struct FrameSalvage<R> {
    survey: Survey<R>,
    options: ReadOptions,
    bases: Bases,
    damage: Vec<Damage>,
    /// The frames given out.
    frames: Vec<Given>,
    given: u64,
    chunks: u64,
    /// Zeros that may still be written for chunks whose bytes are not in the file.
    allowance: u64,
}

/// A frame that was given out.
struct Given {
    file: Range<u64>,
    output: Range<u64>,
    doubtful: bool,
}

impl<R: Read + Seek> FrameSalvage<R> {
    /// Saves from `inner`, from its first byte to its last. What cannot be sought has to be copied
    /// to a file first.
    ///
    /// # Errors
    /// `Io` from `inner`.
    pub fn new(inner: R, options: ReadOptions) -> Result<Self> {
        let survey = Survey::new(inner)?;
        let allowance = survey.places.length.saturating_mul(EXPANSION);
        Ok(Self {
            survey,
            bases: options.bases.clone().into(),
            options,
            damage: Vec::new(),
            frames: Vec::new(),
            given: 0,
            chunks: 0,
            allowance,
        })
    }

    /// Writes all content that is whole. What is not is listed by [`FrameSalvage::damage`]
    /// afterwards.
    ///
    /// # Errors
    /// `Unsupported` for a file without a frame, for a first frame of another version, and for more
    /// content than the options allow; `Io` from either side.
    pub fn copy_to<W: Write + ?Sized>(&mut self, output: &mut W) -> Result<Summary> {
        while let Some(item) = self.survey.next()? {
            match item {
                Item::Frame(plan) => self.frame(plan, output)?,
                Item::Foreign(file) => {
                    let Range { start, end } = file;
                    let reason = format!("the bytes {start}..{end} of the file belong to no frame");
                    self.report(None, Loss::Unknown, reason);
                }
            }
        }
        if self.frames.is_empty() {
            return Err(Error::Truncated("the file is empty".into()));
        }
        let frame = self.survey.places.length;
        Ok(Summary { content: self.given, frame, chunks: self.chunks })
    }

    /// What is lost or doubtful so far, in the order in which it was found.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    fn report(&mut self, chunk: Option<u64>, loss: Loss, reason: String) {
        let frame = self.frames.len() as u64;
        self.damage.push(Damage { frame, chunk, output: self.given..self.given, loss, reason });
    }

    fn frame<W: Write + ?Sized>(&mut self, plan: FramePlan, output: &mut W) -> Result<()> {
        let (begin, reports) = (self.given, self.damage.len());
        let trouble = plan.trouble.clone().unwrap_or_default();
        self.overlaps(&plan);
        if plan.apart {
            self.report(None, Loss::Unknown, "the frame does not begin where it is due".into());
        }
        let (mut hash, mut offset, mut sound) = (Xxh3::new(), 0, true);
        let mut chunks = &plan.chunks[..];
        while !chunks.is_empty() {
            let batch;
            (batch, chunks) = chunks.split_at(batch_of(chunks, plan.max_chunk));
            for (chunk, decoded) in batch.iter().zip(self.decode(batch, &plan)?) {
                if chunk.offset > offset {
                    sound = false;
                    self.hole(chunk.offset - offset, Some(chunk.number), false, &trouble, output)?;
                }
                match decoded {
                    Ok(bytes) => {
                        self.room(bytes.len() as u64)?;
                        output.write_all(&bytes)?;
                        hash.update(&bytes);
                        self.given += bytes.len() as u64;
                        self.chunks += 1;
                    }
                    Err(reason) => {
                        sound = false;
                        let (raw, number) = (chunk.raw.into(), Some(chunk.number));
                        self.hole(raw, number, chunk.earned, &reason, output)?;
                    }
                }
                offset = chunk.offset + u64::from(chunk.raw);
            }
        }
        if let Some(rest) =
            plan.length.and_then(|length| length.checked_sub(offset)).filter(|&n| n > 0)
        {
            sound = false;
            if plan.last {
                self.report(None, Loss::Omitted(rest), trouble.clone());
            } else {
                self.hole(rest, None, false, &trouble, output)?;
            }
        }
        let digest = hash.digest();
        let ends_elsewhere = plan.footer.is_some_and(|(footer, there)| {
            let expected = super::wire::Footer { content_check: digest, ..footer }.to_bytes();
            !sound
                || there.len() != expected.len()
                || !there.ends_with(&expected[expected.len() - FOOTER_END..])
        });
        let all = begin..self.given;
        let whole_differs = sound && plan.check.is_some_and(|check| check != digest);
        for (doubtful, reason) in [
            (whole_differs, "the content differs from the checksum of the whole"),
            (plan.doubtful, "the frame may be content of a lost chunk of another one"),
        ] {
            if doubtful {
                self.report(None, Loss::Doubtful, reason.into());
                self.damage.last_mut().expect("it was just made").output = all.clone();
            }
        }
        if plan.open || ends_elsewhere {
            self.report(None, Loss::Unknown, trouble);
        } else if plan.trouble.is_some() && self.damage.len() == reports {
            self.report(None, Loss::Nothing, trouble);
        }
        self.frames.push(Given { file: plan.extent, output: all, doubtful: plan.doubtful });
        Ok(())
    }

    /// Casts doubt on earlier frames that lie where the coded bytes of this frame's lost chunks are
    /// due.
    fn overlaps(&mut self, plan: &FramePlan) {
        let Some(first) = plan.lost.first() else { return };
        let frames = self.frames.iter_mut().enumerate().rev();
        for (number, given) in frames.take_while(|(_, given)| given.file.end as i64 > first.start) {
            let (start, end) = (given.file.start as i64, given.file.end as i64);
            let slot = plan.lost.partition_point(|slot| slot.start <= start).checked_sub(1);
            if slot.is_some_and(|slot| end <= plan.lost[slot].end) && !given.doubtful {
                given.doubtful = true;
                self.damage.push(Damage {
                    frame: number as u64,
                    chunk: None,
                    output: given.output.clone(),
                    loss: Loss::Doubtful,
                    reason: "the frame may be content of a lost chunk of the next one".into(),
                });
            }
        }
    }

    /// The content of chunks, or what is wrong with each.
    fn decode(
        &mut self,
        chunks: &[PlannedChunk],
        plan: &FramePlan,
    ) -> Result<Vec<std::result::Result<Vec<u8>, String>>> {
        let mut coded = Vec::new();
        for chunk in chunks {
            let mut found = self.read(chunk, plan)?;
            // A chunk that repeats another is as good as that one.
            for (header, bytes) in &mut found {
                if header.info.codec == ChunkCodec::Repeat && sound(header, bytes) {
                    (*header, *bytes) = self.source(header, bytes, plan)?;
                }
            }
            coded.push(found);
        }
        let bases = &self.bases;
        Ok(coded
            .into_par_iter()
            .map_init(ChunkDecoder::new, |decoder, places| {
                let mut reason = "the chunk header is damaged".to_owned();
                let mut out = Vec::new();
                for (header, bytes) in places {
                    match decode_at(decoder, &header, &bytes, bases, &mut out) {
                        Ok(()) => return Ok(out),
                        Err(error) => reason = error.to_string(),
                    }
                }
                Err(reason)
            })
            .collect())
    }

    /// The sound headers of a chunk, each with the bytes from there on.
    fn read(
        &mut self,
        chunk: &PlannedChunk,
        plan: &FramePlan,
    ) -> Result<Vec<(ChunkHeader, Vec<u8>)>> {
        let mut found = Vec::new();
        for &place in &chunk.places {
            let mut bytes = Vec::new();
            let header = self.survey.places.chunk(place, plan.max_chunk)?;
            if let Some(header) = header {
                self.survey.places.bytes(place, header.length(), &mut bytes)?;
                found.push((header, bytes));
            }
        }
        Ok(found)
    }

    /// The chunk that one repeats, or that one itself where it is lost.
    fn source(
        &mut self,
        header: &ChunkHeader,
        bytes: &[u8],
        plan: &FramePlan,
    ) -> Result<(ChunkHeader, Vec<u8>)> {
        let at = repeated(&bytes[CHUNK_HEADER..]).ok();
        let at = at.and_then(|distance| header.offset.checked_sub(distance));
        let at = at.and_then(|at| plan.chunks.binary_search_by_key(&at, |chunk| chunk.offset).ok());
        let found = at.map(|at| self.read(&plan.chunks[at], plan)).transpose()?;
        let mut found = found.unwrap_or_default().into_iter();
        let source = found.find(|(source, bytes)| {
            source.kept && source.info.raw == header.info.raw && sound(source, bytes)
        });
        Ok(source.unwrap_or_else(|| (*header, bytes.to_vec())))
    }

    /// Stands zeros for content, unless nothing shows that so much was there.
    fn hole<W: Write + ?Sized>(
        &mut self,
        length: u64,
        chunk: Option<u64>,
        earned: bool,
        reason: &str,
        output: &mut W,
    ) -> Result<()> {
        let frame = self.frames.len() as u64;
        if !earned {
            let Some(left) = self.allowance.checked_sub(length) else {
                match self.damage.last_mut() {
                    Some(Damage { frame: of, loss: Loss::Omitted(n), output, .. })
                        if *of == frame && output.end == self.given =>
                    {
                        *n = n.saturating_add(length);
                    }
                    _ => self.report(chunk, Loss::Omitted(length), reason.into()),
                }
                return Ok(());
            };
            self.allowance = left;
        }
        self.room(length)?;
        let zeros = vec![0; length.min(MAX_CHUNK as u64) as usize];
        let mut left = length;
        while left > 0 {
            let n = left.min(zeros.len() as u64);
            output.write_all(&zeros[..n as usize])?;
            left -= n;
        }
        let begin = self.given;
        self.given += length;
        match self.damage.last_mut() {
            Some(last)
                if last.frame == frame && last.loss == Loss::Zeros && last.output.end == begin =>
            {
                last.output.end = self.given;
            }
            _ => {
                self.report(chunk, Loss::Zeros, reason.into());
                self.damage.last_mut().expect("it was just made").output = begin..self.given;
            }
        }
        Ok(())
    }

    /// Refuses more content than the options allow.
    fn room(&self, length: u64) -> Result<()> {
        if length > self.options.max_content.saturating_sub(self.given) {
            return Err(self.options.too_much());
        }
        Ok(())
    }
}

fn decode_at(
    decoder: &mut ChunkDecoder,
    header: &ChunkHeader,
    bytes: &[u8],
    bases: &Bases,
    out: &mut Vec<u8>,
) -> Result<()> {
    let coded = bytes.get(CHUNK_HEADER..).unwrap_or_default();
    if header.info.codec == ChunkCodec::Repeat && header.matches(coded) {
        return Err(no_source());
    }
    decode(decoder, header, coded, bases, out)
}

/// Whether the coded bytes of a chunk, whose header `bytes` begins with, are the ones written.
fn sound(header: &ChunkHeader, bytes: &[u8]) -> bool {
    bytes.get(CHUNK_HEADER..).is_some_and(|coded| header.matches(coded))
}

/// Chunks from the front that are decoded together.
fn batch_of(chunks: &[PlannedChunk], max_chunk: u32) -> usize {
    let most = batch_bytes((max_chunk as usize).min(1 << 20)) as u64;
    let mut bytes = 0;
    let more = chunks.iter().take_while(|chunk| {
        let fits = bytes < most;
        bytes += u64::from(chunk.raw);
        fits
    });
    more.count()
}
