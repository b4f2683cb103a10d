//! Chunks of numbers: their planes, put together to elements.
//!
//! Where all planes but the symbols are stored, which is the rule, an element is made of its symbol
//! as that is popped, and written once. Otherwise each plane is first written to a byte of its own
//! of each element, and the elements are joined where they lie.

use super::coded::{Coded, Words};
use super::order0::{self, Source};
use super::sink::{Bytes, Sink, feed};
use super::{Outcome, Warp};
use crate::abi::frames::FrameChunk;
use crate::device::simt::Simt;
use crate::float::fractions::{BLOCK, fraction_len, packed_len, stride};
use crate::float::pairs::PairCut;
use crate::float::{
    BYTES, FLOATS, Filter, FloatCut, INTEGERS, Layout, PIECE, PLANE_CODED, PLANE_CONSTANT,
    PLANE_STORED, STORED, Word, is_elided, unzigzag,
};

/// Bits of exponent and mantissa of the types of floats, by their numbers in a frame.
const FLOAT_BITS: [(u32, u32); 4] = [(5, 10), (8, 7), (8, 23), (11, 52)];

/// Decodes a chunk of numbers of the word's size.
///
/// # Safety
/// As [`order0::pour`]; the content has `chunk.raw` bytes, and the coded bytes are the chunk's.
#[inline(always)]
pub unsafe fn decode<T: Word, S: Simt>(
    warp: Warp<S>,
    coded: Coded,
    content: *mut u8,
    chunk: FrameChunk,
) -> Outcome {
    let Some((method, data)) = coded.get(0).zip(coded.after(1)) else { return Outcome::Damaged };
    let method = method as u8;
    if method == STORED {
        if data.len != chunk.raw {
            return Outcome::Damaged;
        }
        let sink = Bytes::new(content);
        // SAFETY: as many bytes as there are.
        unsafe { feed(warp, chunk.raw, sink, |at| data.four(warp.simt, at), |at| data.byte(at)) };
        return Outcome::Done;
    }
    let floats = FLOAT_BITS.get((chunk.element as usize).wrapping_sub(1));
    let size = size_of::<T>() as u32;
    let count = chunk.raw / size;
    // A layout has at most 6 bytes.
    let head: [u8; 6] = core::array::from_fn(|i| data.get(i as u32).unwrap_or(0) as u8);
    let head = &head[..data.len.min(6) as usize];
    let read = match (floats, method) {
        (Some(&(exponent, mantissa)), FLOATS) => Layout::read_float(exponent, mantissa, head),
        (None, INTEGERS) => Layout::read_integer(T::BITS, head),
        _ => return Outcome::Damaged,
    };
    let Some((layout, planes)) =
        read.ok().and_then(|(layout, taken)| Some((layout, data.after(taken as u32)?)))
    else {
        return Outcome::Damaged;
    };
    if count == 0 {
        return Outcome::Damaged;
    }
    // SAFETY: the caller's promise.
    let decoded = unsafe { elements::<T, S>(warp, planes, &layout, content, count) };
    let remainder = match decoded {
        Ok(remainder) => remainder,
        Err(outcome) => return outcome,
    };
    if remainder.len != chunk.raw % size {
        return Outcome::Damaged;
    }
    if warp.lane < remainder.len {
        // SAFETY: the bytes after the last whole element.
        unsafe {
            *content.add((count * size + warp.lane) as usize) = remainder.byte(warp.lane) as u8;
        }
    }
    Outcome::Done
}

/// A plane at the front of coded bytes.
struct Plane {
    kind: u8,
    /// Its bytes, the one that it repeats, or its pieces.
    body: Coded,
    /// What follows it.
    after: Coded,
}

