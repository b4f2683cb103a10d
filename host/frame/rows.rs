//! Coded rows that describe themselves: what a [`Coder`] pushed, with the family, the
//! lanes and the tables it takes to pop it. A frame keeps them as the content of an entry;
//! `docs/frame-format.md` has the bytes.

use std::io::{Read, Seek, Write};

use super::{
    FrameArchive, FrameWriter,
    index::{Entry, EntryKind},
    wire::Fields,
};
use crate::{
    Bypass, Checkpoints, Coder, Error, Family, LengthBytes, Merged, Precision, Result, Streams,
    Tables,
};

const TAG: &[u8; 4] = b"rows";
/// Every length, including the last: 8 bytes each.
const MERGED: Merged = Merged { length_bytes: LengthBytes::Eight, rows: None };
/// The flag of rows that have checkpoints beside them.
const CHECKPOINTS: u32 = 1;
/// A prepared form of tables that were read takes at most so many bytes, and so many for each byte
/// read.
const PREPARED: usize = 64 << 20;
const SHARE: usize = 256;
/// Rows of a frame may decode to so many times the bytes that they take.
const EXPANSION: usize = 64;
/// Families by their numbers in the format. Never reordered.
const FAMILIES: [Family; 6] = [
    Family::Rans64,
    Family::Rans32,
    Family::Rans32x16,
    Family::Tans32,
    Family::Tans16,
    Family::Tans8,
];

/// Streams and all it takes to make the coder that pops them, except the indexes, which are the
/// model's.
#[derive(Clone)]
pub struct CodedRows {
    /// The tables.
    pub tables: Tables,
    /// What coded symbols outside the tables.
    pub bypass: Bypass,
    /// The rows; they store their family and lanes.
    pub streams: Streams,
    /// Where the rows stood every so many symbols, if that was noted.
    pub checkpoints: Option<Checkpoints>,
}

impl CodedRows {
    /// The rows of `streams`, pushed by `coder`.
    ///
    /// # Errors
    /// `InvalidArgument` where the coder's family or lanes are not the streams'.
    pub fn new(coder: &Coder, streams: Streams) -> Result<Self> {
        if (coder.family(), coder.lanes()) != (streams.family(), streams.lanes()) {
            return Err(Error::InvalidArgument(format!(
                "streams of {} x{} with a coder of {} x{}",
                streams.family(),
                streams.lanes(),
                coder.family(),
                coder.lanes()
            )));
        }
        let (tables, bypass) = (coder.tables().clone(), coder.bypass());
        Ok(Self { tables, bypass, streams, checkpoints: None })
    }

    /// A coder for the rows, with the default lookup.
    ///
    /// # Errors
    /// As [`CoderBuilder::build`](crate::CoderBuilder::build).
    pub fn coder(&self) -> Result<Coder> {
        let builder = Coder::builder(self.streams.family());
        builder.lanes(self.streams.lanes()).bypass(self.bypass).build(self.tables.clone())
    }

