//! Lossless coding of tensors, one chunk of elements at a time: floats by exponent, integers by
//! byte planes.
//!
//! Half of a float's bits are noise that no general compressor can shrink, and they hide the other
//! half from it. Here each element is cut so that its predictable bits (the exponent and the first
//! mantissa bits) form one byte, which order-0 rANS codes to within a fraction of a percent of its
//! entropy, and the rest is stored as it is. Integers are cut into byte planes. Each plane is
//! coded, stored or replaced by its one value, whichever is smallest, and a chunk that shrinks
//! nowhere is stored whole: it never grows by more than one byte.
//!
//! All bits come back: NaN payloads, denormals, the sign of zero.
//!
//! The public module `parans::float` adds what compresses slices to frames, which are made of this.
//!
//! [`formats::float`](crate::formats::float) describes the bytes; `layout.rs` says where each bit
//! of an element goes and why.

pub(crate) mod difference;
mod pack;
mod plan;
mod plane;
mod planes;
mod split;
#[cfg(test)]
mod tests;
mod values;
mod vectorized;
mod zeros;

use parans_kernels::float::{BYTES, FLOATS, INTEGERS, Layout, STORED, Word, is_elided};

use parans_kernels::order0::entropy::units;
use plan::{Plan, Sampler};
use plane::Found;
use planes::{BLOCK, MAX_WHOLE, PlaneRefs, Planes};

use crate::dtype::Dtype;
use crate::simd::Level;
use crate::{Error, Result, order0};

/// Most bytes by which a coded chunk exceeds its elements.
pub const OVERHEAD: usize = 1;

/// Bytes of elements that make a good chunk: large enough that models and states (about 1 KiB a
/// plane) are lost in it, small enough that its planes stay in a core's second-level cache.
pub const CHUNK: usize = 1 << 20;

/// Codes chunks. Keeps its buffers from one chunk to the next: make one per thread.
#[derive(Debug)]
pub struct Encoder {
    coder: order0::Encoder,
    level: Level,
    planes: Planes,
    sampler: Sampler,
}

/// Decodes chunks. Keeps its buffers from one chunk to the next: make one per thread.
#[derive(Debug)]
pub struct Decoder {
    coder: order0::Decoder,
    level: Level,
    planes: Planes,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder at [`Level::current`].
    pub fn new() -> Self {
        Self::at_level(Level::current())
    }

    /// An encoder that uses the instructions of `level`. Every level writes the same bytes.
    pub fn at_level(level: Level) -> Self {
        let coder = order0::Encoder::at_level(level);
        Self { coder, level, planes: Planes::default(), sampler: Sampler::default() }
    }

    /// Appends the coding of `bytes`, little-endian elements of type `dtype`, to `out` and returns
    /// the number of bytes appended: at most `bytes.len() + OVERHEAD`.
    ///
    /// Any length is fine; what remains after the last whole element is stored. About [`CHUNK`]
    /// bytes work best.
    pub fn encode(&mut self, dtype: Dtype, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let (elements, remainder) = bytes.split_at(bytes.len() - bytes.len() % dtype.size());
        if !elements.is_empty() {
            match dtype.size() {
                1 => self.encode_bytes(elements, out),
                2 => self.encode_words::<u16>(dtype, elements, out),
                4 => self.encode_words::<u32>(dtype, elements, out),
                _ => self.encode_words::<u64>(dtype, elements, out),
            }
        }
        let coded = out.len() - start;
        if coded == 0 || coded + remainder.len() > bytes.len() {
            out.truncate(start);
            out.push(STORED);
            out.extend_from_slice(bytes);
        } else {
            out.extend_from_slice(remainder);
        }
        out.len() - start
    }

    /// About how many bytes the coding of elements of several bytes takes.
    pub(crate) fn estimate(&mut self, dtype: Dtype, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len() - bytes.len() % dtype.size()];
        let plan = match dtype.size() {
            2 => self.plan_words::<u16>(dtype, bytes),
            4 => self.plan_words::<u32>(dtype, bytes),
            8 => self.plan_words::<u64>(dtype, bytes),
            _ => return bytes.len(),
        };
        let count = (bytes.len() / dtype.size()) as u64;
        // Both are at most 2^24 elements: no product overflows.
        ((plan.units * count / (8 * plan.sampled.max(1) as u64)) >> 16) as usize
    }

    fn plan_words<T: Word>(&mut self, dtype: Dtype, elements: &[u8]) -> Plan {
        match dtype.exponent_mantissa() {
            Some((exponent, mantissa)) => {
                let stats = split::stats::<T>(self.level, mantissa, elements);
                let layout = Layout::float(exponent, mantissa, &stats);
                let without_zeros = Layout::float_without_zeros(exponent, mantissa, &stats);
                self.sampler.plan_floats::<T>(self.level, layout, without_zeros, elements)
            }
            None => self.sampler.plan_integers::<T>(self.level, elements),
        }
    }

    fn encode_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(BYTES);
        plane::write(&mut self.coder, bytes, self.sampler.is_byte_plane_worth_coding(bytes), out);
    }

    /// Appends nothing if a sample shows nothing but noise.
    fn encode_words<T: Word>(&mut self, dtype: Dtype, elements: &[u8], out: &mut Vec<u8>) {
        let plan = self.plan_words::<T>(dtype, elements);
        if plan.units >= units(u64::from(T::BITS)) * plan.sampled as u64 {
            return;
        }
        let layout = plan.layout;
        match dtype.exponent_mantissa() {
            Some((_, mantissa)) => {
                out.push(FLOATS);
                layout.write_float(mantissa, |byte| out.push(byte));
            }
            None => {
                out.push(INTEGERS);
                out.push(layout.integer_byte());
            }
        }
        let planes = &mut self.planes;
        split::split::<T>(self.level, &layout, elements, planes);
        plane::write(&mut self.coder, &planes.symbols, plan.code_symbols, out);
        for (whole, try_coding) in planes.whole[..layout.whole_planes()].iter().zip(plan.code_whole)
        {
            plane::write(&mut self.coder, whole, try_coding, out);
        }
        if layout.fraction_bits() > 0 {
            plane::write(&mut self.coder, &planes.fraction, !layout.packed, out);
        }
    }
}

