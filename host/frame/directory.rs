//! The bytes of the index, a column for each field of its chunks and entries; `columns` codes them.
//! `docs/frame-format.md` has the order. A reader sets memory aside for what the bytes of an index
//! have earned, whatever they decode to.

use std::collections::HashMap;

use super::{
    columns::{self, add_difference, difference, put, take, take_count},
    index::{
        BaseName, Container, Entry, EntryKind, Index, MAX_DIMENSIONS, MAX_DTYPE_NAME, MAX_NAME,
    },
    wire::{ChunkCodec, ChunkInfo, Fields},
};
use crate::{Error, Result};

/// The numbers of entry kinds.
const BYTES: u8 = 0;
const TENSOR: u8 = 1;
const ROWS: u8 = 2;

fn kind_id(kind: &EntryKind) -> u8 {
    match kind {
        EntryKind::Bytes => BYTES,
        EntryKind::Tensor { .. } => TENSOR,
        EntryKind::Rows => ROWS,
    }
}

impl Index {
    /// The bytes of the index: coded, or as they are where coded ones would decode to more than a
    /// reader allows.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let columns = self.columns(true);
        let coded = columns::code(&columns, false);
        let plain: usize = columns.iter().map(Vec::len).sum();
        let allowed = Allowed::new(coded.len());
        let names: usize = self.entries.iter().map(|entry| entry.name.len()).sum();
        if plain <= columns::most_decoded(coded.len())
            && self.entries.len() <= allowed.entries
            && names <= allowed.names
        {
            return coded;
        }
        columns::code(&self.columns(false), true)
    }

    /// The columns. Names share their beginnings and ends with the names before them if `share`.
    fn columns(&self, share: bool) -> Vec<Vec<u8>> {
        let chunks = || self.chunks.iter();
        let entries = || self.entries.iter();
        let mut head = vec![self.container as u8];
        put(self.chunks.len() as u64, &mut head);
        put(self.entries.len() as u64, &mut head);

        let codecs = chunks().map(|chunk| chunk.codec.id()).collect();
        let typed = chunks().filter(|chunk| chunk.codec.is_typed());
        let elements = typed.map(|chunk| chunk.element).collect();
        let (mut raw, mut coded) = (Vec::new(), Vec::new());
        let mut before = 0;
        for chunk in chunks() {
            put(difference(chunk.raw.into(), before), &mut raw);
            put(chunk.coded.into(), &mut coded);
            before = chunk.raw.into();
        }

        let kinds = entries().map(|entry| kind_id(&entry.kind)).collect();
        let [mut fronts, mut backs, mut middles, mut names] = <[Vec<u8>; 4]>::default();
        let [mut lengths, mut offsets] = <[Vec<u8>; 2]>::default();
        let (mut name, mut end) = (&[][..], 0);
        for entry in entries() {
            let own = entry.name.as_bytes();
            let (front, back) = if share { shared(own, name) } else { (0, 0) };
            put(front as u64, &mut fronts);
            put(back as u64, &mut backs);
            put((own.len() - front - back) as u64, &mut middles);
            names.extend_from_slice(&own[front..own.len() - back]);
            put(difference(entry.offset, end), &mut offsets);
            put(entry.length, &mut lengths);
            (name, end) = (own, entry.end());
        }

        let [mut types, mut number, mut dimensions, mut shapes] = <[Vec<u8>; 4]>::default();
        let mut known: HashMap<&str, u64> = HashMap::new();
        for entry in entries() {
            let EntryKind::Tensor { dtype, shape } = &entry.kind else { continue };
            let next = known.len() as u64;
            let at = *known.entry(dtype).or_insert_with(|| {
                // `check` has bounded the length of a type's name, and that of a shape.
                types.push(dtype.len() as u8);
                types.extend_from_slice(dtype.as_bytes());
                next
            });
            put(at, &mut number);
            dimensions.push(shape.len() as u8);
            shape.iter().for_each(|&n| put(n, &mut shapes));
        }
        if !dimensions.is_empty() {
            let mut counted = Vec::new();
            put(known.len() as u64, &mut counted);
            counted.append(&mut types);
            types = counted;
        }
        let mut bases = Vec::new();
        if self.has_bases() {
            put(self.bases.len() as u64, &mut bases);
            for base in &self.bases {
                bases.extend(base.check.to_le_bytes());
                put(base.length, &mut bases);
                put(base.name.len() as u64, &mut bases);
                bases.extend(base.name.as_bytes());
            }
        }
        vec![
            head, codecs, elements, raw, coded, kinds, fronts, backs, middles, names, lengths,
            offsets, types, number, dimensions, shapes, bases,
        ]
    }

    /// Reads what [`Index::to_bytes`] wrote.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` for anything the format does not allow, `Unsupported` for a
    /// container, a kind of entry or a codec this build does not know.
    pub(super) fn from_bytes(bytes: &[u8], max_chunk: u32) -> Result<Self> {
        let allowed = Allowed::new(bytes.len());
        let plain = columns::decode(bytes)?;
        let mut fields = Fields(&plain);
        let container = usize::from(fields.u8()?);
        let container = *Container::ALL.get(container).ok_or_else(|| {
            let last = Container::ALL.len() - 1;
            Error::Unsupported(format!("container {container}: this build knows 0 to {last}"))
        })?;
        let chunks = take_count(&mut fields, "chunks")?;
        let entries = take_count(&mut fields, "entries")?;
        if entries > allowed.entries {
            return Err(Error::Corrupt(format!(
                "{entries} entries in an index of {} bytes",
                bytes.len()
            )));
        }
        let mut index = Self { container, ..Self::default() };
        index.chunks = read_chunks(&mut fields, chunks, max_chunk)?;
        index.entries = read_entries(&mut fields, entries, index.content_length(), allowed.names)?;
        if index.has_bases() {
            index.bases = read_bases(&mut fields)?;
        }
        if !fields.0.is_empty() {
            return Err(Error::Corrupt(format!("{} bytes too many in the index", fields.0.len())));
        }
        Ok(index)
    }
}