impl Plane {
    /// The plane of `len` bytes at the front of `data`.
    #[inline(always)]
    fn read(data: Coded, len: u32) -> Option<Self> {
        let (kind, data) = (data.get(0)? as u8, data.after(1)?);
        let taken = match kind {
            PLANE_STORED => len,
            PLANE_CONSTANT => 1,
            PLANE_CODED => {
                let (mut at, mut left) = (0, len);
                while left > 0 {
                    data.after(at).filter(|data| data.len >= 4)?;
                    // SAFETY: four bytes of it.
                    at += unsafe { data.number(at) }.checked_add(4)?;
                    data.after(at)?;
                    left = left.saturating_sub(PIECE as u32);
                }
                at
            }
            _ => return None,
        };
        let (body, after) = data.split(taken)?;
        Some(Self { kind, body, after })
    }

    /// Gives a sink the plane's bytes; false where no encoder wrote it.
    ///
    /// # Safety
    /// As [`order0::pour`], of the `len` bytes that the plane was read for.
    #[inline(always)]
    unsafe fn feed<S: Simt>(&self, warp: Warp<S>, len: u32, sink: impl Sink) -> bool {
        let body = self.body;
        let (mut at, mut done) = (0, 0);
        while done < len {
            let mut piece = len - done;
            // SAFETY: the caller's promise.
            unsafe {
                let source = match self.kind {
                    PLANE_STORED => Source::Stored(body),
                    PLANE_CONSTANT => Source::Constant(body.byte(0)),
                    _ => {
                        piece = piece.min(PIECE as u32);
                        // The plane was read: its pieces have their lengths in front.
                        let coded = body.number(at);
                        at += 4;
                        let Some((coded, _)) = body.after(at).and_then(|body| body.split(coded))
                        else {
                            return false;
                        };
                        at += coded.len;
                        Source::Coded(coded)
                    }
                };
                if !order0::pour(warp, source, piece, Behind { sink, first: done }) {
                    return false;
                }
            }
            done += piece;
        }
        true
    }
}

/// The part of a sink behind a place.
#[derive(Clone, Copy)]
struct Behind<K> {
    sink: K,
    first: u32,
}

impl<K: Sink> Sink for Behind<K> {
    #[inline(always)]
    fn fours(&self, len: u32) -> u32 {
        // `first` is a multiple of a piece.
        self.sink.fours(self.first + len) - self.first
    }

    #[inline(always)]
    unsafe fn four(&self, at: u32, bytes: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.sink.four(self.first + at, bytes) };
    }

    #[inline(always)]
    unsafe fn one(&self, at: u32, byte: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.sink.one(self.first + at, byte) };
    }
}

/// The rests of elements where all their planes are stored.
#[derive(Clone, Copy)]
struct Rests {
    /// The planes, one after another, each with a byte in front.
    planes: Coded,
    /// Bytes from a whole plane to the next.
    step: u32,
    whole: u32,
    /// What follows the planes.
    after: Coded,
}

impl Rests {
    /// The rests of `count` elements behind the symbols at the front of `planes`.
    #[inline(always)]
    fn find(planes: Coded, layout: &Layout, count: u32) -> Option<Self> {
        if layout.zero.is_some() || layout.filter == Filter::Delta {
            return None;
        }
        let mut after = Plane::read(planes, count)?.after;
        let rests = after;
        let whole = layout.whole_planes() as u32;
        for _ in 0..whole {
            let plane = Plane::read(after, count)?;
            if plane.kind != PLANE_STORED {
                return None;
            }
            after = plane.after;
        }
        if layout.fraction_bits() > 0 {
            let plane = Plane::read(after, fraction_len(layout, count as usize) as u32)?;
            if plane.kind != PLANE_STORED {
                return None;
            }
            after = plane.after;
        }
        Some(Self { planes: rests.after(1)?, step: count + 1, whole, after })
    }
}

/// Puts elements together as their symbols come.
#[derive(Clone, Copy)]
struct Fused<T, S> {
    simt: S,
    to: *mut u8,
    /// Whether four elements can be stored at once.
    aligned: bool,
    rests: Rests,
    fractions: Fractions,
    join: Join<T>,
}

