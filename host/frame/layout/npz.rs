//! npz: a zip file of npy members. Members that are stored, as `numpy.savez` writes them, lie in the file as they are
//! and are coded where they lie; compressed ones are bytes that leave nothing to gain.

use std::io::Cursor;

use zip::{CompressionMethod, ZipArchive};

use super::{Layout, npy::Header, segments};
use crate::frame::index::Container;

/// The layout of the zip file `content`, if it is one with at least one stored npy member.
pub(super) fn recognise(content: &[u8]) -> Option<Layout> {
    if !content.starts_with(b"PK\x03\x04") {
        return None;
    }
    let mut archive = ZipArchive::new(Cursor::new(content)).ok()?;
    let mut members = Vec::new();
    for number in 0..archive.len() {
        let member = archive.by_index_raw(number).ok()?;
        if member.compression() == CompressionMethod::Stored && !member.encrypted() {
            members.push((
                member.data_start()?,
                member.compressed_size(),
                member.name().ok()?.into_owned(),
            ));
        }
    }
    members.sort_unstable();
    let mut entries = Vec::new();
    let mut parts = Vec::new();
    let mut end = 0;
    for (begin, length, name) in members {
        // Members that overlap are no numpy's work.
        let after = begin.checked_add(length)?;
        if begin < end || after > content.len() as u64 {
            return None;
        }
        end = after;
        let Some(header) = Header::parse(&content[begin as usize..after as usize]) else {
            continue;
        };
        if header.length.checked_add(header.data) != Some(length) {
            continue;
        }
        entries.push(header.entry(name.strip_suffix(".npy").unwrap_or(&name), begin)?);
        parts.extend(header.part(begin));
    }
    let length = content.len() as u64;
    (!entries.is_empty()).then(|| Layout {
        container: Container::Npz,
        entries,
        segments: segments(parts, length),
    })
}