/// How many bytes two names share at their beginnings and behind those at their ends.
fn shared(a: &[u8], b: &[u8]) -> (usize, usize) {
    let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let ends = a[front..].iter().rev().zip(b[front..].iter().rev());
    (front, ends.take_while(|(a, b)| a == b).count())
}

/// What an index of so many bytes may hold: memory for it is earned by its bytes.
struct Allowed {
    entries: usize,
    /// Bytes of all names together.
    names: usize,
}

impl Allowed {
    fn new(bytes: usize) -> Self {
        Self {
            entries: bytes.saturating_mul(2).saturating_add(1 << 10),
            names: bytes.saturating_mul(64).saturating_add(1 << 20),
        }
    }
}

/// The chunks; `count` is at most the bytes left.
fn read_chunks(fields: &mut Fields<'_>, count: usize, max_chunk: u32) -> Result<Vec<ChunkInfo>> {
    let codecs = fields.bytes(count)?;
    let typed = |codec: u8| ChunkCodec::from_id(codec).is_ok_and(ChunkCodec::is_typed);
    let typed_chunks = codecs.iter().filter(|&&codec| typed(codec)).count();
    let mut elements = fields.bytes(typed_chunks)?.iter();
    let mut raws = Vec::with_capacity(count);
    let mut raw = 0;
    for _ in 0..count {
        raw = add_difference(raw, take(fields)?);
        raws.push(narrow(raw)?);
    }
    let chunks = codecs.iter().zip(raws).map(|(&codec, raw)| {
        let element = if typed(codec) { elements.next().copied().unwrap_or_default() } else { 0 };
        ChunkInfo::new(codec, element, raw, narrow(take(fields)?)?, max_chunk)
    });
    chunks.collect()
}

fn narrow(number: u64) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Corrupt(format!("a chunk of {number} bytes")))
}

/// The entries; `count` is at most the bytes left.
fn read_entries(
    fields: &mut Fields<'_>,
    count: usize,
    content_length: u64,
    most_names: usize,
) -> Result<Vec<Entry>> {
    let kinds = fields.bytes(count)?;
    let names = read_names(fields, count, most_names)?;
    let lengths = (0..count).map(|_| take(fields)).collect::<Result<Vec<u64>>>()?;
    let mut entries = Vec::with_capacity(count);
    let mut end = 0;
    for (name, length) in names.into_iter().zip(lengths) {
        let offset = add_difference(end, take(fields)?);
        end = match offset.checked_add(length) {
            Some(end) if end <= content_length => end,
            _ => {
                return Err(Error::Corrupt(format!(
                    "entry {name:?} of {length} bytes at {offset} lies outside the content of {content_length} bytes"
                )));
            }
        };
        entries.push(Entry { name, kind: EntryKind::Bytes, offset, length });
    }
    let tensors = kinds.iter().filter(|&&kind| kind == TENSOR).count();
    let mut tensors = read_tensors(fields, tensors)?.into_iter();
    for (entry, &kind) in entries.iter_mut().zip(kinds) {
        entry.kind = match kind {
            BYTES => EntryKind::Bytes,
            ROWS => EntryKind::Rows,
            // As many were read as there are.
            TENSOR => tensors.next().unwrap_or(EntryKind::Bytes),
            _ => {
                return Err(Error::Unsupported(format!(
                    "entry kind {kind}: this build knows 0 to 2"
                )));
            }
        };
    }
    Ok(entries)
}

