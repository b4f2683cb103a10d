//! A reader of frames written from the format texts in `docs/` alone, as plainly as can be: it
//! shares no code with the library, and reads every golden file as the library does. What it needs
//! to know, the texts have to say.

use std::{fs, sync::Arc};

use parans::frame::{Base, EntryKind, FrameReader, ReadOptions};
use xxhash_rust::xxh3::xxh3_64;

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn check_32(bytes: &[u8], check: &[u8]) {
    assert_eq!(xxh3_64(bytes) & 0xffff_ffff, number(check));
}

/// Takes bytes off the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }

    fn number(&mut self, n: usize) -> u64 {
        number(self.take(n))
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.number(1);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                assert!(byte > 0 || shift == 0);
                return value;
            }
            shift += 7;
        }
    }

    fn difference(&mut self, from: u64) -> u64 {
        let d = self.varint();
        if d.is_multiple_of(2) { from.wrapping_add(d / 2) } else { from.wrapping_sub(d / 2 + 1) }
    }
}

/// A directory entry: kind, name, content offset and length, name of the element type, dimensions.
type Entry = (u8, String, u64, u64, String, Vec<u64>);

/// The columns of an index.
fn columns(index: &[u8]) -> Vec<u8> {
    let mut rest = Bytes(index);
    let mut columns = Vec::new();
    while !rest.0.is_empty() {
        let (length, coded) = (rest.varint() as usize, rest.varint() as usize);
        assert!((1..=1 << 20).contains(&length));
        if coded == 0 {
            columns.extend_from_slice(rest.take(length));
        } else {
            columns.extend(order0(rest.take(coded), length));
        }
    }
    assert!(columns.len() <= (1 << 16) + 16 * index.len());
    columns
}

/// The table of chunks (`raw`, `coded`, codec, element type) and the directory of an index.
fn read_index(index: &[u8]) -> (Vec<[u64; 4]>, Vec<Entry>) {
    let columns = columns(index);
    let mut rest = Bytes(&columns);
    assert!(rest.number(1) <= 5);
    let (c, e) = (rest.varint() as usize, rest.varint() as usize);
    let codecs = rest.take(c);
    let typed = |codec: u8| codec == 3 || codec == 4;
    let mut elements = rest.take(codecs.iter().filter(|&&codec| typed(codec)).count()).iter();
    let mut table: Vec<[u64; 4]> = Vec::new();
    let mut raw = 0;
    for &codec in codecs {
        raw = rest.difference(raw);
        let element = if typed(codec) { *elements.next().unwrap() } else { 0 };
        table.push([raw, 0, codec.into(), element.into()]);
    }
    for row in &mut table {
        row[1] = rest.varint();
    }
    let kinds = rest.take(e);
    let mut numbers = || -> Vec<usize> { (0..e).map(|_| rest.varint() as usize).collect() };
    let (fronts, backs, middles) = (numbers(), numbers(), numbers());
    let mut names: Vec<Vec<u8>> = Vec::new();
    for i in 0..e {
        let before = names.last().map_or(&[][..], |name| name);
        let (front, back) = (&before[..fronts[i]], &before[before.len() - backs[i]..]);
        assert!(fronts[i] + backs[i] <= before.len());
        names.push([front, rest.take(middles[i]), back].concat());
    }
    let lengths: Vec<u64> = (0..e).map(|_| rest.varint()).collect();
    let mut end = 0;
    let mut entries: Vec<Entry> = Vec::new();
    for ((name, length), &kind) in names.into_iter().zip(lengths).zip(kinds) {
        assert!(kind <= 2 && name.len() <= 4096);
        let offset = rest.difference(end);
        end = offset + length;
        let name = String::from_utf8(name).unwrap();
        entries.push((kind, name, offset, length, String::new(), Vec::new()));
    }
    let mut tensors: Vec<&mut Entry> = entries.iter_mut().filter(|entry| entry.0 == 1).collect();
    if !tensors.is_empty() {
        let types: Vec<String> = (0..rest.varint())
            .map(|_| {
                let length = rest.number(1) as usize;
                assert!(length <= 32);
                String::from_utf8(rest.take(length).to_vec()).unwrap()
            })
            .collect();
        for tensor in &mut tensors {
            tensor.4.clone_from(&types[rest.varint() as usize]);
        }
        let dimensions = rest.take(tensors.len());
        for (tensor, &dimensions) in tensors.iter_mut().zip(dimensions) {
            assert!(dimensions <= 32);
            tensor.5 = (0..dimensions).map(|_| rest.varint()).collect();
        }
    }
    if codecs.contains(&4) {
        for _ in 0..rest.varint() {
            rest.take(8);
            rest.varint();
            let name = rest.varint() as usize;
            assert!(std::str::from_utf8(rest.take(name)).unwrap().len() <= 4096);
        }
    }
    assert!(rest.0.is_empty());
    (table, entries)
}

