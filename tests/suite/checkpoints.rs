//! Checkpoints: the streams stay the same, rows pop from them as they do whole, and no wrong table
//! or row goes unnoticed.

use std::{io::Cursor, ops::Range};

use crate::common::backends::{self, Backend};
use ndarray::{Array2, ArrayView2};
use parans::frame::{CodedRows, FrameArchive, FrameWriter, WriteOptions};
use parans::{
    Bypass, Checkpoints, Coder, Error, Family, Indexes, Lookup, Precision, RowCause, Streams,
    Tables,
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_xoshiro::Xoshiro256PlusPlus as Random;

const TABLES: usize = 3;
const ALPHABET: usize = 16;

/// Three tables, one of them steep; the last symbol is a sentinel where there is bypass.
fn tables(bypass: bool) -> Tables {
    let counts = Array2::from_shape_fn((TABLES, ALPHABET), |(table, symbol)| {
        [1u64, 1 + symbol as u64, 1 << (14 - symbol.min(14))][table]
    });
    Tables::builder(Precision::new(7).unwrap()).sentinel(bypass).counts(counts.view()).unwrap()
}

fn coder(family: Family, lanes: usize) -> Coder {
    Coder::builder(family).lanes(lanes).build(tables(false)).unwrap()
}

fn coder_on(
    backend: &Backend,
    family: Family,
    lanes: usize,
    lookup: Lookup,
    bypass: bool,
) -> Coder {
    let digits = if bypass { Bypass::digits(3) } else { Bypass::Off };
    // Alias tables want an alphabet of a power of two, the sentinel counted.
    let tables = if bypass && lookup == Lookup::Alias {
        let counts = Array2::from_shape_fn((TABLES, ALPHABET - 1), |(_, symbol)| 1 + symbol as u64);
        let builder = Tables::builder(Precision::new(7).unwrap()).sentinel(true);
        builder.counts(counts.view()).unwrap()
    } else {
        tables(bypass)
    };
    let builder = Coder::builder(family).lanes(lanes).lookup(lookup).bypass(digits);
    backend.apply(builder).build(tables).unwrap()
}

/// Which table codes what, in every form that indexes have.
enum Which {
    One(i32),
    PerRow(Vec<i32>),
    PerColumn(Vec<i32>),
    Each(Array2<i32>),
    EachU16(Array2<u16>),
    EachU8(Array2<u8>),
}

impl Which {
    fn random(random: &mut Random, rows: usize, columns: usize) -> Self {
        let count = TABLES as i32;
        match random.random_range(0..6) {
            0 => Self::One(random.random_range(0..count)),
            1 => Self::PerRow((0..rows).map(|_| random.random_range(0..count)).collect()),
            2 => Self::PerColumn((0..columns).map(|_| random.random_range(-1..count)).collect()),
            3 => Self::Each(Array2::from_shape_simple_fn((rows, columns), || {
                random.random_range(-1..count)
            })),
            4 => Self::EachU16(Array2::from_shape_simple_fn((rows, columns), || {
                random.random_range(0..count as u16)
            })),
            _ => Self::EachU8(Array2::from_shape_simple_fn((rows, columns), || {
                random.random_range(0..count as u8)
            })),
        }
    }

    fn indexes(&self, rows: usize, columns: usize) -> Indexes<'_> {
        match self {
            Self::One(index) => Indexes::one(*index, rows, columns),
            Self::PerRow(indexes) => Indexes::per_row(indexes, columns),
            Self::PerColumn(indexes) => Indexes::per_column(indexes, rows),
            Self::Each(indexes) => indexes.into(),
            Self::EachU16(indexes) => indexes.into(),
            Self::EachU8(indexes) => indexes.into(),
        }
    }
}

fn symbols(random: &mut Random, rows: usize, columns: usize, bypass: bool) -> Array2<i32> {
    Array2::from_shape_simple_fn((rows, columns), || {
        if bypass && random.random_bool(0.05) {
            random.random_range(-5000..5000)
        } else {
            random.random_range(0..ALPHABET as i32 - 1)
        }
    })
}

/// Random columns of a row.
fn range(random: &mut Random, columns: usize) -> Range<usize> {
    let (a, b) = (random.random_range(0..=columns), random.random_range(0..=columns));
    a.min(b)..a.max(b)
}

