//! npz: a zip file of npy members. Members that are stored, as `numpy.savez` writes them, lie in
//! the file as they are and are coded where they lie; compressed ones are bytes that leave nothing
//! to gain.

use std::io::{Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use super::{
    npy::{self, Header},
    segments::{Layout, segments},
};
use crate::frame::index::Container;

/// Bytes of a member that are read at first: what a header of numpy has.
const HEAD: u64 = 128;

/// The layout of the zip file `content`, if it is one with at least one stored npy member.
pub(super) fn recognise<R: Read + Seek>(mut content: R) -> Option<Layout> {
    let length = content.seek(SeekFrom::End(0)).ok()?;
    content.seek(SeekFrom::Start(0)).ok()?;
    let mut magic = [0; 4];
    content.read_exact(&mut magic).ok()?;
    if &magic != b"PK\x03\x04" {
        return None;
    }
    let mut archive = ZipArchive::new(&mut content).ok()?;
    let mut members = Vec::new();
    for number in 0..archive.len() {
        let mut member = archive.by_index_raw(number).ok()?;
        if member.compression() == CompressionMethod::Stored && !member.encrypted() {
            let name = member.name().ok()?.into_owned();
            let (begin, size) = (member.data_start()?, member.compressed_size());
            let mut head = Vec::new();
            member.by_ref().take(HEAD).read_to_end(&mut head).ok()?;
            let mut header = Header::parse(&head);
            if header.is_none() && head.starts_with(npy::MAGIC) {
                member.take(npy::MAX_HEADER - HEAD).read_to_end(&mut head).ok()?;
                header = Header::parse(&head);
            }
            members.push((begin, size, name, header));
        }
    }
    members.sort_unstable_by_key(|&(begin, size, ..)| (begin, size));
    let mut entries = Vec::new();
    let mut parts = Vec::new();
    let mut end = 0;
    for (begin, size, name, header) in members {
        // Members that overlap are no numpy's work.
        let after = begin.checked_add(size)?;
        if begin < end || after > length {
            return None;
        }
        end = after;
        let Some(header) = header else { continue };
        if header.length.checked_add(header.data) != Some(size) {
            continue;
        }
        entries.push(header.entry(name.strip_suffix(".npy").unwrap_or(&name), begin)?);
        parts.extend(header.part(begin));
    }
    (!entries.is_empty()).then(|| Layout {
        container: Container::Npz,
        entries,
        segments: segments(parts, length),
    })
}