/// How a symbol and a rest become an element.
#[derive(Clone, Copy)]
enum Join<T> {
    Float(FloatCut<T>),
    Integer { zigzag: bool },
}

impl<T: Word> Join<T> {
    #[inline(always)]
    fn new(layout: &Layout) -> Self {
        if layout.is_float {
            Self::Float(FloatCut::new(layout))
        } else {
            Self::Integer { zigzag: layout.filter != Filter::None }
        }
    }

    #[inline(always)]
    fn element(&self, symbol: u8, rest: T) -> T {
        match self {
            Self::Float(cut) => cut.join(symbol, rest),
            Self::Integer { zigzag } => {
                let bits = rest | T::from_byte(symbol) << (T::BITS - 8);
                if *zigzag { unzigzag(bits) } else { bits }
            }
        }
    }
}

/// The fractions of rests.
#[derive(Clone, Copy)]
struct Fractions {
    from: Coded,
    words: Words,
    bits: u32,
    packed: bool,
    count: u32,
}

impl Fractions {
    /// The fractions of `count` elements.
    #[inline(always)]
    fn new(from: Coded, layout: &Layout, count: u32) -> Self {
        Self {
            from,
            words: from.words(),
            bits: layout.fraction_bits(),
            packed: layout.packed,
            count,
        }
    }

    /// The fractions of four elements of a full block, a byte each.
    ///
    /// # Safety
    /// `at` is a multiple of four in a full block.
    #[inline(always)]
    unsafe fn four<S: Simt>(&self, simt: S, at: u32) -> u32 {
        if self.bits == 0 {
            return 0;
        }
        if !self.packed {
            // SAFETY: a byte per element.
            return unsafe { self.words.four(simt, at) };
        }
        let (block, place) = (at / BLOCK as u32, at % BLOCK as u32);
        let mut from = block * packed_len(self.bits as usize, BLOCK) as u32;
        let (mut fractions, mut shift) = (0, 0);
        for part in [4, 2, 1] {
            if self.bits & part != 0 {
                let stride = stride(part as usize, BLOCK) as u32;
                let mask = ((1 << part) - 1) * 0x0101_0101;
                // SAFETY: the part's bytes of the block.
                let bytes = unsafe { self.words.four(simt, from + place % stride) };
                fractions |= (bytes >> (place / stride * part) & mask) << shift;
                from += stride;
                shift += part;
            }
        }
        fractions
    }

    /// The fraction of an element.
    ///
    /// # Safety
    /// `at` is below the number of elements.
    #[inline(always)]
    unsafe fn one(&self, at: u32) -> u32 {
        if self.bits == 0 {
            return 0;
        }
        // SAFETY: the bytes of the element's block.
        unsafe {
            if !self.packed {
                return self.from.byte(at);
            }
            let (block, place) = (at / BLOCK as u32, at % BLOCK as u32);
            let of_block = (self.count - block * BLOCK as u32).min(BLOCK as u32);
            let mut from = block * packed_len(self.bits as usize, BLOCK) as u32;
            let (mut fraction, mut shift) = (0, 0);
            for part in [4, 2, 1] {
                if self.bits & part != 0 {
                    let stride = stride(part as usize, of_block as usize) as u32;
                    let byte = self.from.byte(from + place % stride);
                    fraction |= (byte >> (place / stride * part) & ((1 << part) - 1)) << shift;
                    from += stride;
                    shift += part;
                }
            }
            fraction
        }
    }
}

impl<T: Word, S: Simt> Fused<T, S> {
    /// # Safety
    /// The element is one of the chunk's.
    #[inline(always)]
    unsafe fn store(&self, at: u32, element: T) {
        let size = size_of::<T>();
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.to.add(at as usize * size);
            if self.aligned {
                *to.cast::<T>() = element;
            } else {
                for i in 0..size as u32 {
                    *to.add(i as usize) = (element >> (8 * i)).low_byte();
                }
            }
        }
    }
}

