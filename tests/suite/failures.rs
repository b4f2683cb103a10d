//! What failed stays failed: readers and writers of frames after errors and panics. What a frame
//! announces is not paid for by its reader.

use std::{
    io::{self, Cursor, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use parans::{
    Error,
    frame::{
        Entry, EntryKind, FrameArchive, FrameReader, FrameWriter, Layout, ReadOptions, WriteOptions,
    },
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Error,
    Panic,
}

/// Fails once, at a byte, and works before and after that.
struct FailsOnce<T> {
    inner: T,
    left: usize,
    fault: Option<Fault>,
}

impl<T> FailsOnce<T> {
    /// How many of `n` bytes may go through now.
    fn allow(&mut self, n: usize) -> io::Result<usize> {
        match (self.left, self.fault) {
            (0, Some(fault)) => {
                self.fault = None;
                match fault {
                    Fault::Error => Err(io::Error::other("once")),
                    // Quiet, other than `panic!`.
                    Fault::Panic => resume_unwind(Box::new("once")),
                }
            }
            (_, None) => Ok(n),
            (left, _) => {
                let n = n.min(left).min(97);
                self.left -= n;
                Ok(n)
            }
        }
    }
}

impl<W: Write> Write for FailsOnce<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.allow(bytes.len())?;
        self.inner.write(&bytes[..n])
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for FailsOnce<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.allow(out.len())?;
        self.inner.read(&mut out[..n])
    }
}

fn content() -> Vec<u8> {
    (0..1000u32).map(|i| ((i * i) >> 7) as u8 % 23).collect()
}

fn options() -> WriteOptions {
    WriteOptions { chunk_size: Some(128), ..WriteOptions::default() }
}

/// Nothing for an error or a caught panic.
fn survives<T, E>(work: impl FnOnce() -> Result<T, E>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().and_then(Result::ok)
}

#[test]
fn a_failed_writer_stays_failed() {
    let content = content();
    let write = |room: usize, fault| {
        let inner = FailsOnce { inner: Vec::new(), left: room, fault: Some(fault) };
        let mut writer = survives(|| FrameWriter::new(inner, options()))?;
        for piece in content.chunks(300) {
            if survives(|| writer.write_all(piece)).is_none() {
                assert!(writer.write(b"more").is_err() && writer.write(b"").is_err());
                assert!(writer.write_bytes("more", b"more").is_err());
                assert!(writer.write_tensor("more", "U8", &[4], b"more").is_err());
                assert!(writer.flush().is_err());
                assert!(matches!(writer.finish(), Err(Error::Io(_))), "room for {room}");
                return None;
            }
        }
        survives(|| writer.finish()).map(|(inner, _)| inner.inner)
    };
    let whole = write(usize::MAX, Fault::Error).unwrap();
    for room in 0..whole.len() {
        for fault in [Fault::Error, Fault::Panic] {
            assert!(write(room, fault).is_none(), "room for {room}, {fault:?}");
        }
    }
    assert_eq!(write(whole.len(), Fault::Error).unwrap(), whole);
}

/// A writer that cannot flush has failed as well.
#[test]
fn a_failed_flush_is_kept() {
    struct NoFlush;
    impl Write for NoFlush {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("no"))
        }
    }
    let mut writer = FrameWriter::new(NoFlush, options()).unwrap();
    assert!(writer.flush().is_err());
    assert!(writer.write(b"more").is_err());
    assert!(writer.finish().is_err());
    assert!(FrameWriter::new(NoFlush, options()).unwrap().finish().is_err());
}

/// A refused argument is no failure of the writer.
#[test]
fn refused_arguments_change_nothing() {
    let mut writer = FrameWriter::new(Vec::new(), options()).unwrap();
    writer.write_all(b"ab").unwrap();
    assert!(writer.write_tensor("x", "F32", &[3], &[0; 13]).is_err());
    assert!(writer.write_bytes(&"n".repeat(5000), b"x").is_err());
    writer.write_all(b"c").unwrap();
    let (frame, summary) = writer.finish().unwrap();
    assert_eq!(summary.content, 3);
    assert_eq!(FrameArchive::open(Cursor::new(frame)).unwrap().read_range(0..3).unwrap(), b"abc");
}

fn frame() -> Vec<u8> {
    let mut writer = FrameWriter::new(Vec::new(), options()).unwrap();
    writer.write_all(&content()).unwrap();
    writer.finish().unwrap().0
}

/// Every call after the first error gives one.
fn expect_failed<R: Read + Send>(mut reader: FrameReader<R>) {
    let mut out = Vec::new();
    assert!(reader.read(&mut [0; 9]).is_err() && reader.read(&mut []).is_err());
    assert!(reader.read_to_end(&mut out).is_err() && out.is_empty());
    assert!(reader.copy_to(&mut out).is_err() && out.is_empty());
}