    /// The bytes that a frame keeps.
    ///
    /// # Errors
    /// `Unsupported` for a family or bypass that the format has no number for; `InvalidArgument`
    /// for checkpoints of other streams, and for tables with
    /// [unused slots](crate::TablesBuilder::unused_slots).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if !self.tables.are_whole() {
            return Err(Error::InvalidArgument(
                "coded rows with tables that end before 2^precision: the format has none".into(),
            ));
        }
        let family = self.streams.family();
        let number = number_of(family)?;
        let bypass = match self.bypass {
            Bypass::Off => 0,
            Bypass::Digits(bits) => bits as u8,
        };
        let mut out = TAG.to_vec();
        // A lane count is at most 32, a precision at most 31.
        out.extend([
            number,
            self.streams.lanes() as u8,
            self.tables.precision().bits() as u8,
            bypass,
        ]);
        out.extend((self.tables.len() as u32).to_le_bytes());
        let flags = if self.checkpoints.is_some() { CHECKPOINTS } else { 0 };
        out.extend(flags.to_le_bytes());
        out.extend((self.streams.rows() as u64).to_le_bytes());
        for table in 0..self.tables.len() {
            let frequencies = self.tables.frequencies(table);
            out.extend(self.tables.offset(table).to_le_bytes());
            out.extend((frequencies.len() as u32).to_le_bytes());
            out.extend(frequencies.flat_map(u32::to_le_bytes));
        }
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.expect_streams(&self.streams)?;
            out.extend(checkpoints.to_bytes()?);
        }
        out.extend(self.streams.to_merged(MERGED)?);
        Ok(out)
    }

    /// Reads what [`CodedRows::to_bytes`] made. A coder of the tables takes at most 64 MiB and 256
    /// bytes for each byte read, for each form that it prepares of them; where that is too little,
    /// [`Tables::with_limit`] of [`CodedRows::tables`] gives tables with another limit.
    ///
    /// # Errors
    /// `Unsupported` for a family without a number here; `Corrupt` or `Truncated` for bytes that
    /// nothing wrote; the errors of tables and streams for frequencies and rows that cannot be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields(bytes);
        if fields.bytes(4)? != TAG {
            return Err(Error::Corrupt("coded rows begin with another tag".into()));
        }
        let (family, lanes, precision, bypass) =
            (fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?);
        let family = family_of(family)?;
        let (tables, flags, rows) = (fields.u32()? as usize, fields.u32()?, fields.u64()?);
        let bypass = match bypass {
            0 => Bypass::Off,
            1..=8 => Bypass::digits(bypass.into()),
            _ => return Err(Error::Corrupt(format!("bypass digits of {bypass} bits"))),
        };
        // A table takes at least 12 bytes, a row 8.
        if flags & !CHECKPOINTS != 0 {
            return Err(Error::Unsupported(format!(
                "flags {flags:#x} of coded rows: this build knows {CHECKPOINTS:#x}"
            )));
        }
        if tables > fields.0.len() / 12 || rows > fields.0.len() as u64 / 8 {
            return Err(Error::Corrupt(format!(
                "{tables} tables and {rows} rows in {} bytes",
                bytes.len()
            )));
        }
        let precision = Precision::new(precision.into())?;
        let (mut frequencies, mut offsets) =
            (Vec::with_capacity(tables), Vec::with_capacity(tables));
        for table in 0..tables {
            offsets.push(fields.u32()?.cast_signed());
            let symbols = fields.u32()? as usize;
            let row = fields.bytes(symbols.saturating_mul(4))?;
            let row: Vec<u32> = row.as_chunks().0.iter().map(|n| u32::from_le_bytes(*n)).collect();
            let sum: u64 = row.iter().map(|&n| u64::from(n)).sum();
            if row.contains(&0) || sum != 1 << precision.bits() {
                return Err(Error::Corrupt(format!(
                    "table {table}: {symbols} frequencies of sum {sum}; none may be 0, the sum is 2^{precision}"
                )));
            }
            frequencies.push(row);
        }
        let tables = Tables::from_frequencies(&frequencies, Some(&offsets), precision)?;
        let tables = tables.with_limit(prepared_at_most(bytes.len()));
        let checkpoints = match flags {
            0 => None,
            _ => Some(Checkpoints::read(&mut fields)?),
        };
        let streams = Streams::from_merged(family, lanes.into(), fields.0, MERGED)?;
        if streams.rows() as u64 != rows {
            return Err(Error::Corrupt(format!(
                "{} rows where {rows} are announced",
                streams.rows()
            )));
        }
        if let Some(checkpoints) = &checkpoints {
            checkpoints.expect_streams(&streams).map_err(|e| Error::Corrupt(e.to_string()))?;
        }
        Ok(Self { tables, bypass, streams, checkpoints })
    }
}

/// The most bytes that a prepared form of tables takes which so many bytes have earned.
fn prepared_at_most(bytes: usize) -> usize {
    PREPARED.saturating_add(bytes.saturating_mul(SHARE))
}

/// The number of a family.
pub(super) fn number_of(family: Family) -> Result<u8> {
    let number = FAMILIES.iter().position(|&known| known == family);
    number
        .map(|number| number as u8)
        .ok_or_else(|| Error::Unsupported(format!("{family} has no number in the format")))
}