/// Pushes twice, the second time with checkpoints, and pops that in every way.
fn check(random: &mut Random, coder: &Coder, bypass: bool) {
    let lanes = coder.lanes();
    let rows = *[1, 1, 3].choose(random).unwrap();
    let most = 40 * lanes + 400;
    let columns = *[0, 1, lanes, 3 * lanes, random.random_range(0..most)].choose(random).unwrap();
    let every = lanes * *[1, 2, 7, 64 / lanes, 1000].choose(random).unwrap();
    let context = format!(
        "{} x{lanes} on GPU {}, lookup {:?}, bypass {bypass}: {rows} rows of {columns}, every {every}",
        coder.family(),
        coder.on_gpu().is_some(),
        coder.lookup()
    );
    let below = symbols(random, rows, 9, bypass);
    let values = symbols(random, rows, columns, bypass);
    let which = Which::random(random, rows, columns);
    let indexes = which.indexes(rows, columns);

    let mut plain = coder.streams(rows).unwrap();
    coder.push(&mut plain, &below, Indexes::one(0, rows, 9)).unwrap();
    let mut streams = plain.clone();
    coder.push(&mut plain, &values, indexes.clone()).unwrap();
    let made = coder.push_checkpointed(&mut streams, &values, indexes.clone(), every).unwrap();
    assert_eq!(streams, plain, "{context}");
    assert_eq!(made.checkpoints_a_row(), columns.div_ceil(every).saturating_sub(1));
    let checkpoints = Checkpoints::from_bytes(&made.to_bytes().unwrap()).unwrap();
    assert_eq!(checkpoints, made, "{context}");

    let popped: Array2<i32> = coder.pop(&mut plain, indexes.clone()).unwrap();
    for _ in 0..4 {
        let (row, part) = (random.random_range(0..rows), range(random, columns));
        let peeked: Vec<i32> = coder
            .peek_columns(&streams, indexes.clone(), &checkpoints, row, part.clone())
            .unwrap_or_else(|error| panic!("columns {part:?}: {error}; {context}"));
        assert_eq!(
            peeked,
            popped.row(row).as_slice().unwrap()[part.clone()],
            "{part:?}, {context}"
        );
    }
    let together: Array2<i32> = coder
        .pop_checkpointed(&mut streams, indexes, &checkpoints)
        .unwrap_or_else(|error| panic!("{error}; {context}"));
    assert_eq!(together, popped, "{context}");
    assert_eq!(streams, plain, "{context}");
    let bottom: Array2<i32> = coder.pop(&mut streams, Indexes::one(0, rows, 9)).unwrap();
    assert_eq!(bottom, below, "{context}");
    streams.expect_initial().unwrap();
}

/// On every back end, a GPU's among them, which pops the segments of one row as it pops rows.
#[test]
fn every_family_and_lane_count() {
    for backend in backends::all() {
        let mut random = Random::seed_from_u64(21);
        for &family in Family::ALL {
            let tans = family.name().starts_with("tans");
            let lookups: &[Lookup] = if tans {
                &[Lookup::Auto]
            } else {
                &[Lookup::Search, Lookup::InverseCdf, Lookup::Alias]
            };
            for (&lanes, &lookup) in
                Family::LANES.iter().flat_map(|lanes| lookups.iter().map(move |l| (lanes, l)))
            {
                for bypass in [false, true] {
                    let coder = coder_on(&backend, family, lanes, lookup, bypass);
                    for _ in 0..backend.rounds / 2 {
                        backend.run(|| check(&mut random, &coder, bypass));
                    }
                }
            }
        }
    }
}

/// One row and its checkpoints.
struct Row {
    coder: Coder,
    streams: Streams,
    checkpoints: Checkpoints,
    values: Array2<i32>,
}

impl Row {
    fn new(family: Family, lanes: usize, columns: usize, every: usize) -> Self {
        let coder = coder(family, lanes);
        let values = symbols(&mut Random::seed_from_u64(4), 1, columns, false);
        let mut streams = coder.streams(1).unwrap();
        let indexes = Indexes::one(1, 1, columns);
        let checkpoints = coder.push_checkpointed(&mut streams, &values, indexes, every).unwrap();
        Self { coder, streams, checkpoints, values }
    }

    fn indexes(&self) -> Indexes<'static> {
        Indexes::one(1, 1, self.values.ncols())
    }

    /// The error of popping with a table, which leaves the streams alone.
    fn refused(&self, streams: &Streams, checkpoints: &Checkpoints) -> Error {
        let mut after = streams.clone();
        let popped = self.coder.pop_checkpointed::<i32>(&mut after, self.indexes(), checkpoints);
        assert_eq!(after, *streams);
        popped.expect_err("what was damaged")
    }
}

/// Every changed byte of every entry is found, and by peeks that touch it nothing worse than an
/// error comes up.
#[test]
fn damaged_tables() {
    for &family in Family::ALL {
        for lanes in [1, 4] {
            let row = Row::new(family, lanes, 200, 64);
            let bytes = row.checkpoints.to_bytes().unwrap();
            for at in 32..bytes.len() {
                for flip in [1, 0x40, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= flip;
                    let damaged = Checkpoints::from_bytes(&damaged).unwrap();
                    let error = row.refused(&row.streams, &damaged);
                    assert!(matches!(error, Error::Row { row: 0, .. }), "byte {at}: {error}");
                    for part in [0..200, 64..128, 70..80, 199..200] {
                        let _ = row.coder.peek_columns::<i32>(
                            &row.streams,
                            row.indexes(),
                            &damaged,
                            0,
                            part,
                        );
                    }
                }
            }
        }
    }
}

