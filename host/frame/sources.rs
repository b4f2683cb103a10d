//! What content may be coded by besides itself: content of bases, and earlier content of the frame.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_128;

use super::{
    base::Base,
    index::{BaseName, Entry, EntryKind},
    layout::{Layout, Run},
};
use crate::{Error, Result};

/// Content that probably repeats other content: earlier content of the frame, for
/// [`FrameWriter::with_repeats`](super::FrameWriter::with_repeats), or that of a base, for
/// [`FrameWriter::with_base_ranges`](super::FrameWriter::with_base_ranges).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The content that repeats.
    pub content: Range<u64>,
    /// Where the content begins that it repeats.
    pub source: u64,
}

/// Content below this many bytes is not worth cutting chunks for.
const WORTH: u64 = 256 << 10;
/// Bytes at each of three places by which tensors are taken for the same.
const SAMPLE: u64 = 4 << 10;

/// A number for each tensor of at least 256 KiB by which it is known again, in this content or in
/// another: of its type and length, and of its bytes at its beginning, in its middle and at its
/// end. What is taken for the same is to be compared.
///
/// # Errors
/// What `content` returns when it is read.
pub fn fingerprints<R: Read + Seek>(
    layout: &Layout,
    mut content: R,
) -> io::Result<Vec<(&Entry, u128)>> {
    let mut found = Vec::new();
    for entry in layout.entries.iter().filter(|entry| entry.length >= WORTH) {
        let mut bytes = match &entry.kind {
            EntryKind::Tensor { dtype, .. } => dtype.clone().into_bytes(),
            _ => Vec::new(),
        };
        bytes.extend(entry.length.to_le_bytes());
        for at in [0, (entry.length - SAMPLE) / 2, entry.length - SAMPLE] {
            content.seek(SeekFrom::Start(entry.offset + at))?;
            content.by_ref().take(SAMPLE).read_to_end(&mut bytes)?;
        }
        found.push((entry, xxh3_128(&bytes)));
    }
    Ok(found)
}

/// The tensors that are probably in the content twice, by their [`fingerprints`].
#[must_use]
pub fn find_repeats(tensors: &[(&Entry, u128)]) -> Vec<Repeat> {
    let mut tensors = tensors.to_vec();
    tensors.sort_by_key(|(entry, _)| entry.offset);
    let mut seen: HashMap<u128, &Entry> = HashMap::new();
    let mut repeats = Vec::new();
    for (entry, number) in tensors {
        let first = *seen.entry(number).or_insert(entry);
        // Tensors may share their bytes, too.
        if first.end() <= entry.offset {
            repeats.push(Repeat { content: entry.offset..entry.end(), source: first.offset });
        }
    }
    repeats
}

/// Content of a base that resembles content of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Match {
    content: Range<u64>,
    /// The number of the base.
    base: usize,
    /// Where it begins in the base.
    at: u64,
}

/// The bases of a frame that is being written, and which part of them its content resembles.
#[derive(Default)]
pub(super) struct Sources {
    bases: Vec<Arc<Base>>,
    /// Of each base, the number of the first entry with each name.
    by_name: Vec<HashMap<String, usize>>,
    /// Ascending and apart.
    matches: Vec<Match>,
}

impl Sources {
    /// Takes a base for content with these entries, and cuts the runs of the content where large
    /// parts of it that resemble the base begin and end.
    pub(super) fn add(&mut self, base: Arc<Base>, entries: &[Entry], runs: &mut VecDeque<Run>) {
        let number = self.bases.len();
        let mut named = HashMap::new();
        for entry in base.entries() {
            named.entry((entry.name.as_str(), &entry.kind, entry.length)).or_insert(entry.offset);
        }
        let mut unnamed: HashMap<_, Vec<u64>> = HashMap::new();
        let taken: HashSet<_> =
            entries.iter().map(|entry| (entry.name.as_str(), &entry.kind, entry.length)).collect();
        // The first is taken first: from the end of each list.
        for entry in base.entries().iter().rev() {
            if !taken.contains(&(entry.name.as_str(), &entry.kind, entry.length)) {
                unnamed.entry((entry.kind.clone(), entry.length)).or_default().push(entry.offset);
            }
        }
        let mut matches = Vec::new();
        for entry in entries.iter().filter(|entry| entry.length > 0) {
            let at = named.get(&(entry.name.as_str(), &entry.kind, entry.length)).copied();
            // A tensor of another name may be the same one: those of a type and shape, in order.
            let at = at.or_else(|| unnamed.get_mut(&(entry.kind.clone(), entry.length))?.pop());
            let content = entry.offset..entry.end();
            matches.extend(at.map(|at| Match { content, base: number, at }));
        }
        if entries.is_empty() {
            // Bytes of no known kind: those at the same places.
            matches.push(Match { content: 0..base.length(), base: number, at: 0 });
        }
        self.push(base, matches, runs);
    }