/// The content of the frames of a file (`docs/frame-format.md`), the entries of each, and a count
/// of chunks by codec. `base` is what some are coded against.
fn read_file(file: &[u8], codecs: &mut [usize; 6], base: &[u8]) -> (Vec<u8>, Vec<Vec<Entry>>) {
    let (mut content, mut directories) = (Vec::new(), Vec::new());
    let mut rest = file;
    while !rest.is_empty() {
        let mut frame = Bytes(rest);
        let begin = content.len();
        let header = frame.take(32);
        assert_eq!(header[..12], *b"\x8bPARANS\n\x01\0\0\0");
        check_32(&header[..28], &header[28..]);
        let id = &header[24..28];
        let (max_chunk, announced) = (number(&header[12..16]), number(&header[16..24]));
        let (mut table, mut kept) = (Vec::new(), Vec::new());
        while frame.0[..4] == *b"chnk" {
            let header = frame.take(40);
            check_32(&header[..36], &header[36..]);
            assert_eq!(&header[32..36], id);
            let (codec, element) = (header[4], header[5]);
            let (raw, coded) = (number(&header[8..12]), number(&header[12..16]));
            assert!(raw <= max_chunk && coded <= raw);
            assert_eq!(number(&header[16..24]), (content.len() - begin) as u64);
            let bytes = frame.take(coded as usize);
            assert_eq!(xxh3_64(bytes), number(&header[24..32]));
            codecs[usize::from(codec)] += 1;
            let flags = number(&header[6..8]);
            assert!(flags <= 1);
            if flags == 1 {
                kept.push((content.len() as u64, raw));
            }
            content.extend(match codec {
                0 => bytes.to_vec(),
                1 => bytes.repeat(raw as usize / bytes.len()),
                2 => order0(bytes, raw as usize),
                3 => elements(bytes, element, raw as usize),
                4 => {
                    let mut bytes = Bytes(bytes);
                    let (_, at) = (bytes.varint(), bytes.varint() as usize);
                    let base = &base[at..at + raw as usize];
                    check_32(base, bytes.take(4));
                    difference(bytes, element, base)
                }
                _ => {
                    let mut bytes = Bytes(bytes);
                    let source = content.len() as u64 - bytes.varint();
                    assert!(bytes.0.is_empty() && kept.contains(&(source, raw)));
                    content[source as usize..][..raw as usize].to_vec()
                }
            });
            table.push([raw, coded, codec.into(), element.into()]);
        }
        let at = rest.len() - frame.0.len();
        let length = (content.len() - begin) as u64;
        let beginning = &content[begin..][..(length as usize).min(1 << 20)];
        assert_eq!(xxh3_64(&[&header[..24], beginning].concat()) & 0xffff_ffff, number(id));
        let header = frame.take(28);
        assert_eq!((&header[..4], &header[4..8]), (&b"indx"[..], id));
        check_32(&header[..24], &header[24..]);
        let n = number(&header[8..16]);
        assert_eq!(number(&header[16..24]), length);
        assert!(n <= (1 << 26) + table.len() as u64);
        let index = frame.take(n as usize);
        let (chunks, entries) = read_index(index);
        assert_eq!(chunks, table);
        let footer = frame.take(52);
        assert_eq!((number(&footer[..8]), number(&footer[8..16])), (at as u64, n));
        assert_eq!(number(&footer[16..24]), xxh3_64(index));
        assert_eq!(number(&footer[24..32]), length);
        assert!(announced == u64::MAX || announced == length);
        assert_eq!(number(&footer[32..40]), xxh3_64(&content[begin..]));
        assert_eq!(&footer[40..44], id);
        check_32(&footer[..44], &footer[44..48]);
        assert_eq!(footer[48..], *b"done");
        assert!(entries.iter().all(|entry| entry.2 + entry.3 <= length));
        directories.push(entries);
        rest = frame.0;
    }
    (content, directories)
}