/// What no table says in its first bytes, and every truncation.
#[test]
fn hostile_tables() {
    let row = Row::new(Family::Rans32, 2, 200, 64);
    let bytes = row.checkpoints.to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(Checkpoints::from_bytes(&bytes[..length]).is_err(), "cut to {length}");
    }
    assert!(Checkpoints::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    for (at, value) in [
        (0, b'x'),  // another tag
        (4, 6),     // a family of the future
        (5, 3),     // no such lanes
        (6, 1),     // not zero
        (8, 63),    // no multiple of the lanes
        (8, 0),     // never
        (8, 2),     // more checkpoints than bytes
        (22, 1),    // columns past all memory
        (31, 0x80), // rows past all memory
    ] {
        let mut other = bytes.clone();
        other[at] = value;
        assert!(Checkpoints::from_bytes(&other).is_err(), "byte {at} is {value}");
    }
    // Rows without checkpoints cost nothing, but rows they are not.
    let mut none = bytes[..32].to_vec();
    none[8..16].copy_from_slice(&200u64.to_le_bytes());
    none[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    if let Ok(none) = Checkpoints::from_bytes(&none) {
        let error =
            row.coder.pop_checkpointed::<i32>(&mut row.streams.clone(), row.indexes(), &none);
        assert!(matches!(error, Err(Error::InvalidArgument(_))));
    }
}

/// A damaged row, which popping alone may show at its very end only, is found in the segment where
/// the damage is.
#[test]
fn damaged_rows() {
    for &family in Family::ALL {
        let row = Row::new(family, 1, 4000, 500);
        let bytes = row.streams.to_byte_string(0);
        let middle = bytes.len() / 2;
        let mut damaged = bytes.clone();
        damaged[middle] ^= 0x10;
        let streams = Streams::from_byte_strings(family, 1, &[damaged]).unwrap();
        let Error::Row { position, .. } = row.refused(&streams, &row.checkpoints) else { panic!() };
        assert!((1500..=2500).contains(&position), "{family}: {position}");
        // The other segments are whole.
        let peek = |part: Range<usize>| {
            row.coder.peek_columns::<i32>(&streams, row.indexes(), &row.checkpoints, 0, part)
        };
        for part in [0..1000, 3000..3500] {
            assert_eq!(
                peek(part.clone()).unwrap(),
                row.values.as_slice().unwrap()[part],
                "{family}"
            );
        }
        assert!(peek(1500..2500).is_err(), "{family}");
        let cut = Streams::from_byte_strings(family, 1, &[&bytes[..bytes.len() - 8]]).unwrap();
        row.refused(&cut, &row.checkpoints);
    }
}

/// A push that fails half-way leaves the streams as they were, and names the symbol as a plain push
/// does.
#[test]
fn a_failed_push_changes_nothing() {
    for (rows, family) in [(1, Family::Rans64), (3, Family::Rans32x16), (1, Family::Tans32)] {
        let coder = coder(family, 2);
        let mut streams = coder.streams(rows).unwrap();
        let first = symbols(&mut Random::seed_from_u64(2), rows, 500, false);
        coder.push(&mut streams, &first, Indexes::one(0, rows, 500)).unwrap();
        let before = streams.clone();
        let mut bad = symbols(&mut Random::seed_from_u64(3), rows, 500, false);
        bad[(rows - 1, 77)] = 99;
        let plain = coder.push(&mut streams, &bad, Indexes::one(0, rows, 500)).unwrap_err();
        let error = coder
            .push_checkpointed(&mut streams, &bad, Indexes::one(0, rows, 500), 50)
            .unwrap_err();
        assert_eq!(error.to_string(), plain.to_string());
        assert!(error.to_string().contains("symbol 77"), "{error}");
        assert_eq!(streams, before);
    }
}

#[test]
fn what_does_not_fit_together() {
    let row = Row::new(Family::Rans64, 4, 200, 64);
    let (coder, checkpoints) = (&row.coder, &row.checkpoints);
    let mut streams = row.streams.clone();
    for every in [0, 6] {
        let refused = coder.push_checkpointed(&mut streams, &row.values, row.indexes(), every);
        assert!(matches!(refused, Err(Error::InvalidArgument(_))), "every {every}");
    }
    // Another shape, other rows, other lanes; and rows that have gone on since.
    let pop = |streams: &mut Streams, columns| {
        coder.pop_checkpointed::<i32>(
            streams,
            Indexes::one(1, streams.rows(), columns),
            checkpoints,
        )
    };
    assert!(matches!(pop(&mut streams, 199), Err(Error::Shape { .. })));
    assert!(matches!(pop(&mut coder.streams(2).unwrap(), 200), Err(Error::InvalidArgument(_))));
    assert!(pop(&mut Streams::new(Family::Rans64, 1, 2).unwrap(), 200).is_err());
    coder.push(&mut streams, &row.values, row.indexes()).unwrap();
    let error = pop(&mut streams, 200).unwrap_err();
    assert!(
        matches!(error, Error::Row { row: 0, position: 64, cause: RowCause::Checkpoint }),
        "{error}"
    );
    assert!(pop(&mut coder.streams(1).unwrap(), 200).is_err());
    for (number, part) in [(1, 0..1), (0, 5..201), (0, Range { start: 5, end: 4 })] {
        let peeked =
            coder.peek_columns::<i32>(&row.streams, row.indexes(), checkpoints, number, part);
        assert!(matches!(peeked, Err(Error::InvalidArgument(_))));
    }
}

/// One long row, on one thread and on several, into narrow symbols.
#[test]
fn one_row_on_several_threads() {
    let columns = 300_001;
    for (family, lanes) in [(Family::Rans64, 1), (Family::Rans32x16, 8), (Family::Tans32, 2)] {
        let coder = coder(family, lanes);
        let mut random = Random::seed_from_u64(8);
        let values: Vec<u8> =
            (0..columns).map(|_| random.random_range(0..ALPHABET as u8)).collect();
        let values = ArrayView2::from_shape((1, columns), &values).unwrap();
        let indexes = Indexes::one(2, 1, columns);
        let mut streams = coder.streams(1).unwrap();
        let made = coder.push_checkpointed(&mut streams, values, indexes.clone(), 4096).unwrap();
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut streams = streams.clone();
            let popped: Array2<u8> = pool
                .install(|| coder.pop_checkpointed(&mut streams, indexes.clone(), &made))
                .unwrap();
            assert_eq!(popped, values, "{family} on {threads} threads");
            streams.expect_initial().unwrap();
        }
    }
}

