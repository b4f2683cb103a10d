//! Chunks whose bytes are rearranged and then coded as planes: numbers of the other byte order,
//! truth values packed to bits, records field by field.

use super::{
    element::{Elements, Field, Form, MAX_FIELDS, from_id},
    wire::Fields,
};
use crate::{Error, Result, dtype::Dtype, float_codec as float};

/// Codes rearranged chunks; keeps its buffers.
#[derive(Default)]
pub(super) struct Rearranger {
    bytes: Vec<u8>,
}

impl Rearranger {
    /// Appends the coding of `raw` to `out`. False, with nothing appended, where `raw` is none of
    /// these elements.
    pub(super) fn encode(
        &mut self,
        coder: &mut float::Encoder,
        elements: Elements,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        if elements.id().is_none() || !raw.len().is_multiple_of(elements.size()) {
            return false;
        }
        match elements {
            Elements::Numbers(dtype) => {
                coder.encode(dtype, raw, out);
            }
            Elements::Swapped(dtype) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(raw);
                swap(dtype, &mut self.bytes);
                coder.encode(dtype, &self.bytes, out);
            }
            Elements::Bools => {
                if !raw.iter().all(|&value| value < 2) {
                    return false;
                }
                self.bytes.clear();
                self.bytes.extend(raw.chunks(8).map(|values| {
                    values.iter().enumerate().fold(0, |bits, (bit, value)| bits | value << bit)
                }));
                coder.encode(Dtype::U8, &self.bytes, out);
            }
            Elements::Records(record) => {
                out.push(record.fields().len() as u8);
                for field in record.fields() {
                    out.push(field.id());
                    out.extend(field.count.to_le_bytes());
                }
                let mut at = 0;
                for &field in record.fields() {
                    gather(raw, record.size(), at, field.size(), &mut self.bytes);
                    at += field.size();
                    if field.swapped {
                        swap(field.dtype, &mut self.bytes);
                    }
                    let length = out.len();
                    out.extend([0; 4]);
                    let coded = coder.encode(field.dtype, &self.bytes, out) as u32;
                    out[length..length + 4].copy_from_slice(&coded.to_le_bytes());
                }
            }
        }
        true
    }

    /// Fills `out` from a chunk of the element type with a number.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` for bytes no encoder wrote, `Unsupported` for an element type this
    /// build does not know.
    pub(super) fn decode(
        &mut self,
        coder: &mut float::Decoder,
        element: u8,
        coded: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let whole = |size: usize| match out.len().is_multiple_of(size) {
            true => Ok(()),
            false => Err(Error::Corrupt(format!("{} bytes of elements of {size}", out.len()))),
        };
        match from_id(element)? {
            Form::Numbers(dtype) => {
                whole(dtype.size())?;
                coder.decode(dtype, coded, out)
            }
            Form::Swapped(dtype) => {
                whole(dtype.size())?;
                coder.decode(dtype, coded, out)?;
                swap(dtype, out);
                Ok(())
            }
            Form::Bits => {
                self.bytes.resize(out.len().div_ceil(8), 0);
                coder.decode(Dtype::U8, coded, &mut self.bytes)?;
                for (values, bits) in out.chunks_mut(8).zip(&self.bytes) {
                    if u32::from(*bits) >> values.len() != 0 {
                        return Err(Error::Corrupt("bits behind the last truth value".into()));
                    }
                    for (bit, value) in values.iter_mut().enumerate() {
                        *value = bits >> bit & 1;
                    }
                }
                Ok(())
            }
            Form::Records => self.decode_records(coder, coded, out),
        }
    }

    fn decode_records(
        &mut self,
        coder: &mut float::Decoder,
        coded: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let mut rest = Fields(coded);
        let count = usize::from(rest.u8()?);
        if !(1..=MAX_FIELDS).contains(&count) {
            return Err(Error::Corrupt(format!("records of {count} fields")));
        }
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            fields.push(Field::from_id(rest.u8()?, rest.u16()?)?);
        }
        let size: usize = fields.iter().map(|field| field.size()).sum();
        if !out.len().is_multiple_of(size) {
            return Err(Error::Corrupt(format!("{} bytes of records of {size}", out.len())));
        }
        let (records, mut at) = (out.len() / size, 0);
        for field in fields {
            let coded = rest.u32()? as usize;
            let coded = rest.bytes(coded)?;
            self.bytes.resize(records * field.size(), 0);
            coder.decode(field.dtype, coded, &mut self.bytes)?;
            if field.swapped {
                swap(field.dtype, &mut self.bytes);
            }
            scatter(&self.bytes, size, at, field.size(), out);
            at += field.size();
        }
        match rest.0.len() {
            0 => Ok(()),
            more => Err(Error::Corrupt(format!("{more} bytes behind the last field"))),
        }
    }
}

/// Reverses the bytes of each number.
pub(super) fn swap(dtype: Dtype, bytes: &mut [u8]) {
    match dtype.size() {
        2 => bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|number| number.reverse()),
        4 => bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|number| number.reverse()),
        8 => bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|number| number.reverse()),
        _ => {}
    }
}