/// Four elements of two bytes that are stored at once.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Two32([u32; 2]);
/// Four elements of four bytes.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Four32([u32; 4]);
/// Two of eight bytes.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Two64([u64; 2]);

/// Stores four elements to where they are aligned as one.
///
/// # Safety
/// There is memory for them, a multiple of their size together (16 bytes where that is more).
#[inline(always)]
unsafe fn store_four<T: Word>(to: *mut u8, elements: [T; 4]) {
    let [a, b, c, d] = elements.map(T::widen);
    // SAFETY: the caller's promise.
    unsafe {
        match size_of::<T>() {
            2 => *to.cast() = Two32([(a | b << 16) as u32, (c | d << 16) as u32]),
            4 => *to.cast() = Four32([a, b, c, d].map(|bits| bits as u32)),
            _ => {
                *to.cast() = Two64([a, b]);
                *to.cast::<Two64>().add(1) = Two64([c, d]);
            }
        }
    }
}

impl<T: Word, S: Simt> Sink for Fused<T, S> {
    #[inline(always)]
    fn fours(&self, len: u32) -> u32 {
        // The fractions of the last block, which is shorter, lie otherwise.
        len - len % BLOCK as u32
    }

    #[inline(always)]
    unsafe fn four(&self, at: u32, bytes: u32) {
        // SAFETY: the caller's promise: the planes have a byte per element.
        unsafe {
            let fractions = self.fractions.four(self.simt, at);
            let whole = self.rests.whole;
            let mut rests = [T::ZERO; 4];
            unroll!(7, plane, {
                if plane + 1 < size_of::<T>() && (plane as u32) < whole {
                    let bytes =
                        self.rests.planes.four(self.simt, at + plane as u32 * self.rests.step);
                    unroll!(4, i, {
                        let byte = T::truncate(u64::from(bytes >> (8 * i as u32) & 0xff));
                        rests[i] = rests[i] | byte << (8 * plane as u32);
                    });
                }
            });
            let mut elements = [T::ZERO; 4];
            unroll!(4, i, {
                let shift = 8 * i as u32;
                if self.fractions.bits > 0 {
                    let fraction = T::truncate(u64::from(fractions >> shift & 0xff));
                    rests[i] = rests[i] | fraction << (8 * whole);
                }
                elements[i] = self.join.element((bytes >> shift) as u8, rests[i]);
            });
            if self.aligned {
                store_four(self.to.add(at as usize * size_of::<T>()), elements);
            } else {
                unroll!(4, i, { self.store(at + i as u32, elements[i]) });
            }
        }
    }

    #[inline(always)]
    unsafe fn one(&self, at: u32, byte: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut rest = T::ZERO;
            if self.fractions.bits > 0 {
                let fraction = T::truncate(u64::from(self.fractions.one(at)));
                rest = fraction << (8 * self.rests.whole);
            }
            let mut plane = 0;
            while plane < self.rests.whole {
                let byte = self.rests.planes.byte(at + plane * self.rests.step);
                rest = rest | T::truncate(u64::from(byte)) << (8 * plane);
                plane += 1;
            }
            self.store(at, self.join.element(byte as u8, rest));
        }
    }
}

/// Where a plane goes: to whole elements, or to a byte of each.
#[derive(Clone, Copy)]
struct Place<T, S> {
    fused: Fused<T, S>,
    is_fused: bool,
    /// Which byte.
    byte: u32,
}

impl<T: Word, S: Simt> Sink for Place<T, S> {
    #[inline(always)]
    fn fours(&self, len: u32) -> u32 {
        self.fused.fours(len)
    }