fn read_names(fields: &mut Fields<'_>, count: usize, most: usize) -> Result<Vec<String>> {
    let mut lengths = || (0..count).map(|_| take(fields)).collect::<Result<Vec<u64>>>();
    let (fronts, backs, middles) = (lengths()?, lengths()?, lengths()?);
    let mut names: Vec<String> = Vec::with_capacity(count);
    let mut total = 0;
    for ((front, back), middle) in fronts.into_iter().zip(backs).zip(middles) {
        let before = names.last().map_or("", String::as_str).as_bytes();
        let shared = front.saturating_add(back);
        let length = shared.saturating_add(middle);
        if shared > before.len() as u64 || length > MAX_NAME as u64 {
            return Err(Error::Corrupt(format!(
                "a name of {length} bytes, {shared} of them of the {} before",
                before.len()
            )));
        }
        total += length as usize;
        if total > most {
            return Err(Error::Corrupt(format!("names of more than {most} bytes in the index")));
        }
        let (front, back) = (&before[..front as usize], &before[before.len() - back as usize..]);
        let name = [front, fields.bytes(middle as usize)?, back].concat();
        names.push(text(name)?);
    }
    Ok(names)
}

/// What is known of `count` entries that are tensors.
fn read_tensors(fields: &mut Fields<'_>, count: usize) -> Result<Vec<EntryKind>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let types = take_count(fields, "element types")?;
    let types = (0..types).map(|_| {
        let length = usize::from(fields.u8()?);
        if length > MAX_DTYPE_NAME {
            return Err(Error::Corrupt(format!("an element type's name of {length} bytes")));
        }
        text(fields.bytes(length)?.to_vec())
    });
    let types = types.collect::<Result<Vec<String>>>()?;
    let dtypes = (0..count).map(|_| {
        let number = take(fields)?;
        let known = usize::try_from(number).ok().and_then(|number| types.get(number));
        known.ok_or_else(|| {
            Error::Corrupt(format!("element type name {number} of {} in the index", types.len()))
        })
    });
    let dtypes = dtypes.collect::<Result<Vec<&String>>>()?;
    let dimensions = fields.bytes(count)?;
    let tensors = dtypes.into_iter().zip(dimensions).map(|(dtype, &dimensions)| {
        if usize::from(dimensions) > MAX_DIMENSIONS {
            return Err(Error::Corrupt(format!("an entry with {dimensions} dimensions")));
        }
        let shape = (0..dimensions).map(|_| take(fields)).collect::<Result<Vec<u64>>>()?;
        Ok(EntryKind::Tensor { dtype: dtype.clone(), shape })
    });
    tensors.collect()
}

