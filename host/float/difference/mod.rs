//! Coding of elements that resemble others, their *base*: a checkpoint beside the one before, a
//! fine-tuned model beside what it was made of.
//!
//! Floats are mapped to integers in the order of their values, so that a small change of a weight
//! is a small difference, whichever powers of two lie between. A difference's sign is folded into
//! its lowest bit (zigzag). What remains is small where the base is large and the reverse: a step
//! of an optimizer moves every weight by about as much, and the same step is many units in the last
//! place of a small weight and a fraction of one of a large weight. So the exponent of the base,
//! which both sides have, says how large a difference to expect: elements are sorted into up to
//! [`CLASSES`] classes by it, and each class has an order-0 table of its own.
//!
//! Measured on the bfloat16 weights of a sentence encoder with Gaussian noise of r times the mean
//! magnitude of each tensor, in shares of the tensor (entropies, tables and states not counted):
//!
//! | r | differences, order 0 | 2 classes | 4 classes | 8 classes | a class per exponent |
//! |---|---|---|---|---|---|
//! | 2e-4 | 0.0230 | 0.0146 | 0.0118 | 0.0110 | 0.0109 |
//! | 1e-3 | 0.0822 | 0.0640 | 0.0552 | 0.0519 | 0.0516 |
//! | 2e-3 | 0.1301 | 0.1109 | 0.0982 | 0.0929 | 0.0924 |
//! | 5e-3 | 0.2069 | 0.1862 | 0.1724 | 0.1659 | 0.1652 |
//! | 2e-2 | 0.3298 | 0.3096 | 0.2954 | 0.2885 | 0.2880 |
//!
//! [`formats::float`](crate::formats::float) describes the bytes.

mod classes;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use classes::{CLASSES, Classes, Keys, Sample};
use tokens::Tokens;
use words::Method;

use super::plan::sample_pair;
use crate::dtype::Dtype;
use crate::simd::Level;
use crate::{Error, Result, order0};
use parans_kernels::float::Word;

const EQUAL: u8 = 0;
const DIFFERENCE: u8 = 1;
const XOR: u8 = 2;

/// Codes chunks against their bases. Keeps its buffers from one chunk to the next: make one per
/// thread.
#[derive(Debug)]
pub(crate) struct Encoder {
    coder: order0::Encoder,
    level: Level,
    tokens: Tokens,
    buffers: Buffers,
    sample: [Vec<u8>; 2],
}

/// Decodes chunks coded against bases. Keeps its buffers from one chunk to the next: make one per
/// thread.
#[derive(Debug)]
pub(crate) struct Decoder {
    coder: order0::Decoder,
    level: Level,
    tokens: Tokens,
    buffers: Buffers,
}

/// Words of a chunk in the order of its elements and in that of its classes, and keys.
#[derive(Debug, Default)]
struct Buffers {
    words: Vec<u64>,
    sorted: Vec<u64>,
    keys: Vec<u8>,
}

/// The first `n` words of a buffer, which grows to have them.
fn words_of<T: Word>(buffer: &mut Vec<u64>, n: usize) -> &mut [T] {
    let most = (n * size_of::<T>()).div_ceil(8);
    if buffer.len() < most {
        buffer.resize(most, 0);
    }
    &mut bytemuck::cast_slice_mut(buffer)[..n]
}

/// How a chunk will be coded against its base.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    method: Method,
    classes: Classes,
    /// Estimated size in bytes.
    pub(crate) bytes: usize,
}

impl Encoder {
    pub(crate) fn at_level(level: Level) -> Self {
        Self {
            coder: order0::Encoder::at_level(level),
            level,
            tokens: Tokens::default(),
            buffers: Buffers::default(),
            sample: Default::default(),
        }
    }

    /// How to code elements of type `dtype` against as many `base` bytes, judged from a sample;
    /// none for equal bytes, which take one.
    pub(crate) fn plan(&mut self, dtype: Dtype, bytes: &[u8], base: &[u8]) -> Option<Plan> {
        debug_assert_eq!(bytes.len(), base.len());
        if bytes == base {
            return None;
        }
        Some(match dtype.size() {
            1 => self.plan_words::<u8>(dtype, bytes, base),
            2 => self.plan_words::<u16>(dtype, bytes, base),
            4 => self.plan_words::<u32>(dtype, bytes, base),
            _ => self.plan_words::<u64>(dtype, bytes, base),
        })
    }

    fn plan_words<T: Word>(&mut self, dtype: Dtype, bytes: &[u8], base: &[u8]) -> Plan {
        let elements = bytes.len() / size_of::<T>();
        let end = elements * size_of::<T>();
        let (bytes, base) =
            sample_pair(&mut self.sample, &bytes[..end], &base[..end], size_of::<T>());
        let n = bytes.len() / size_of::<T>();
        let keys = Keys::of_base::<T>(dtype, base);
        let words = words_of::<T>(&mut self.buffers.words, n);
        let mut plan = |method, keys: Option<Keys>| {
            let dropped = words::compute::<T>(self.level, method, bytes, base, words);
            if let Some(by) = keys {
                by.read::<T>(self.level, base, &mut self.buffers.keys);
            }
            let sample = Sample { words, dropped, keys: &self.buffers.keys };
            let (classes, units) = Classes::choose(sample, keys, elements);
            Plan { method, classes, bytes: (units >> 19) as usize }
        };
        let float = dtype.exponent_mantissa().is_some();
        let difference = plan(if float { Method::Floats } else { Method::Integers }, keys);
        // Changed bits of integers that are sets of flags, and of plain bytes, may be fewer than
        // the digits of their differences.
        let xor = (!float).then(|| plan(Method::Xor, None));
        xor.filter(|xor| xor.bytes < difference.bytes).unwrap_or(difference)
    }