    #[inline(always)]
    unsafe fn four(&self, at: u32, bytes: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.is_fused {
                self.fused.four(at, bytes);
            } else {
                for i in 0..4 {
                    self.one(at + i, bytes >> (8 * i));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn one(&self, at: u32, byte: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.is_fused {
                self.fused.one(at, byte);
            } else {
                let place = at * size_of::<T>() as u32 + self.byte;
                *self.fused.to.add(place as usize) = byte as u8;
            }
        }
    }
}

/// Aligned floats of 16 bits whose rests have `BITS` bits: five, packed, which is what bfloat16
/// mostly has, or a byte each.
#[derive(Clone, Copy)]
struct Halves<T, S, const BITS: u32> {
    fused: Fused<T, S>,
    cut: PairCut,
    /// The rests.
    words: Words,
}

impl<T: Word, S: Simt, const BITS: u32> Sink for Halves<T, S, BITS> {
    #[inline(always)]
    fn fours(&self, len: u32) -> u32 {
        self.fused.fours(len)
    }

    #[inline(always)]
    unsafe fn four(&self, at: u32, bytes: u32) {
        const FOURS: u32 = stride(4, BLOCK) as u32;
        const ONES: u32 = stride(1, BLOCK) as u32;
        let (simt, cut) = (self.fused.simt, self.cut);
        // SAFETY: the caller's promise: the rests of all elements are there.
        unsafe {
            let rests = if BITS == 5 {
                let block = at / BLOCK as u32 * (FOURS + ONES);
                let fours = self.words.four(simt, block + at % FOURS);
                let ones = self.words.four(simt, block + FOURS + at % ONES);
                // Which bits of a byte are the element's: as `Fractions` has it.
                let fours = fours >> ((at / FOURS * 4) & 4) & 0x0f0f_0f0f;
                let ones = ones >> ((at / ONES) & 7) & 0x0101_0101;
                ones << 4 | fours
            } else {
                self.words.four(simt, at)
            };
            // Each byte in a half, the others 0.
            let low = cut.join(simt.pick::<0x4140>(bytes, 0), simt.pick::<0x4140>(rests, 0));
            let high = cut.join(simt.pick::<0x4342>(bytes, 0), simt.pick::<0x4342>(rests, 0));
            *self.fused.to.add(at as usize * 2).cast() = Two32([low, high]);
        }
    }

    #[inline(always)]
    unsafe fn one(&self, at: u32, byte: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.fused.one(at, byte) };
    }
}

/// Decodes elements; gives what follows their planes.
///
/// # Safety
/// As [`decode`].
#[inline(always)]
unsafe fn elements<T: Word, S: Simt>(
    warp: Warp<S>,
    planes: Coded,
    layout: &Layout,
    content: *mut u8,
    count: u32,
) -> Result<Coded, Outcome> {
    let size = size_of::<T>() as u32;
    let whole = layout.whole_planes() as u32;
    let bits = layout.fraction_bits();
    let join = Join::<T>::new(layout);
    let found = Rests::find(planes, layout, count);
    let is_fused = found.is_some();
    let stored = found.unwrap_or(Rests { planes, step: 0, whole: 0, after: planes });
    let from = stored.planes.after(stored.whole * stored.step).unwrap_or(planes);
    let fractions = Fractions::new(from, layout, count);
    let aligned = content.addr().is_multiple_of((4 * size_of::<T>()).min(16));
    let (simt, to, rests) = (warp.simt, content, stored);
    let fused = Fused { simt, to, aligned, rests, fractions, join };
    if T::BITS == 16 && layout.is_float && is_fused && aligned {
        let bits = layout.rest_bits();
        if bits == 8 || bits == 5 && layout.packed {
            let symbols = Plane::read(planes, count).ok_or(Outcome::Damaged)?;
            let words = if whole > 0 { stored.planes.words() } else { fractions.words };
            let cut = PairCut::new(layout);
            // SAFETY: the caller's promise.
            let fed = unsafe {
                match bits {
                    5 => symbols.feed(warp, count, Halves::<T, S, 5> { fused, cut, words }),
                    _ => symbols.feed(warp, count, Halves::<T, S, 8> { fused, cut, words }),
                }
            };
            return if fed { Ok(stored.after) } else { Err(Outcome::Damaged) };
        }
    }
    let spread_fraction = bits > 0 && !layout.packed;
    let planes_here = if is_fused { 1 } else { 1 + whole + u32::from(spread_fraction) };
    let mut data = planes;
    let mut rests = count;
    let mut number = 0;
    // The symbols go to the last byte, the others to the first ones.
    while number < planes_here {
        let (len, byte) = if number == 0 { (count, size - 1) } else { (rests, number - 1) };
        let plane = Plane::read(data, len).ok_or(Outcome::Damaged)?;
        let place = Place { fused, is_fused, byte };
        // SAFETY: the caller's promise.
        if !unsafe { plane.feed(warp, len, place) } {
            return Err(Outcome::Damaged);
        }
        data = plane.after;
        warp.simt.sync_warp();
        if let (0, Some(zero)) = (number, layout.zero) {
            // SAFETY: the symbols were written before the barrier.
            rests = unsafe { count_rests(warp, zero, content.add(size as usize - 1), size, count) };
        }
        number += 1;
    }
    if is_fused {
        return Ok(stored.after);
    }
    let mut packed = data;
    if bits > 0 && layout.packed {
        let plane = Plane::read(data, fraction_len(layout, rests as usize) as u32)
            .ok_or(Outcome::Damaged)?;
        if plane.kind != PLANE_STORED {
            return Err(Outcome::Unable);
        }
        (packed, data) = (plane.body, plane.after);
    }
    let fractions = Fractions::new(packed, layout, rests);
    let joined = Joined { content, size, whole, spread_fraction, fractions, join };
    // SAFETY: every byte of the elements that is read was written before a barrier.
    unsafe {
        match (layout.zero, layout.filter) {
            (Some(zero), _) => joined.restore(warp, zero, count, rests),
            (None, Filter::Delta) => joined.sum(warp, count),
            (None, _) => joined.each(warp, count),
        }
    }
    Ok(data)
}

/// The number of symbols that have rests.
///
/// # Safety
/// There are so many symbols, `size` bytes apart.
#[inline(always)]
unsafe fn count_rests<S: Simt>(
    warp: Warp<S>,
    zero: u8,
    symbols: *const u8,
    size: u32,
    count: u32,
) -> u32 {
    let (mut at, mut rests) = (0, 0);
    while at < count {
        let own = at + warp.lane;
        // SAFETY: the caller's promise.
        let kept = own < count && unsafe { !is_elided(zero, *symbols.add((own * size) as usize)) };
        rests += warp.simt.ballot(kept).count_ones();
        at += 32;
    }
    rests
}

/// Elements whose bytes are those of their planes.
struct Joined<T> {
    content: *mut u8,
    size: u32,
    whole: u32,
    /// Whether the fractions have a byte of each element.
    spread_fraction: bool,
    fractions: Fractions,
    join: Join<T>,
}

impl<T: Word> Joined<T> {
    /// # Safety
    /// The element is one of the chunk's, and its planes were written before a barrier.
    #[inline(always)]
    unsafe fn symbol(&self, at: u32) -> u8 {
        // SAFETY: the caller's promise.
        unsafe { *self.content.add((at * self.size + self.size - 1) as usize) }
    }