/// Bits from the least significant end of each byte.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> usize {
        let bit = |at: usize| usize::from(self.bytes[at / 8] >> (at % 8) & 1);
        let value = (0..n).map(|i| bit(self.at + i) << i).sum();
        self.at += n;
        value
    }

    fn gamma(&mut self) -> usize {
        let mut k = 0;
        while self.take(1) == 0 {
            k += 1;
        }
        1 << k | self.take(k)
    }
}

/// `docs/order0-format.md`.
fn order0(chunk: &[u8], n: usize) -> Vec<u8> {
    let Some(&kind) = chunk.first() else { return Vec::new() };
    let (rows, lanes) = match kind {
        0 => return chunk[1..].to_vec(),
        1 => return vec![chunk[1]; n],
        2 => (1, 1),
        3 => (1, 8),
        4 => (1, 32),
        5 => (4, 32),
        _ => panic!("kind {kind}"),
    };
    let mut bits = Bits { bytes: &chunk[1..], at: 0 };
    let mut occurs = Vec::new();
    while occurs.len() < 256 {
        let absent = bits.gamma() - 1;
        occurs.resize(occurs.len() + absent, false);
        if occurs.len() < 256 {
            let present = bits.gamma();
            occurs.resize(occurs.len() + present, true);
        }
    }
    let mut previous = 5i64;
    let freqs: Vec<u32> = occurs
        .into_iter()
        .map(|occurs| {
            if !occurs {
                return 0;
            }
            let zigzag = bits.gamma() as i64 - 1;
            previous += if zigzag % 2 == 0 { zigzag / 2 } else { -(zigzag + 1) / 2 };
            1 << (previous - 1) | bits.take(previous as usize - 1) as u32
        })
        .collect();
    assert_eq!(freqs.iter().sum::<u32>(), 4096);
    let mut rest = Bytes(&chunk[(1 + bits.at.div_ceil(8)).next_multiple_of(4)..]);
    let mut lengths: Vec<usize> = (1..rows).map(|_| rest.number(4) as usize).collect();
    lengths.push(rest.0.len() - lengths.iter().sum::<usize>());
    let (groups, tail) = if rows == 4 { (n / 128, n % 128) } else { (0, 0) };
    let mut out = vec![0; n];
    for (row, length) in lengths.into_iter().enumerate() {
        let count = if rows == 4 { 32 * groups + (tail + 3 - row) / 4 } else { n };
        for (i, symbol) in pop_row(rest.take(length), &freqs, lanes, count).into_iter().enumerate()
        {
            let (k, l) = (i / 32, i % 32);
            let at = match (rows, k < groups) {
                (1, _) => i,
                (_, true) => 128 * k + 64 * (l % 2) + 4 * (l / 2) + row,
                (_, false) => 128 * groups + 4 * (i - 32 * groups) + row,
            };
            out[at] = symbol;
        }
    }
    out
}

/// A row of the family rans32_16 at precision 12.
fn pop_row(row: &[u8], freqs: &[u32], lanes: usize, count: usize) -> Vec<u8> {
    let (states, mut words) = row.split_at(4 * lanes);
    let mut states: Vec<u32> = states.chunks(4).map(|state| number(state) as u32).collect();
    let mut pop = |i: usize| {
        let x = &mut states[i % lanes];
        let slot = *x % 4096;
        let (mut symbol, mut start) = (0, 0);
        while start + freqs[symbol] <= slot {
            start += freqs[symbol];
            symbol += 1;
        }
        *x = *x / 4096 * freqs[symbol] + slot - start;
        if *x < 1 << 15 {
            let (before, word) = words.split_at(words.len() - 2);
            words = before;
            *x = *x << 16 | number(word) as u32;
        }
        symbol as u8
    };
    let symbols = (0..count).map(&mut pop).collect();
    assert!(words.is_empty() && states.iter().all(|&x| x == 1 << 15));
    symbols
}