/// Replaces `out` by the `width` bytes at offset `at` of each of the records of `size` bytes.
fn gather(records: &[u8], size: usize, at: usize, width: usize, out: &mut Vec<u8>) {
    fn each<const N: usize>(records: &[u8], size: usize, at: usize, out: &mut [u8]) {
        for (record, field) in records.chunks_exact(size).zip(out.as_chunks_mut::<N>().0) {
            field.copy_from_slice(&record[at..at + N]);
        }
    }
    out.resize(records.len() / size * width, 0);
    match width {
        1 => each::<1>(records, size, at, out),
        2 => each::<2>(records, size, at, out),
        4 => each::<4>(records, size, at, out),
        8 => each::<8>(records, size, at, out),
        _ => {
            for (record, field) in records.chunks_exact(size).zip(out.chunks_exact_mut(width)) {
                field.copy_from_slice(&record[at..at + width]);
            }
        }
    }
}

/// The inverse of [`gather`].
fn scatter(fields: &[u8], size: usize, at: usize, width: usize, out: &mut [u8]) {
    fn each<const N: usize>(fields: &[u8], size: usize, at: usize, out: &mut [u8]) {
        for (record, field) in out.chunks_exact_mut(size).zip(fields.as_chunks::<N>().0) {
            record[at..at + N].copy_from_slice(field);
        }
    }
    match width {
        1 => each::<1>(fields, size, at, out),
        2 => each::<2>(fields, size, at, out),
        4 => each::<4>(fields, size, at, out),
        8 => each::<8>(fields, size, at, out),
        _ => {
            for (record, field) in out.chunks_exact_mut(size).zip(fields.chunks_exact(width)) {
                record[at..at + width].copy_from_slice(field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::element::Record;

    fn coded(elements: Elements, raw: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let made =
            Rearranger::default().encode(&mut float::Encoder::new(), elements, raw, &mut out);
        assert!(made || out.is_empty());
        made.then_some(out)
    }

    fn decoded(id: u8, coded: &[u8], length: usize) -> Result<Vec<u8>> {
        let mut out = vec![0xaa; length];
        Rearranger::default().decode(&mut float::Decoder::new(), id, coded, &mut out)?;
        Ok(out)
    }

    fn records() -> Elements {
        let fields = [
            Field::new(Dtype::F16, 1),
            Field::new(Dtype::U8, 32),
            Field { swapped: true, ..Field::new(Dtype::I64, 2) },
            Field::new(Dtype::U8, 1),
            Field::new(Dtype::U16, 2),
            Field::new(Dtype::F64, 1),
        ];
        Elements::Records(Record::new(&fields).unwrap())
    }

    #[test]
    fn what_is_rearranged_comes_back() {
        let noise = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as u8;
        for (elements, most) in [
            (records(), 128),
            (Elements::Swapped(Dtype::U16), 128),
            (Elements::Swapped(Dtype::F32), 128),
            (Elements::Swapped(Dtype::I64), 128),
            (Elements::Bools, 2),
        ] {
            for count in [1, 2, 7, 8, 9, 1000] {
                let raw: Vec<u8> = (0..count * elements.size()).map(|i| noise(i) % most).collect();
                let coded = coded(elements, &raw).unwrap();
                let id = elements.id().unwrap();
                assert_eq!(decoded(id, &coded, raw.len()).unwrap(), raw, "{elements:?} {count}");
                for cut in 0..coded.len().min(200) {
                    assert!(decoded(id, &coded[..cut], raw.len()).is_err(), "{elements:?} {cut}");
                }
                assert!(decoded(id, &[&coded[..], b"x"].concat(), raw.len()).is_err());
                assert!(decoded(id, &coded, raw.len() + 8 * elements.size()).is_err());
            }
        }
    }

    #[test]
    fn what_is_none_of_the_elements() {
        assert_eq!(coded(Elements::Bools, &[0, 1, 2]), None);
        assert_eq!(coded(records(), &[0; 70]), None);
        assert_eq!(coded(Elements::Swapped(Dtype::F32), &[0; 6]), None);
        // Three values in a byte that has a fourth.
        assert!(decoded(21, &[0, 0b1000], 3).is_err());
        assert_eq!(decoded(21, &[0, 0b101], 3).unwrap(), [1, 0, 1]);
        for (fields, length) in [
            (&[0][..], 4),
            (&[17][..], 4),
            (&[1, 21, 1, 0], 4),
            (&[1, 23, 1, 0], 4),
            (&[1, 3, 0, 0], 4),
            (&[1, 3, 1], 4),
            (&[1, 3, 1, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4], 6),
            (&[1, 3, 1, 0, 255, 255, 255, 255, 0, 1, 2, 3, 4], 4),
        ] {
            assert!(decoded(22, fields, length).is_err(), "{fields:?}");
        }
        let sound = [1, 3, 1, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(decoded(22, &sound, 4).unwrap(), [1, 2, 3, 4]);
    }
}