    /// Appends the coding of `bytes` by a `plan` made for them.
    pub(crate) fn encode(
        &mut self,
        plan: Option<Plan>,
        dtype: Dtype,
        bytes: &[u8],
        base: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Some(plan) = plan else {
            out.push(EQUAL);
            return;
        };
        out.push(if plan.method == Method::Xor { XOR } else { DIFFERENCE });
        let whole = bytes.len() - bytes.len() % dtype.size();
        let (elements, remainder) = bytes.split_at(whole);
        match dtype.size() {
            1 => self.encode_words::<u8>(&plan, elements, &base[..whole], out),
            2 => self.encode_words::<u16>(&plan, elements, &base[..whole], out),
            4 => self.encode_words::<u32>(&plan, elements, &base[..whole], out),
            _ => self.encode_words::<u64>(&plan, elements, &base[..whole], out),
        }
        out.extend_from_slice(remainder);
    }

    fn encode_words<T: Word>(&mut self, plan: &Plan, bytes: &[u8], base: &[u8], out: &mut Vec<u8>) {
        let Buffers { words, sorted, keys } = &mut self.buffers;
        let n = bytes.len() / size_of::<T>();
        let words = words_of::<T>(words, n);
        let dropped = words::compute::<T>(self.level, plan.method, bytes, base, words);
        out.push(dropped as u8);
        plan.classes.write(out);
        let counts = match plan.classes.keys() {
            Some(by) => {
                by.read::<T>(self.level, base, keys);
                plan.classes.count(self.level, keys)
            }
            None => one_class(n),
        };
        let mut sorted = if plan.classes.keys().is_some() {
            let sorted = words_of::<T>(sorted, n);
            plan.classes.sort(self.level, keys, &counts, words, sorted);
            sorted
        } else {
            words
        };
        for count in counts {
            let class;
            (class, sorted) = sorted.split_at_mut(count);
            if count > 0 {
                self.tokens.write(self.level, &mut self.coder, class, dropped, out);
            }
        }
    }
}

impl Decoder {
    pub(crate) fn at_level(level: Level) -> Self {
        Self {
            coder: order0::Decoder::at_level(level),
            level,
            tokens: Tokens::default(),
            buffers: Buffers::default(),
        }
    }

    /// Fills `out` from `data`, which is one coded chunk and nothing else, and from as many bytes
    /// of the `base` as `out` has.
    ///
    /// Allocates a small multiple of the length of `out`, whatever `data` says.
    ///
    /// # Errors
    /// [`Error::Truncated`] if `data` ends too early and [`Error::Corrupt`] if it contradicts
    /// itself, `dtype` or the length of `out`. What `out` holds then is unspecified.
    pub(crate) fn decode(
        &mut self,
        dtype: Dtype,
        data: &[u8],
        base: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        debug_assert_eq!(base.len(), out.len());
        let (&method, data) = data.split_first().ok_or_else(truncated)?;
        let floats = dtype.exponent_mantissa().is_some();
        let method = match method {
            EQUAL if data.is_empty() => {
                out.copy_from_slice(base);
                return Ok(());
            }
            DIFFERENCE if floats => Method::Floats,
            DIFFERENCE => Method::Integers,
            XOR => Method::Xor,
            _ => return Err(Error::Corrupt(format!("difference of method {method}"))),
        };
        let (elements, remainder) = out.split_at_mut(out.len() - out.len() % dtype.size());
        let base = &base[..elements.len()];
        let data = match dtype.size() {
            1 => self.decode_words::<u8>(dtype, method, data, base, elements)?,
            2 => self.decode_words::<u16>(dtype, method, data, base, elements)?,
            4 => self.decode_words::<u32>(dtype, method, data, base, elements)?,
            _ => self.decode_words::<u64>(dtype, method, data, base, elements)?,
        };
        super::copy_exactly(data, remainder)
    }

    fn decode_words<'a, T: Word>(
        &mut self,
        dtype: Dtype,
        method: Method,
        data: &'a [u8],
        base: &[u8],
        out: &mut [u8],
    ) -> Result<&'a [u8]> {
        let (&dropped, data) = data.split_first().ok_or_else(truncated)?;
        let dropped = u32::from(dropped);
        if dropped >= T::BITS {
            return Err(Error::Corrupt(format!("differences that drop {dropped} bits")));
        }
        let (classes, mut data) = Classes::read(dtype, data)?;
        let Buffers { words, sorted, keys } = &mut self.buffers;
        let n = out.len() / size_of::<T>();
        let counts = match classes.keys() {
            Some(by) => {
                by.read::<T>(self.level, base, keys);
                classes.count(self.level, keys)
            }
            None => one_class(n),
        };
        let mut rest = words_of::<T>(sorted, n);
        for count in counts {
            let class;
            (class, rest) = rest.split_at_mut(count);
            if count > 0 {
                data = self.tokens.read(self.level, &mut self.coder, data, class)?;
            }
        }
        let sorted = words_of::<T>(sorted, n);
        let words = match classes.keys() {
            Some(_) => {
                let words = words_of::<T>(words, n);
                classes.unsort(self.level, keys, &counts, sorted, words);
                words
            }
            None => sorted,
        };
        words::apply::<T>(self.level, method, dropped, words, base, out);
        Ok(data)
    }
}

/// Elements per class where there is but one.
fn one_class(n: usize) -> [usize; CLASSES] {
    let mut counts = [0; CLASSES];
    counts[0] = n;
    counts
}

fn truncated() -> Error {
    Error::Truncated("difference ends too early".into())
}
