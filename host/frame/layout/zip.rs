//! Zip files of tensors: npz files, whose members are npy files, and what `torch.save` writes,
//! whose members are a pickle and storages. Members that are stored, as `numpy.savez` and PyTorch
//! write them, lie in the file as they are and are coded where they lie; compressed ones are bytes
//! that leave nothing to gain.

use std::{
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use zip::{CompressionMethod, ZipArchive};

use super::{
    names::{self, Model, View},
    npy::{self, Header},
    pickle::MAX_PICKLE,
    segments::{Layout, segments},
};
use crate::frame::{
    element::Elements,
    index::{Container, Entry, EntryKind},
};

/// Bytes of a member that are read at first: what a header of numpy has.
const HEAD: u64 = 128;
/// The name of the pickle, in a folder of the archive's name.
const PICKLE: &str = "/data.pkl";

/// What a zip file is known to hold.
#[derive(Debug, Default)]
pub(super) struct Archive {
    pub(super) members: Vec<Member>,
    /// The folder of a `torch.save` archive with its slash, and what its pickle says.
    model: Option<(String, Model)>,
    /// Whether its storages have their most significant bytes first.
    big_endian: bool,
}

/// A stored member.
#[derive(Debug)]
pub(super) struct Member {
    /// Where its bytes begin in the file.
    pub(super) begin: u64,
    pub(super) size: u64,
    pub(super) name: String,
    /// The header of an npy file.
    pub(super) array: Option<Header>,
}

/// Whether a member of this name is the pickle of a `torch.save` archive.
pub(super) fn is_pickle(name: &str) -> bool {
    name.ends_with(PICKLE)
}

impl Archive {
    /// Reads the pickle that is the member of this name.
    pub(super) fn read_pickle(&mut self, name: &str, pickle: &[u8]) {
        if let (Some(folder), Some(model)) = (name.strip_suffix(PICKLE), names::read(pickle)) {
            self.model = Some((format!("{folder}/"), model));
        }
    }

    /// Reads the member that says in which order the bytes of numbers are.
    pub(super) fn read_byte_order(&mut self, name: &str, content: &[u8]) {
        self.big_endian |= name.ends_with("/byteorder") && content == b"big";
    }

    /// The storage that a member of this name is: its bytes and how they are coded.
    pub(super) fn storage(&self, name: &str) -> Option<(u64, Option<Elements>)> {
        let (folder, model) = self.model.as_ref()?;
        let key = name.strip_prefix(folder)?.strip_prefix("data/")?;
        let &(bytes, kind) = model.storages.get(key)?;
        let elements = |kind: &super::types::Type| {
            let numbers = if self.big_endian { kind.big_endian() } else { kind.elements() };
            // The parts of a zip file around them are unlike any tensor's bytes.
            numbers.unwrap_or(Elements::BYTES)
        };
        Some((bytes, kind.map(elements)))
    }

    /// Where the numbers of a member are and how they are coded.
    pub(super) fn part(&self, member: &Member) -> Option<(Range<u64>, Elements)> {
        if let Some(array) = &member.array {
            return array.part(member.begin);
        }
        let (bytes, elements) = self.storage(&member.name)?;
        let elements = elements.filter(|_| bytes == member.size)?;
        let whole = bytes - bytes % elements.size() as u64;
        Some((member.begin..member.begin + whole, elements))
    }

    /// The container, and the entries that it names.
    pub(super) fn directory(&self) -> Option<(Container, Vec<Entry>)> {
        let Some((folder, model)) = &self.model else {
            let arrays = self.members.iter().filter_map(|member| {
                let name = member.name.strip_suffix(".npy").unwrap_or(&member.name);
                member.array.as_ref()?.entry(name, member.begin)
            });
            let entries: Vec<Entry> = arrays.collect();
            return (!entries.is_empty()).then_some((Container::Npz, entries));
        };
        let members = self.members.iter().filter_map(|member| {
            let key = member.name.strip_prefix(folder)?.strip_prefix("data/")?;
            Some((key, member))
        });
        let members: std::collections::HashMap<&str, &Member> = members.collect();
        let entry = |view: &View| {
            let member = members.get(&*view.key)?;
            if view.offset.checked_add(view.length)? > member.size {
                return None;
            }
            let offset = member.begin + view.offset;
            let kind = match &view.tensor {
                // Elements of the other byte order are no tensor to a reader.
                Some((kind, shape)) if !self.big_endian => {
                    EntryKind::Tensor { dtype: kind.name.into(), shape: shape.clone() }
                }
                _ => EntryKind::Bytes,
            };
            let mut entry = Entry { name: view.name.clone(), kind, offset, length: view.length };
            if entry.check().is_err() {
                entry.kind = EntryKind::Bytes;
            }
            entry.check().is_ok().then_some(entry)
        };
        let entries: Vec<Entry> = model.views.iter().filter_map(entry).collect();
        (!members.is_empty()).then_some((Container::Torch, entries))
    }
}

/// The layout of the zip file `content`, if it is one with at least one stored npy member, or what
/// `torch.save` wrote with at least one storage.
pub(super) fn recognise<R: Read + Seek>(mut content: R) -> Option<Layout> {
    let length = content.seek(SeekFrom::End(0)).ok()?;
    content.seek(SeekFrom::Start(0)).ok()?;
    let mut magic = [0; 4];
    content.read_exact(&mut magic).ok()?;
    if &magic != b"PK\x03\x04" {
        return None;
    }
    let mut zip = ZipArchive::new(&mut content).ok()?;
    let mut places = Vec::new();
    for number in 0..zip.len() {
        let member = zip.by_index_raw(number).ok()?;
        if member.compression() == CompressionMethod::Stored && !member.encrypted() {
            places.push((member.data_start()?, member.compressed_size(), number));
        }
    }
    places.sort_unstable();
    let mut end = 0;
    for &(begin, size, _) in &places {
        // Members that overlap are no library's work, and would be read again and again.
        let after = begin.checked_add(size)?;
        if begin < end || after > length {
            return None;
        }
        end = after;
    }
    let mut archive = Archive::default();
    for (begin, size, number) in places {
        let mut member = zip.by_index_raw(number).ok()?;
        let name = member.name().ok()?.into_owned();
        let mut head = Vec::new();
        member.by_ref().take(HEAD).read_to_end(&mut head).ok()?;
        let mut array = Header::parse(&head);
        if array.is_none() && head.starts_with(npy::MAGIC) {
            member.by_ref().take(npy::MAX_HEADER - HEAD).read_to_end(&mut head).ok()?;
            array = Header::parse(&head);
        }
        let array = array.filter(|array| array.length.checked_add(array.data) == Some(size));
        if is_pickle(&name) && size <= MAX_PICKLE && archive.model.is_none() {
            member.take(MAX_PICKLE).read_to_end(&mut head).ok()?;
            archive.read_pickle(&name, &head);
        } else {
            archive.read_byte_order(&name, &head);
        }
        archive.members.push(Member { begin, size, name, array });
    }
    let (container, entries) = archive.directory()?;
    let parts = archive.members.iter().filter_map(|member| archive.part(member));
    Some(Layout { container, entries, segments: segments(parts, length) })
}