/// Section 8 of `docs/frame-format.md`.
fn elements(chunk: &[u8], element: u8, n: usize) -> Vec<u8> {
    match element {
        0..=10 => planes(chunk, element, n),
        11..=20 => {
            let size = [2, 2, 4, 8, 2, 2, 4, 4, 8, 8][usize::from(element) - 11];
            let numbers = planes(chunk, element - 10, n);
            numbers.chunks(size).flat_map(|number| number.iter().rev().copied()).collect()
        }
        21 => {
            let bits = planes(chunk, 0, n.div_ceil(8));
            (0..n).map(|i| bits[i / 8] >> (i % 8) & 1).collect()
        }
        22 => {
            let mut rest = Bytes(chunk);
            let fields: Vec<(u8, usize)> = (0..rest.number(1))
                .map(|_| (rest.number(1) as u8, rest.number(2) as usize))
                .collect();
            let sizes = fields.iter().map(|&(element, count)| {
                let size = [1, 2, 2, 4, 8, 2, 2, 4, 4, 8, 8][usize::from((element + 9) % 10 + 1)];
                if element == 0 { count } else { size * count }
            });
            let sizes: Vec<usize> = sizes.collect();
            let records = n / sizes.iter().sum::<usize>();
            let columns: Vec<Vec<u8>> = fields
                .iter()
                .zip(&sizes)
                .map(|(&(element, _), size)| {
                    let length = rest.number(4) as usize;
                    elements(rest.take(length), element, records * size)
                })
                .collect();
            assert!(rest.0.is_empty());
            let field = |i: usize, at: usize| &columns[at][i * sizes[at]..][..sizes[at]];
            (0..records)
                .flat_map(|i| (0..sizes.len()).flat_map(move |at| field(i, at).to_vec()))
                .collect()
        }
        _ => panic!("element type {element}"),
    }
}

/// `docs/float-format.md`; element type 0 is bytes.
fn planes(chunk: &[u8], element: u8, n: usize) -> Vec<u8> {
    if element == 0 {
        let mut rest = Bytes(chunk);
        return match rest.number(1) {
            0 => rest.0.to_vec(),
            3 => plane(&mut rest, n),
            method => panic!("method {method} of bytes"),
        };
    }
    let w = [16, 16, 32, 64, 16, 16, 32, 32, 64, 64][usize::from(element) - 1];
    let (size, count) = (w / 8, n / (w / 8));
    let mut rest = Bytes(chunk);
    let values: Vec<u64> = match rest.number(1) {
        0 => return rest.0.to_vec(),
        1 => floats(&mut rest, w, [10, 7, 23, 52][usize::from(element) - 1], count),
        2 => {
            let filter = rest.number(1);
            let mut values = vec![0u64; count];
            // The most significant bytes, then the others from the least significant on.
            for byte in [size - 1].into_iter().chain(0..size - 1) {
                for (value, part) in values.iter_mut().zip(plane(&mut rest, count)) {
                    *value |= u64::from(part) << (8 * byte);
                }
            }
            let mut before = 0u64;
            for value in values.iter_mut().filter(|_| filter > 0) {
                *value = *value >> 1 ^ (*value & 1).wrapping_neg();
                if filter == 2 {
                    *value = value.wrapping_add(before);
                    before = *value;
                }
            }
            values
        }
        method => panic!("method {method} of an element of {size} bytes"),
    };
    let mut out: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()[..size].to_vec()).collect();
    out.extend_from_slice(rest.0);
    assert_eq!(out.len(), n);
    out
}