/// The family of a number.
pub(super) fn family_of(number: u8) -> Result<Family> {
    FAMILIES
        .get(usize::from(number))
        .copied()
        .ok_or_else(|| Error::Unsupported(format!("family {number}: this build knows 0 to 5")))
}

impl<W: Write + Send> FrameWriter<W> {
    /// Writes coded rows as the next content, under a name.
    ///
    /// # Errors
    /// As [`CodedRows::to_bytes`]; `InvalidArgument` for a name that another entry has or that the
    /// format cannot keep; `Io` from the writer.
    pub fn write_rows(&mut self, name: &str, rows: &CodedRows) -> Result<()> {
        let bytes = rows.to_bytes()?;
        let (offset, length) = (self.position(), bytes.len() as u64);
        self.write_entry(
            Entry { name: name.into(), kind: EntryKind::Rows, offset, length },
            None,
            &bytes,
        )
    }
}

impl<R: Read + Seek> FrameArchive<R> {
    /// Reads the coded rows of this name. What they and their tables take is bounded by the bytes
    /// of the frame that they are decoded from.
    ///
    /// # Errors
    /// `InvalidArgument` where the entry does not exist or is something else; `Unsupported` where
    /// it decodes to more than 1 MiB and 64 times the bytes it takes; as
    /// [`FrameArchive::copy_range`] and [`CodedRows::from_bytes`].
    pub fn read_rows(&mut self, name: &str) -> Result<CodedRows> {
        let rows = self.entry(name).filter(|entry| entry.kind == EntryKind::Rows);
        let rows = rows
            .ok_or_else(|| Error::InvalidArgument(format!("no coded rows are named {name:?}")))?;
        let (content, length) = (rows.offset..rows.end(), rows.length);
        let coded = self.coded_bytes(content.clone()).ceil() as usize;
        let most = coded.saturating_mul(EXPANSION).saturating_add(1 << 20);
        if length > most as u64 {
            return Err(Error::Unsupported(format!(
                "coded rows of {length} bytes in {coded}: at most {most} are read"
            )));
        }
        let rows = CodedRows::from_bytes(&self.read_range(content)?)?;
        // The prepared tables are bounded by what is in the frame, and not by what it decodes to.
        let tables = rows.tables.with_limit(prepared_at_most(coded));
        Ok(CodedRows { tables, ..rows })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::{Array2, array};

    use super::*;
    use crate::frame::WriteOptions;

    fn sample() -> (CodedRows, Array2<i32>) {
        let counts = array![[9u64, 1, 4, 2], [1, 1, 1, 5]];
        let tables = Tables::builder(Precision::new(7).unwrap())
            .offsets(&[-1, 3])
            .sentinel(true)
            .counts(counts.view());
        let coder = Coder::builder(Family::Tans8)
            .lanes(2)
            .bypass(Bypass::digits(3))
            .build(tables.unwrap())
            .unwrap();
        let symbols = array![[-1i32, 0, 1, 900], [2, -1, -70, 0]];
        let mut streams = coder.streams(2).unwrap();
        coder.push(&mut streams, &symbols, &Array2::<i32>::zeros((2, 4))).unwrap();
        (CodedRows::new(&coder, streams).unwrap(), symbols)
    }

    #[test]
    fn rows_in_a_frame() {
        let (rows, symbols) = sample();
        let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
        writer.write_bytes("readme", b"hello").unwrap();
        writer.write_rows("latents", &rows).unwrap();
        let (frame, _) = writer.finish().unwrap();
        let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        let mut back = archive.read_rows("latents").unwrap();
        assert_eq!(back.streams.to_byte_strings(), rows.streams.to_byte_strings());
        let coder = back.coder().unwrap();
        assert_eq!((coder.tables().offset(0), coder.tables().offset(1)), (-1, 3));
        let popped: Array2<i32> =
            coder.pop(&mut back.streams, &Array2::<i32>::zeros((2, 4))).unwrap();
        assert_eq!(popped, symbols);
        assert!(matches!(archive.read_rows("readme"), Err(Error::InvalidArgument(_))));
    }

    /// The bytes of docs/frame-format.md, and every truncation of them.
    #[test]
    fn bytes() {
        let (rows, _) = sample();
        let bytes = rows.to_bytes().unwrap();
        assert_eq!(bytes[..24], *b"rows\x05\x02\x07\x03\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        assert_eq!(bytes[24..32], *b"\xff\xff\xff\xff\x05\0\0\0");
        assert_eq!(CodedRows::from_bytes(&bytes).unwrap().to_bytes().unwrap(), bytes);
        for length in 0..bytes.len() {
            assert!(CodedRows::from_bytes(&bytes[..length]).is_err(), "cut to {length}");
        }
        // Counts without the bytes for them, a family of the future, a frequency too many.
        for (at, value) in [
            (8, 255),
            (11, 255),
            (12, 1),
            (12, 2),
            (16, 3),
            (22, 255),
            (4, 6),
            (7, 9),
            (6, 40),
            (5, 3),
            (32, 77),
        ] {
            let mut other = bytes.clone();
            other[at] = value;
            assert!(CodedRows::from_bytes(&other).is_err(), "byte {at} is {value}");
        }
    }

    /// Rows whose tables take many times their bytes once they are prepared.
    fn bomb(family: Family, frequencies: &[Vec<u32>], precision: u32) -> CodedRows {
        let precision = Precision::new(precision).unwrap();
        let tables = Tables::from_frequencies(frequencies, None, precision).unwrap();
        let streams = Streams::new(family, 1, 1).unwrap();
        CodedRows { tables, bypass: Bypass::Off, streams, checkpoints: None }
    }

    #[test]
    fn prepared_states_are_bounded() {
        // Each table is 12 bytes here and 14 << 15 bytes of states.
        let rows = bomb(Family::Tans32, &vec![vec![1 << 15]; 160], 15);
        let bytes = rows.to_bytes().unwrap();
        let read = CodedRows::from_bytes(&bytes).unwrap();
        assert!(bytes.len() < 3000 && read.tables == rows.tables);
        let error = read.coder().unwrap_err();
        assert!(matches!(&error, Error::Unsupported(m) if m.contains("the limit")), "{error}");
        // Other offsets are no way around it, another limit is, and so are tables of one's own.
        let offsets = [1; 160];
        let mut other = CodedRows { tables: read.tables.with_offsets(&offsets).unwrap(), ..read };
        assert!(other.coder().is_err());
        other.tables = other.tables.with_limit(usize::MAX);
        other.coder().unwrap();
        rows.coder().unwrap();
    }

    #[test]
    fn prepared_inverses_are_bounded() {
        // One large alphabet makes the sparse inverse CDF of each table 2^18 entries.
        let mut frequencies = vec![vec![1 << 24]; 300];
        frequencies.push(vec![1 << 8; 1 << 16]);
        let rows = bomb(Family::Rans64, &frequencies, 24);
        assert_eq!(rows.coder().unwrap().lookup(), crate::Lookup::InverseCdf);
        let bytes = rows.to_bytes().unwrap();
        let mut read = CodedRows::from_bytes(&bytes).unwrap();
        assert!(bytes.len() < 300 << 10);
        let searching = read.coder().unwrap();
        assert_eq!(searching.lookup(), crate::Lookup::Search);
        for lookup in [crate::Lookup::InverseCdf, crate::Lookup::Alias] {
            let built = Coder::builder(Family::Rans64).lookup(lookup).build(read.tables.clone());
            assert!(matches!(built, Err(Error::Unsupported(_))), "{lookup:?}");
        }
        // What is read is popped.
        let symbols = array![[5i32, 77, 65_535]];
        let indexes = array![[300i32, 300, 300]];
        searching.push(&mut read.streams, &symbols, &indexes).unwrap();
        let popped: Array2<i32> = searching.pop(&mut read.streams, &indexes).unwrap();
        assert_eq!(popped, symbols);
    }
}