/// In a frame: the same rows with the table beside them, to the byte as the format text has it.
#[test]
fn rows_in_a_frame() {
    let coder = coder(Family::Tans8, 2);
    let values = symbols(&mut Random::seed_from_u64(6), 2, 4, false);
    let indexes = || Indexes::one(1, 2, 4);
    let mut streams = coder.streams(2).unwrap();
    let checkpoints = coder.push_checkpointed(&mut streams, &values, indexes(), 2).unwrap();
    let mut rows = CodedRows::new(&coder, streams).unwrap();
    let without = rows.to_bytes().unwrap();
    rows.checkpoints = Some(checkpoints);
    let bytes = rows.to_bytes().unwrap();
    let tables = 24 + TABLES * (8 + 4 * ALPHABET);
    assert_eq!((&without[12..16], &bytes[12..16]), (&[0; 4][..], &[1, 0, 0, 0][..]));
    assert_eq!(bytes[16..tables], without[16..tables]);
    let numbers = [2u64, 4, 2].map(u64::to_le_bytes).concat();
    assert_eq!(bytes[tables..tables + 32], [&b"ckpt\x05\x02\0\0"[..], &numbers].concat());
    // A checkpoint a row: the cursor, two states, two fields of bits.
    let after = tables + 32 + 2 * (8 + 4 * 4);
    assert_eq!(bytes[after..], without[tables..]);

    let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    writer.write_rows("latents", &rows).unwrap();
    let (frame, _) = writer.finish().unwrap();
    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let mut back = archive.read_rows("latents").unwrap();
    assert_eq!(back.to_bytes().unwrap(), bytes);
    let checkpoints = back.checkpoints.take().unwrap();
    let coder = back.coder().unwrap();
    let popped: Array2<i32> =
        coder.pop_checkpointed(&mut back.streams, indexes(), &checkpoints).unwrap();
    assert_eq!(popped, values);
    for length in 0..bytes.len() {
        assert!(CodedRows::from_bytes(&bytes[..length]).is_err(), "cut to {length}");
    }
    // A flag of the future, and a table of another family or of other rows than those beside it.
    for (at, value, words) in [(12, 2, "flags 0x2"), (tables + 4, 4, "checkpoints of 2 rows")] {
        let mut other = bytes.clone();
        other[at] = value;
        let error = CodedRows::from_bytes(&other).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    rows.streams = coder.streams(3).unwrap();
    assert!(matches!(rows.to_bytes(), Err(Error::InvalidArgument(_))));
}