/// "Differences" of `docs/float-format.md`.
fn difference(mut rest: Bytes<'_>, element: u8, base: &[u8]) -> Vec<u8> {
    let w = [8, 16, 16, 32, 64, 16, 16, 32, 32, 64, 64][usize::from(element)];
    let mantissa = [10, 7, 23, 52].get(usize::from(element).wrapping_sub(1));
    let mask = u64::MAX >> (64 - w);
    let method = rest.number(1);
    if method == 0 {
        assert!(rest.0.is_empty());
        return base.to_vec();
    }
    let (t, g) = (rest.number(1), rest.number(1));
    assert!((t as usize) < w && (1..=8).contains(&g));
    let first = if g > 1 { rest.number(2) } else { 0 };
    let starts = rest.take(g as usize - 1);
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]) && !starts.starts_with(&[0]));
    let bases: Vec<u64> = base.chunks_exact(w / 8).map(number).collect();
    let class = |b: u64| {
        let Some(mantissa) = mantissa.filter(|_| g > 1) else { return 0 };
        let key = ((b & mask >> 1) >> mantissa).saturating_sub(first).min(255);
        starts.iter().filter(|&&start| u64::from(start) <= key).count()
    };
    let classes: Vec<usize> = bases.iter().map(|&b| class(b)).collect();
    let words: Vec<Vec<u64>> = (0..g as usize)
        .map(|class| words(&mut rest, w, classes.iter().filter(|&&c| c == class).count()))
        .collect();
    let mut words: Vec<_> = words.into_iter().map(Vec::into_iter).collect();
    let mut out = Vec::new();
    for (&b, &class) in bases.iter().zip(&classes) {
        let word = words[class].next().unwrap();
        let d = (word >> 1 ^ (word & 1).wrapping_neg()) << t;
        let top = 1 << (w - 1);
        let x = match (method, mantissa) {
            (2, _) => b ^ word << t,
            (1, None) => b.wrapping_add(d),
            (1, Some(_)) => {
                let o = if b & top != 0 { !b } else { b | top };
                let o = o.wrapping_add(d) & mask;
                if o & top != 0 { o ^ top } else { !o }
            }
            _ => panic!("method {method}"),
        };
        out.extend(&(x & mask).to_le_bytes()[..w / 8]);
    }
    out.extend_from_slice(rest.0);
    assert_eq!(out.len(), base.len());
    out
}

/// The words of a class of `n` elements.
fn words(rest: &mut Bytes<'_>, w: usize, n: usize) -> Vec<u64> {
    if n == 0 {
        return Vec::new();
    }
    let k = rest.number(1) as usize;
    assert!(k <= w - 8);
    let tokens = plane(rest, n);
    let mut low = vec![0u64; n];
    for byte in 0..k / 8 {
        for (low, part) in low.iter_mut().zip(plane(rest, n)) {
            *low |= u64::from(part) << (8 * byte);
        }
    }
    if !k.is_multiple_of(8) {
        for (low, part) in low.iter_mut().zip(fractions(rest, k % 8, n)) {
            *low |= u64::from(part) << (k / 8 * 8);
        }
    }
    let mut bits = Bits { bytes: rest.0, at: 0 };
    let words = tokens.iter().zip(low).map(|(&token, low)| {
        let v = match usize::from(token).checked_sub(128) {
            None => u64::from(token),
            Some(large) => {
                let l = large / 2 + 7;
                assert!(l + 1 + k <= w);
                (2 | (large as u64 % 2)) << (l - 1) | bits.take(l - 1) as u64
            }
        };
        v << k | low
    });
    let words = words.collect();
    let used = bits.at.div_ceil(8);
    rest.take(used);
    words
}

fn floats(rest: &mut Bytes<'_>, w: usize, mantissa: usize, count: usize) -> Vec<u64> {
    let (kept, dropped, flags) = (rest.number(1) as usize, rest.number(1) as usize, rest.number(1));
    let first = rest.number(2);
    let zero = (flags & 8 != 0).then(|| rest.number(1));
    let (sign, packed) = (flags & 3, flags & 4 != 0);
    let unit = 1u64 << (mantissa - dropped);
    let value_bits = kept + mantissa - dropped;
    let rest_bits = value_bits - 8 + usize::from(sign == 0);
    let symbols = plane(rest, count);
    let is_zero = |symbol: u8| {
        zero.and_then(|zero| u64::from(symbol).checked_sub(zero)).filter(|&negative| negative < 2)
    };
    let others = symbols.iter().filter(|&&symbol| is_zero(symbol).is_none()).count();
    let mut rests = vec![0u64; others];
    for byte in 0..rest_bits / 8 {
        for (value, part) in rests.iter_mut().zip(plane(rest, others)) {
            *value |= u64::from(part) << (8 * byte);
        }
    }
    let width = rest_bits % 8;
    if width > 0 {
        let parts = if packed { fractions(rest, width, others) } else { plane(rest, others) };
        for (value, part) in rests.iter_mut().zip(parts) {
            *value |= u64::from(part) << (rest_bits - width);
        }
    }
    let mut rests = rests.into_iter();
    symbols
        .into_iter()
        .map(|symbol| {
            if let Some(negative) = is_zero(symbol) {
                return negative << (w - 1);
            }
            let rest = rests.next().unwrap();
            let low = value_bits - 8;
            let v = u64::from(symbol) << low | rest & ((1 << low) - 1);
            let m = if v >= unit { v + first * unit } else { v };
            let s = [rest >> low, 0, 1][sign as usize];
            s << (w - 1) | m << dropped
        })
        .collect()
}