impl Decoder {
    /// A decoder at [`Level::current`].
    pub fn new() -> Self {
        Self::at_level(Level::current())
    }

    /// A decoder that uses the instructions of `level`.
    pub fn at_level(level: Level) -> Self {
        Self { coder: order0::Decoder::at_level(level), level, planes: Planes::default() }
    }

    /// Fills `out`, whose length is the original one, from `data`, which is one coded chunk and
    /// nothing else.
    ///
    /// Allocates at most twice the length of `out`, whatever `data` says.
    ///
    /// # Errors
    /// [`Error::Truncated`] if `data` ends too early and [`Error::Corrupt`] if it contradicts
    /// itself, `dtype` or the length of `out`. What `out` holds then is unspecified.
    pub fn decode(&mut self, dtype: Dtype, data: &[u8], out: &mut [u8]) -> Result<()> {
        let Some((&method, data)) = data.split_first() else {
            return Err(Error::Truncated("chunk without a first byte".into()));
        };
        if method == STORED {
            return copy_exactly(data, out);
        }
        let (elements, remainder) = out.split_at_mut(out.len() - out.len() % dtype.size());
        let is_float = dtype.exponent_mantissa().is_some();
        let data = match (method, dtype.size()) {
            (BYTES, 1) => self.decode_bytes(data, elements)?,
            (FLOATS, 2) if is_float => self.decode_words::<u16>(dtype, data, elements)?,
            (FLOATS, 4) if is_float => self.decode_words::<u32>(dtype, data, elements)?,
            (FLOATS, 8) if is_float => self.decode_words::<u64>(dtype, data, elements)?,
            (INTEGERS, 2) if !is_float => self.decode_words::<u16>(dtype, data, elements)?,
            (INTEGERS, 4) if !is_float => self.decode_words::<u32>(dtype, data, elements)?,
            (INTEGERS, 8) if !is_float => self.decode_words::<u64>(dtype, data, elements)?,
            _ => return Err(Error::Corrupt(format!("{dtype} chunk of method {method}"))),
        };
        copy_exactly(data, remainder)
    }

    /// Returns what follows the plane.
    fn decode_bytes<'a>(&mut self, data: &'a [u8], out: &mut [u8]) -> Result<&'a [u8]> {
        let scratch = &mut self.planes.symbols;
        let (found, data) = plane::read(&mut self.coder, data, out.len(), out.len(), scratch)?;
        out.copy_from_slice(found.bytes(scratch));
        Ok(data)
    }

    /// Returns what follows the planes.
    fn decode_words<'a, T: Word>(
        &mut self,
        dtype: Dtype,
        data: &'a [u8],
        out: &mut [u8],
    ) -> Result<&'a [u8]> {
        let read = match dtype.exponent_mantissa() {
            Some((exponent, mantissa)) => Layout::read_float(exponent, mantissa, data),
            None => Layout::read_integer(T::BITS, data),
        };
        let (layout, taken) = read.map_err(|fault| match fault.is_truncated() {
            true => Error::Truncated(fault.to_string()),
            false => Error::Corrupt(fault.to_string()),
        })?;
        let data = &data[taken..];
        let count = out.len() / size_of::<T>();
        let coder = &mut self.coder;
        let planes = &mut self.planes;
        let constant_len = if layout.zero.is_some() { count } else { BLOCK };
        let (symbols, mut data) =
            plane::read(coder, data, count, constant_len, &mut planes.symbols)?;
        let rests = layout.zero.map_or(count, |zero| {
            let symbols = symbols.bytes(&planes.symbols);
            symbols.iter().filter(|&&symbol| !is_elided(zero, symbol)).count()
        });
        let mut whole = [Found::Scratch; MAX_WHOLE];
        let whole = &mut whole[..layout.whole_planes()];
        for (found, scratch) in whole.iter_mut().zip(&mut planes.whole) {
            (*found, data) = plane::read(coder, data, rests, BLOCK, scratch)?;
        }
        let mut fraction = Found::Stored(&[]);
        if layout.fraction_bits() > 0 {
            let len = planes::fraction_len(&layout, rests);
            // Packed fractions differ in length from block to block: a constant one is written out
            // in full.
            let constant_len = if layout.packed { len } else { BLOCK };
            (fraction, data) = plane::read(coder, data, len, constant_len, &mut planes.fraction)?;
        }

        let mut refs = PlaneRefs {
            symbols: symbols.bytes(&planes.symbols),
            fraction: fraction.bytes(&planes.fraction),
            rests,
            ..PlaneRefs::default()
        };
        for ((plane, found), scratch) in refs.whole.iter_mut().zip(whole).zip(&planes.whole) {
            *plane = found.bytes(scratch);
        }
        split::join::<T>(self.level, &layout, &refs, out);
        Ok(data)
    }
}

fn copy_exactly(data: &[u8], out: &mut [u8]) -> Result<()> {
    if data.len() != out.len() {
        let (has, wants) = (data.len(), out.len());
        let message = format!("chunk ends in {has} stored bytes instead of {wants}");
        return Err(if has < wants { Error::Truncated(message) } else { Error::Corrupt(message) });
    }
    out.copy_from_slice(data);
    Ok(())
}