    /// # Safety
    /// As [`symbol`](Self::symbol).
    #[inline(always)]
    unsafe fn rest(&self, at: u32) -> T {
        let mut rest = T::ZERO;
        let bytes = self.whole + u32::from(self.spread_fraction);
        let mut plane = 0;
        // SAFETY: the caller's promise.
        unsafe {
            while plane < bytes {
                let byte = *self.content.add((at * self.size + plane) as usize);
                rest = rest | T::from_byte(byte) << (8 * plane);
                plane += 1;
            }
            if self.fractions.bits > 0 && !self.spread_fraction {
                let fraction = T::truncate(u64::from(self.fractions.one(at)));
                rest = rest | fraction << (8 * self.whole);
            }
        }
        rest
    }

    /// # Safety
    /// As [`symbol`](Self::symbol); no other thread uses the element before a barrier.
    #[inline(always)]
    unsafe fn store(&self, at: u32, element: T) {
        let mut byte = 0;
        while byte < self.size {
            // SAFETY: the caller's promise.
            unsafe {
                *self.content.add((at * self.size + byte) as usize) =
                    (element >> (8 * byte)).low_byte();
            }
            byte += 1;
        }
    }

    /// Joins each element by itself.
    ///
    /// # Safety
    /// As [`symbol`](Self::symbol), for all.
    #[inline(always)]
    unsafe fn each<S: Simt>(&self, warp: Warp<S>, count: u32) {
        let mut at = warp.lane;
        while at < count {
            // SAFETY: the caller's promise.
            unsafe { self.store(at, self.join.element(self.symbol(at), self.rest(at))) };
            at += 32;
        }
    }