/// A plane of `count` bytes.
fn plane(rest: &mut Bytes<'_>, count: usize) -> Vec<u8> {
    match rest.number(1) {
        0 => rest.take(count).to_vec(),
        1 => vec![rest.number(1) as u8; count],
        2 => (0..count)
            .step_by(1 << 20)
            .flat_map(|at| {
                let coded = rest.number(4) as usize;
                order0(rest.take(coded), (count - at).min(1 << 20))
            })
            .collect(),
        kind => panic!("a plane of kind {kind}"),
    }
}

fn fractions(rest: &mut Bytes<'_>, width: usize, count: usize) -> Vec<u8> {
    let parts: Vec<usize> = [4, 2, 1].into_iter().filter(|part| width & part != 0).collect();
    let blocks: Vec<usize> = (0..count).step_by(512).map(|at| (count - at).min(512)).collect();
    let taken = |block: usize, part: usize| (block * part).div_ceil(8);
    let size = blocks.iter().flat_map(|&block| parts.iter().map(move |&p| taken(block, p))).sum();
    let packed = plane(rest, size);
    let mut packed = Bytes(&packed);
    let mut out = Vec::new();
    for block in blocks {
        let mut values = vec![0u8; block];
        let mut low = 0;
        for &part in &parts {
            let t = taken(block, part);
            let bytes = packed.take(t);
            for (i, value) in values.iter_mut().enumerate() {
                let (k, j) = (i / t, i % t);
                *value |= (bytes[j] >> (k * part) & ((1 << part) - 1)) << low;
            }
            low += part;
        }
        out.extend(values);
    }
    out
}

#[test]
fn a_reader_from_the_texts_alone() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut codecs = [0; 6];
    let base = fs::read(format!("{folder}/v1-safetensors.parans")).unwrap();
    let base = read_file(&base, &mut codecs, &[]).0;
    let bases = vec![Arc::new(Base::from_bytes("base", base.clone()).unwrap())];
    let mut kinds = [0; 3];
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let mut content = Vec::new();
        let bases = bases.clone();
        let options = ReadOptions { keep_indexes: true, bases, ..ReadOptions::default() };
        let mut reader = FrameReader::new(&bytes[..], options);
        reader.copy_to(&mut content).unwrap();
        let (own, directories) = read_file(&bytes, &mut codecs, &base);
        assert!(own == content, "{}", path.display());
        assert_eq!(directories.len(), reader.indexes().len());
        for (own, index) in directories.into_iter().zip(reader.indexes()) {
            own.iter().for_each(|entry| kinds[usize::from(entry.0)] += 1);
            let entries: Vec<Entry> = index
                .entries
                .iter()
                .map(|entry| {
                    let (kind, dtype, shape) = match &entry.kind {
                        EntryKind::Bytes => (0, String::new(), Vec::new()),
                        EntryKind::Tensor { dtype, shape } => (1, dtype.clone(), shape.clone()),
                        EntryKind::Rows => (2, String::new(), Vec::new()),
                        kind => panic!("{kind:?}"),
                    };
                    (kind, entry.name.clone(), entry.offset, entry.length, dtype, shape)
                })
                .collect();
            assert_eq!(own, entries, "{}", path.display());
        }
    }
    assert!(codecs.iter().all(|&chunks| chunks > 0), "chunks by codec: {codecs:?}");
    assert!(kinds[1] > 0 && kinds[2] > 0, "entries by kind: {kinds:?}");
}