    /// Takes a base of which these ranges resemble content.
    pub(super) fn add_ranges(
        &mut self,
        base: Arc<Base>,
        ranges: Vec<Repeat>,
        runs: &mut VecDeque<Run>,
    ) {
        let number = self.bases.len();
        let of = |Repeat { content, source }| Match { content, base: number, at: source };
        let mut matches: Vec<Match> = ranges.into_iter().map(of).collect();
        matches.retain(|found| {
            let length = found.content.end.saturating_sub(found.content.start);
            found.at.checked_add(length).is_some_and(|end| end <= base.length())
        });
        self.push(base, matches, runs);
    }

    fn push(&mut self, base: Arc<Base>, matches: Vec<Match>, runs: &mut VecDeque<Run>) {
        self.matches = joined(std::mem::take(&mut self.matches), matches, base.length());
        let large = |found: &&Match| found.content.end - found.content.start >= WORTH;
        let large = self.matches.iter().filter(large);
        cut(runs, large.flat_map(|found| [found.content.start, found.content.end]).collect());
        let mut by_name = HashMap::new();
        for (number, entry) in base.entries().iter().enumerate() {
            by_name.entry(entry.name.clone()).or_insert(number);
        }
        self.by_name.push(by_name);
        self.bases.push(base);
    }

    /// Notes an entry that was not known when the bases came.
    pub(super) fn note(&mut self, entry: &Entry) {
        let found = self.bases.iter().zip(&self.by_name).position(|(base, by_name)| {
            let same = |&at: &usize| {
                let other = &base.entries()[at];
                (&other.kind, other.length) == (&entry.kind, entry.length) && entry.length > 0
            };
            by_name.get(&entry.name).is_some_and(same)
        });
        let Some(base) = found else { return };
        let at = self.bases[base].entries()[self.by_name[base][&entry.name]].offset;
        let content = entry.offset..entry.end();
        // Entries come in the order of the content; what was guessed ends where they begin.
        let behind = |other: &mut Match| other.content.start >= content.start;
        while self.matches.pop_if(behind).is_some() {}
        if let Some(last) = self.matches.last_mut() {
            last.content.end = last.content.end.min(content.start);
        }
        self.matches.push(Match { content, base, at });
    }

    /// Where the content that resembles a base ends, if it does at `at`.
    pub(super) fn end(&self, at: u64) -> Option<u64> {
        let after = self.matches.partition_point(|found| found.content.start <= at);
        let end = self.matches[after.checked_sub(1)?].content.end;
        Some(end).filter(|&end| end > at)
    }

    /// The number of the base, the base and the range of it that content resembles.
    pub(super) fn find(&self, content: &Range<u64>) -> Option<(usize, &Base, Range<u64>)> {
        let after = self.matches.partition_point(|found| found.content.start <= content.start);
        let found = &self.matches[after.checked_sub(1)?];
        if content.end > found.content.end {
            return None;
        }
        let at = found.at + (content.start - found.content.start);
        Some((found.base, &self.bases[found.base], at..at + (content.end - content.start)))
    }

    /// What the index says of the bases.
    pub(super) fn names(&self) -> Result<Vec<BaseName>> {
        self.bases.iter().map(|base| base.identity()).collect()
    }
}

/// Two lists of matches as one, ascending and apart; the first list goes before the second. Those
/// that are as far from their bases as their neighbours are one, with what lies between them.
fn joined(one: Vec<Match>, other: Vec<Match>, base_length: u64) -> Vec<Match> {
    let mut all: Vec<(bool, Match)> = one.into_iter().map(|found| (false, found)).collect();
    all.extend(other.into_iter().map(|found| (true, found)));
    all.sort_by_key(|(second, found)| (found.content.start, *second));
    let mut out: Vec<Match> = Vec::new();
    for (_, mut found) in all {
        match out.last_mut() {
            Some(last)
                if last.base == found.base
                    && found.at.wrapping_sub(last.at)
                        == found.content.start.wrapping_sub(last.content.start) =>
            {
                last.content.end = last.content.end.max(found.content.end);
                continue;
            }
            Some(last) if last.content.end > found.content.start => {
                let cut = last.content.end - found.content.start;
                if found.content.end - found.content.start <= cut {
                    continue;
                }
                found.content.start += cut;
                found.at += cut;
            }
            _ => {}
        }
        out.push(found);
    }
    // What stands before the first tensor and behind the last one: headers, mostly.
    if let Some(first) = out.first_mut() {
        let before = first.content.start.min(first.at);
        first.content.start -= before;
        first.at -= before;
    }
    if let Some(last) = out.last_mut().filter(|last| last.at < base_length) {
        last.content.end = last.content.end.max(last.content.start + (base_length - last.at));
    }
    out
}