/// The bases.
fn read_bases(fields: &mut Fields<'_>) -> Result<Vec<BaseName>> {
    let count = take_count(fields, "bases")?;
    let bases = (0..count).map(|_| {
        let (check, length) = (fields.u64()?, take(fields)?);
        let name = take(fields)?;
        if name > MAX_NAME as u64 {
            return Err(Error::Corrupt(format!("a base's name of {name} bytes")));
        }
        Ok(BaseName { check, length, name: text(fields.bytes(name as usize)?.to_vec())? })
    });
    bases.collect()
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::Corrupt("a name in the index is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Index {
        Index {
            container: Container::Safetensors,
            entries: vec![
                Entry::tensor("layer.0/weight", "BF16", vec![2, 3], 4, 12),
                Entry { name: String::new(), kind: EntryKind::Bytes, offset: 16, length: 0 },
                Entry { name: "coded".into(), kind: EntryKind::Rows, offset: 0, length: 16 },
            ],
            chunks: vec![
                ChunkInfo::new(0, 0, 10, 10, 16).unwrap(),
                ChunkInfo::new(1, 0, 6, 2, 16).unwrap(),
            ],
            bases: Vec::new(),
        }
    }

    #[test]
    fn round_trip_and_truncations() {
        let bytes = sample().to_bytes();
        assert_eq!(Index::from_bytes(&bytes, 16).unwrap(), sample());
        assert_eq!(sample().content_length(), 16);
        for length in 0..bytes.len() {
            assert!(Index::from_bytes(&bytes[..length], 16).is_err(), "cut to {length}");
        }
        assert!(Index::from_bytes(&[&bytes[..], &[0]].concat(), 16).is_err());
    }

    /// The sample with its columns changed before they are coded.
    fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Index> {
        let mut plain = columns::decode(&sample().to_bytes()).unwrap();
        change(&mut plain);
        Index::from_bytes(&columns::code(&[plain], true), 16)
    }

    /// A claimed count is refused before memory is set aside for it.
    #[test]
    fn counts_must_be_earned() {
        for (chunks, entries) in
            [(1u64 << 60, 0), (0, 1u64 << 60), (u64::MAX, u64::MAX), (1, 0), (0, 1)]
        {
            let mut plain = vec![0];
            put(chunks, &mut plain);
            put(entries, &mut plain);
            let error = Index::from_bytes(&columns::code(&[plain], true), 16).unwrap_err();
            assert!(matches!(error, Error::Corrupt(_) | Error::Truncated(_)), "{error}");
        }
        // Half a million entries whose columns are constant take a few dozen coded bytes.
        let count = 500_000;
        let mut head = vec![0, 0];
        put(count as u64, &mut head);
        let bytes = columns::code(&[vec![head], vec![vec![0; count]; 6]].concat(), false);
        assert!(bytes.len() < 100, "{}", bytes.len());
        let error = Index::from_bytes(&bytes, 16).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(m) if m.contains("in an index of")), "{error}");
    }

    /// Names that share nearly all with the ones before them take little, and memory for all of it.
    #[test]
    fn names_must_be_earned() {
        let name = "n".repeat(MAX_NAME);
        let same = Entry { name, kind: EntryKind::Bytes, offset: 0, length: 0 };
        let index = Index { entries: vec![same; 1000], ..Index::default() };
        let shared = columns::code(&index.columns(true), false);
        let error = Index::from_bytes(&shared, 16).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(m) if m.contains("names of more")), "{error}");
        // What a writer writes is read all the same.
        let bytes = index.to_bytes();
        assert!(bytes.len() > 1000 * MAX_NAME);
        assert_eq!(Index::from_bytes(&bytes, 16).unwrap(), index);
    }

    /// A directory as model files have it takes a few bytes per entry.
    #[test]
    fn directories_are_coded() {
        let entry = |i: u64| {
            let name = format!("model.layers.{}.self_attn.q_proj.lora_A.weight", i);
            Entry::tensor(&name, "BF16", vec![8, 64], 1024 * i, 1024)
        };
        let chunk = ChunkInfo::new(2, 0, 1 << 20, 1 << 19, 1 << 20).unwrap();
        let index = Index {
            container: Container::Safetensors,
            entries: (0..1000).map(entry).collect(),
            chunks: vec![chunk],
            bases: Vec::new(),
        };
        let bytes = index.to_bytes();
        assert!(bytes.len() < 3000, "{}", bytes.len());
        assert_eq!(Index::from_bytes(&bytes, 1 << 20).unwrap(), index);
    }

    #[test]
    fn entries_lie_inside_the_content() {
        for (offset, length) in [(0, 17), (16, 1), (17, 0), (u64::MAX, 2)] {
            let mut index = sample();
            index.entries[1] = Entry { name: "x".into(), kind: EntryKind::Bytes, offset, length };
            assert!(Index::from_bytes(&index.to_bytes(), 16).is_err(), "{length} at {offset}");
        }
    }

    #[test]
    fn unknown_kinds_and_containers_are_named() {
        let error = changed(|plain| plain[0] = 99).unwrap_err();
        assert!(matches!(&error, Error::Unsupported(m) if m.contains("container 99")), "{error}");
        // Behind the head the chunks take two bytes per column, but there are no elements.
        let error = changed(|plain| plain[9] = 3).unwrap_err();
        assert!(matches!(&error, Error::Unsupported(m) if m.contains("entry kind 3")), "{error}");
        assert!(changed(|_| {}).is_ok());
        assert!(changed(|plain| plain.push(0)).is_err());
        assert!(changed(|plain| plain.truncate(plain.len() - 1)).is_err());
    }

    #[test]
    fn names_too_long_are_refused() {
        let long = Entry::tensor(&"n".repeat(MAX_NAME + 1), "F32", vec![], 0, 0);
        assert!(matches!(long.check(), Err(Error::InvalidArgument(_))));
        assert!(Entry::tensor("x", "F32", vec![1; MAX_DIMENSIONS + 1], 0, 0).check().is_err());
        assert!(Entry::tensor("x", "F32", vec![1; MAX_DIMENSIONS], 0, 0).check().is_ok());
    }
}