#[test]
fn a_failed_reader_stays_failed() {
    let (content, frame) = (content(), frame());
    let two = [&frame[..], &frame[..]].concat();
    for left in 0..two.len() {
        for fault in [Fault::Error, Fault::Panic] {
            let inner = FailsOnce { inner: &two[..], left, fault: Some(fault) };
            let mut reader = FrameReader::new(inner, ReadOptions::default());
            let mut out = Vec::new();
            if left % 2 == 0 {
                assert!(survives(|| reader.copy_to(&mut out)).is_none(), "{left} {fault:?}");
            } else {
                let mut piece = [0; 100];
                while let Some(n) = survives(|| reader.read(&mut piece)) {
                    assert_ne!(n, 0, "{left} {fault:?}");
                    out.extend_from_slice(&piece[..n]);
                }
            }
            assert!(content.repeat(2).starts_with(&out), "{left} {fault:?}");
            expect_failed(reader);
        }
    }
}

/// Damage, more content than allowed, and an output that fails are failures too.
#[test]
fn readers_stay_failed_for_any_reason() {
    let frame = frame();
    let mut damaged = frame.clone();
    damaged[frame.len() / 2] ^= 1;
    for input in [&damaged[..], &frame[..frame.len() - 1], &[&frame[..], b"x"].concat(), b"none"] {
        let mut reader = FrameReader::new(input, ReadOptions::default());
        assert!(reader.copy_to(&mut io::sink()).is_err());
        expect_failed(reader);
    }
    let options = ReadOptions { max_content: 999, ..ReadOptions::default() };
    let mut reader = FrameReader::new(&frame[..], options);
    assert!(reader.copy_to(&mut io::sink()).is_err());
    expect_failed(reader);
    for fault in [Fault::Error, Fault::Panic] {
        let mut output = FailsOnce { inner: io::sink(), left: 277, fault: Some(fault) };
        let mut reader = FrameReader::new(&frame[..], ReadOptions::default());
        assert!(survives(|| reader.copy_to(&mut output)).is_none());
        expect_failed(reader);
    }
    // The end is no failure.
    let mut reader = FrameReader::new(&frame[..], ReadOptions::default());
    reader.copy_to(&mut io::sink()).unwrap();
    assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
    reader.copy_to(&mut io::sink()).unwrap();
}

/// Indexes are kept when they are asked for: a pipe may have frames without end.
#[test]
fn indexes_are_kept_on_demand() {
    let frames = frame().repeat(300);
    for keep_indexes in [false, true] {
        let options = ReadOptions { keep_indexes, ..ReadOptions::default() };
        let mut reader = FrameReader::new(&frames[..], options);
        reader.copy_to(&mut io::sink()).unwrap();
        assert_eq!(reader.indexes().len(), if keep_indexes { 300 } else { 0 });
    }
}

/// Three hundred thousand entries that each span two hundred thousand chunks: looked up and not
/// added up, which would take 6e10 steps.
#[test]
fn coded_bytes_of_overlapping_entries() {
    let content: Vec<u8> = (0..1_600_000u32).map(|i| (i >> 8) as u8).collect();
    let entry = |i: u64| Entry {
        name: i.to_string(),
        kind: EntryKind::Bytes,
        offset: i % 7,
        length: content.len() as u64 - i % 7,
    };
    let layout = Layout { entries: (0..300_000).map(entry).collect(), ..Layout::default() };
    let options = WriteOptions { chunk_size: Some(8), ..WriteOptions::default() };
    let mut writer = FrameWriter::with_layout(Vec::new(), options, layout).unwrap();
    writer.write_all(&content).unwrap();
    let (frame, summary) = writer.finish().unwrap();
    assert_eq!(summary.chunks, 200_000);
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let index = archive.index();
    assert_eq!(index.entries.len(), 300_000);
    let all = (index.file_offset() - 32) as f64;
    let sum: f64 = index.entries.iter().map(|e| archive.coded_bytes(e.offset..e.end())).sum();
    assert!((sum / 300_000.0 / all - 1.0).abs() < 1e-4, "{sum} of {all} each");
    // As the definition says: of each chunk its share.
    for (begin, end) in [(0, 8), (0, 12), (3, 4), (7, 9), (5, 4005), (1_599_999, 1_600_000)] {
        let share: f64 = (0u64..)
            .zip(&index.chunks)
            .map(|(i, chunk)| {
                let part = end.min(8 * i + 8).saturating_sub(begin.max(8 * i));
                (f64::from(chunk.coded) + 40.0) * part as f64 / 8.0
            })
            .sum();
        let got = archive.coded_bytes(begin..end);
        assert!((got - share).abs() < 1e-6, "{begin}..{end}: {got} and not {share}");
    }
    assert_eq!(archive.coded_bytes(9..9), 0.0);
}

/// A few hundred bytes decode to 64 MiB, which are not read because they are called rows.
#[test]
fn rows_decode_to_a_bounded_length() {
    let content = vec![0; 64 << 20];
    let length = content.len() as u64;
    let entry = Entry { name: "rows".into(), kind: EntryKind::Rows, offset: 0, length };
    let layout = Layout { entries: vec![entry], ..Layout::default() };
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(&content).unwrap();
    let (frame, _) = writer.finish().unwrap();
    assert!(frame.len() < 5000);
    let error = FrameArchive::open(Cursor::new(frame)).unwrap().read_rows("rows").err().unwrap();
    assert!(matches!(&error, Error::Unsupported(m) if m.contains("are read")), "{error}");
}