/// Cuts runs at places in the content. Runs that are tried in parts stay whole: their parts are
/// chunks of their own if that takes less.
fn cut(runs: &mut VecDeque<Run>, mut cuts: Vec<u64>) {
    cuts.sort_unstable();
    let mut at = 0;
    for run in std::mem::take(runs) {
        let end = at + run.length;
        let inside = if run.parts.is_none() { &cuts[..] } else { &[] };
        let first = inside.partition_point(|&cut| cut <= at);
        for &cut in inside[first..].iter().take_while(|&&cut| cut < end) {
            if cut > at {
                runs.push_back(Run { length: cut - at, ..run.clone() });
                at = cut;
            }
        }
        runs.push_back(Run { length: end - at, ..run });
        at = end;
    }
}

/// What is to be kept of the content, and what repeats it.
#[derive(Default)]
pub(super) struct Repeats {
    /// Where each repeat begins, where it ends and its source.
    repeats: BTreeMap<u64, (u64, u64)>,
    /// Content that is repeated: where it begins and ends.
    sources: BTreeMap<u64, u64>,
    /// Chunks of it that were coded: their length and XXH3, which has 128 bits.
    kept: HashMap<u64, (usize, u128)>,
}

impl Repeats {
    /// Takes repeats, and cuts the runs of the content where they and their sources begin and end.
    pub(super) fn new(repeats: Vec<Repeat>, runs: &mut VecDeque<Run>) -> Result<Self> {
        let mut new = Self::default();
        let mut cuts = Vec::new();
        for Repeat { content, source } in repeats {
            let Range { start, end } = content;
            let source_end = end.checked_sub(start).and_then(|length| source.checked_add(length));
            if source_end.is_none_or(|source_end| source_end > start) {
                return Err(Error::InvalidArgument(format!(
                    "bytes {start}..{end} cannot repeat those from {source} on"
                )));
            }
            let source_end = source_end.unwrap_or_default();
            cuts.extend([start, end, source, source_end]);
            new.repeats.insert(start, (end, source));
            new.sources.insert(source, source_end);
        }
        cut(runs, cuts);
        Ok(new)
    }

    /// Whether the chunk that `raw` is, at a place in the content, is to be kept, and how many
    /// bytes before it the chunk begins that it repeats.
    pub(super) fn look(&mut self, at: u64, raw: &[u8]) -> (bool, Option<u64>) {
        let end = at + raw.len() as u64;
        let before = |ends: Option<(&u64, &u64)>| ends.is_some_and(|(_, &last)| last >= end);
        let keep = before(self.sources.range(..=at).next_back());
        let repeated = self.repeats.range(..=at).next_back();
        let source = repeated.filter(|(_, (last, _))| *last >= end);
        let source = source.map(|(&start, &(_, source))| source + (at - start));
        if !keep && source.is_none() {
            return (false, None);
        }
        let own = (raw.len(), xxh3_128(raw));
        if let Some(source) = source.filter(|source| self.kept.get(source) == Some(&own)) {
            return (false, Some(at - source));
        }
        if keep {
            self.kept.insert(at, own);
        }
        (keep, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, offset: u64, length: u64) -> Entry {
        Entry::tensor(name, "F32", vec![length / 4], offset, length)
    }

    fn base(entries: Vec<Entry>, length: usize) -> Arc<Base> {
        let mut base = Base::from_bytes("base", vec![0; length]).unwrap();
        base.set_entries(entries);
        Arc::new(base)
    }

    #[test]
    fn tensors_are_matched_by_name_and_else_by_order() {
        let base =
            base(vec![tensor("a", 100, 400), tensor("b", 500, 400), tensor("c", 900, 80)], 1000);
        let entries = [tensor("b", 50, 400), tensor("other", 450, 400), tensor("c", 850, 80)];
        let mut sources = Sources::default();
        sources.add(base, &entries, &mut VecDeque::new());
        let find = |range| sources.find(&range).map(|(_, _, at)| at);
        assert_eq!(find(50..450), Some(500..900));
        // The header in front of the first tensor, and what follows the last.
        assert_eq!(find(0..50), Some(450..500));
        assert_eq!(find(930..950), Some(980..1000));
        assert_eq!(find(930..951), None);
        assert_eq!(find(450..850), Some(100..500));
        assert_eq!(find(400..460), None);
        assert_eq!(find(860..870), Some(910..920));
    }

    #[test]
    fn equal_layouts_match_as_one() {
        let entries = vec![tensor("a", 100, 400), tensor("b", 500, 400)];
        let mut sources = Sources::default();
        sources.add(base(entries.clone(), 1000), &entries, &mut VecDeque::new());
        assert_eq!(sources.matches, [Match { content: 0..1000, base: 0, at: 0 }]);
        let mut plain = Sources::default();
        plain.add(base(Vec::new(), 77), &[], &mut VecDeque::new());
        assert_eq!(plain.matches, [Match { content: 0..77, base: 0, at: 0 }]);
    }
}