    /// Joins differences and adds them up.
    ///
    /// # Safety
    /// As [`symbol`](Self::symbol), for all.
    #[inline(always)]
    unsafe fn sum<S: Simt>(&self, warp: Warp<S>, count: u32) {
        let (mut first, mut before) = (0, T::ZERO);
        while first < count {
            let at = first + warp.lane;
            let mut sum = T::ZERO;
            if at < count {
                // SAFETY: the caller's promise.
                sum = unsafe { self.join.element(self.symbol(at), self.rest(at)) };
            }
            let mut distance = 1;
            while distance < 32 {
                let other = shuffle(warp.simt, sum, warp.lane.wrapping_sub(distance) & 31);
                sum = if warp.lane >= distance { sum.add(other) } else { sum };
                distance *= 2;
            }
            sum = sum.add(before);
            if at < count {
                // SAFETY: the caller's promise.
                unsafe { self.store(at, sum) };
            }
            before = shuffle(warp.simt, sum, 31);
            first += 32;
        }
    }

    /// Gives each symbol that is no zero its rest, from the last one on: rests lie in front of
    /// where they belong.
    ///
    /// # Safety
    /// As [`symbol`](Self::symbol), for all.
    #[inline(always)]
    unsafe fn restore<S: Simt>(&self, warp: Warp<S>, zero: u8, count: u32, rests: u32) {
        let mut left = rests;
        let mut first = count.next_multiple_of(32);
        while first > 0 {
            first -= 32;
            let at = first + warp.lane;
            // SAFETY: the caller's promise.
            let symbol = if at < count { unsafe { self.symbol(at) } } else { zero };
            let kept = !is_elided(zero, symbol);
            let mask = warp.simt.ballot(kept);
            left -= mask.count_ones();
            let element = if kept {
                // SAFETY: one of the rests.
                let rest = unsafe { self.rest(left + (mask & warp.before).count_ones()) };
                self.join.element(symbol, rest)
            } else {
                T::from_byte(symbol.wrapping_sub(zero)) << (T::BITS - 1)
            };
            warp.simt.sync_warp();
            if at < count {
                // SAFETY: all rests that are still to come lie in front of this group's elements.
                unsafe { self.store(at, element) };
            }
            warp.simt.sync_warp();
        }
    }
}

/// The value that another thread of the warp gave.
#[inline(always)]
fn shuffle<T: Word, S: Simt>(simt: S, value: T, source: u32) -> T {
    let bits = value.widen();
    let low = simt.shuffle(bits as u32, source);
    if T::BITS <= 32 {
        return T::truncate(u64::from(low));
    }
    let high = simt.shuffle((bits >> 32) as u32, source);
    T::truncate(u64::from(high) << 32 | u64::from(low))
}

const _: () = assert!(BYTES == 3, "elements of one byte are chunks of bytes in a frame");
