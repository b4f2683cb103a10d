//! A zip file followed from its first member on, as far as it has come: its directory, at the end,
//! is not needed to know what its members are.
//!
//! Who writes to a pipe does not know how long a member will be, and says so behind it, in a
//! *descriptor*. What stands in the member says it as well: an npy header has the shape, the
//! pickle of `torch.save`, the first member, has the length of each storage. Other members are
//! ended by a descriptor of their length.

use std::io::Write;

use super::{
    npy::{self, Header},
    pickle::MAX_PICKLE,
    segments::segments,
    zip::{Archive, Member, is_pickle},
};
use crate::Result;
use crate::frame::{Container, Entry, FrameWriter, Segment, element::Elements};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const END: &[u8] = b"PK\x05\x06";
/// Bytes of a local header without name and extra fields.
const LOCAL_LENGTH: usize = 30;
/// The longest descriptor, and the two letters behind it.
const DESCRIPTOR_LENGTH: usize = 24 + 2;
/// Bytes of the end of the directory.
const END_LENGTH: usize = 22;
/// Members of fewer bytes are held and coded together; of so many bytes is what is held.
const TOGETHER: u64 = 1 << 20;

/// Where in the file the walk is.
#[derive(Debug, Default)]
enum At {
    /// A local header, or the directory.
    #[default]
    Header,
    /// The content of a member whose local header was read.
    Content,
    /// Content of a member that has so many bytes.
    Known(u64),
    /// The same, of which so many bytes have not come, and go to the frame as they come.
    Direct(u64),
    /// Content of a member whose end only its descriptor says, behind so many bytes.
    Search(u64),
    /// The descriptor of a member.
    Descriptor,
    /// The directory and what follows it.
    Directory,
    /// What is not understood.
    Lost,
}

/// The member that is being read.
#[derive(Debug, Default)]
struct Current {
    name: String,
    begin: u64,
    /// Its bytes, where its local header has them.
    size: Option<u64>,
    described: bool,
    /// Held bytes in which its end was looked for in vain.
    searched: usize,
}

/// A zip file as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    at: At,
    /// Bytes that were not handed to the frame, and how many of them were looked at.
    held: Vec<u8>,
    seen: usize,
    /// Where `held` begins in the content.
    offset: u64,
    /// Numbers among the held bytes.
    parts: Vec<(std::ops::Range<u64>, Elements)>,
    current: Current,
    archive: Archive,
    /// The last bytes of the content.
    tail: Vec<u8>,
}

impl Walk {
    /// Whether content that begins so may be what is followed here.
    pub(super) fn begins(head: &[u8]) -> bool {
        let member = local(head);
        member
            .is_some_and(|(current, _)| current.name.ends_with(".npy") || is_pickle(&current.name))
    }

    /// Whether all that has come is understood.
    pub(super) fn is_sound(&self) -> bool {
        !matches!(self.at, At::Lost)
    }

    /// Takes the next bytes.
    pub(super) fn take<W: Write + Send>(
        &mut self,
        mut bytes: &[u8],
        frame: &mut FrameWriter<W>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            let length = bytes.len() as u64;
            match &mut self.at {
                At::Direct(left) => {
                    let (here, rest) = bytes.split_at(length.min(*left) as usize);
                    *left -= here.len() as u64;
                    if *left == 0 {
                        self.at = self.after_content();
                    }
                    self.offset += here.len() as u64;
                    frame.write_all(here)?;
                    bytes = rest;
                }
                At::Lost => {
                    self.settle(frame)?;
                    return Ok(frame.write_all(bytes)?);
                }
                At::Directory => {
                    self.settle(frame)?;
                    let begin = bytes.len().saturating_sub(END_LENGTH);
                    self.tail.extend_from_slice(&bytes[begin..]);
                    self.tail.drain(..self.tail.len().saturating_sub(END_LENGTH));
                    return Ok(frame.write_all(bytes)?);
                }
                _ => {
                    // No more than it takes to know what comes, so that much goes directly.
                    let (here, rest) = bytes.split_at(length.min(64 << 10) as usize);
                    self.held.extend_from_slice(here);
                    bytes = rest;
                    while self.step() {}
                    self.pass(frame)?;
                }
            }
        }
        Ok(())
    }

    /// Hands over what is left, and gives the directory of what was found if all was understood.
    pub(super) fn finish<W: Write + Send>(
        mut self,
        frame: &mut FrameWriter<W>,
    ) -> Result<Option<(Container, Vec<Entry>)>> {
        self.settle(frame)?;
        let whole = matches!(self.at, At::Directory) && self.tail.starts_with(END);
        Ok(if whole { self.archive.directory() } else { None })
    }

    /// Hands over held bytes once there are enough, or where those that follow go directly.
    fn pass<W: Write + Send>(&mut self, frame: &mut FrameWriter<W>) -> Result<()> {
        match self.at {
            At::Known(left) if left >= TOGETHER => {
                // Whole elements from here on, as the member has.
                let at = self.offset + self.seen as u64;
                let elements = self.parts.pop_if(|(part, _)| part.start >= at);
                self.settle_seen(frame)?;
                let typed = elements.as_ref().map_or(0, |(part, _)| part.end - part.start);
                let mut segments = vec![Segment { length: left - typed, dtype: None }];
                if let Some((_, elements)) = elements {
                    segments.insert(0, Segment { length: typed, dtype: Some(elements) });
                }
                frame.extend_layout(segments);
                let held = std::mem::take(&mut self.held);
                self.at = At::Direct(left);
                self.take(&held, frame)
            }
            At::Directory => {
                // The end of the directory may be held as well.
                self.seen = self.held.len();
                let begin = self.held.len().saturating_sub(END_LENGTH);
                self.tail.extend_from_slice(&self.held[begin..]);
                self.settle(frame)
            }
            At::Lost => self.settle(frame),
            _ if self.seen as u64 >= TOGETHER => self.settle_seen(frame),
            _ => Ok(()),
        }
    }

    /// Hands over all held bytes.
    fn settle<W: Write + Send>(&mut self, frame: &mut FrameWriter<W>) -> Result<()> {
        self.seen = self.held.len();
        self.settle_seen(frame)
    }

    /// Hands over the held bytes that were looked at.
    fn settle_seen<W: Write + Send>(&mut self, frame: &mut FrameWriter<W>) -> Result<()> {
        if self.seen == 0 {
            return Ok(());
        }
        let (offset, length) = (self.offset, self.seen as u64);
        let seen = self.parts.extract_if(.., |(part, _)| part.start < offset + length);
        let parts = seen.map(|(part, elements)| {
            // A member that was cut short ends with the content.
            let end = part.end.min(offset + length);
            (part.start - offset..end - offset, elements)
        });
        frame.extend_layout(segments(parts, length));
        frame.write_all(&self.held[..self.seen])?;
        self.held.drain(..self.seen);
        self.offset += length;
        self.seen = 0;
        Ok(())
    }

    fn after_content(&self) -> At {
        if self.current.described { At::Descriptor } else { At::Header }
    }

    /// Goes on by a part of the held bytes; false where more are needed.
    fn step(&mut self) -> bool {
        let rest = &self.held[self.seen..];
        let position = self.offset + self.seen as u64;
        match self.at {
            At::Header => {
                if rest.len() < 4 {
                    return false;
                }
                if rest.starts_with(CENTRAL) || rest.starts_with(END) {
                    self.at = At::Directory;
                    return false;
                }
                let Some((current, length)) = local(rest) else {
                    // A header of names and extra fields is not longer than this.
                    if !rest.starts_with(LOCAL) || rest.len() > LOCAL_LENGTH + 2 * 0xffff {
                        self.at = At::Lost;
                    }
                    return false;
                };
                self.current = Current { begin: position + length as u64, ..current };
                self.seen += length;
                self.at = At::Content;
                true
            }
            At::Content => self.content(),
            At::Known(left) => {
                // All of it, so that its numbers are handed over together.
                if (rest.len() as u64) < left {
                    return false;
                }
                self.seen += left as usize;
                self.at = self.after_content();
                true
            }
            At::Search(searched) => {
                // What may begin a descriptor stays.
                let Some(last) = (rest.len() + 1).checked_sub(DESCRIPTOR_LENGTH) else {
                    return false;
                };
                let found = (0..last).find(|&at| ends(&rest[at..], searched + at as u64));
                match found {
                    Some(at) => {
                        self.seen += at;
                        self.member(searched + at as u64, None);
                        self.at = At::Descriptor;
                    }
                    None => {
                        self.seen += last;
                        self.at = At::Search(searched + last as u64);
                    }
                }
                found.is_some()
            }
            At::Descriptor => {
                if rest.len() < DESCRIPTOR_LENGTH {
                    return false;
                }
                let size = position - self.current.begin;
                match descriptor(rest, size) {
                    Some(length) => {
                        self.seen += length;
                        self.at = At::Header;
                        true
                    }
                    None => {
                        self.at = At::Lost;
                        false
                    }
                }
            }
            At::Direct(_) | At::Directory | At::Lost => false,
        }
    }

    /// Decides what the content is that begins here; false where more bytes are needed for that.
    fn content(&mut self) -> bool {
        let rest = &self.held[self.seen..];
        let Current { ref name, size, described, .. } = self.current;
        if is_pickle(name) && self.archive.members.is_empty() {
            let end = match size {
                Some(size) if size > MAX_PICKLE => None,
                Some(size) => Some(size as usize).filter(|&size| size <= rest.len()),
                None => search(rest, self.current.searched),
            };
            if let Some(end) = end {
                let pickle = rest[..end].to_vec();
                let name = name.clone();
                self.archive.read_pickle(&name, &pickle);
                return self.known(end as u64, None);
            }
            let searched = rest.len().saturating_sub(DESCRIPTOR_LENGTH);
            if rest.len() as u64 > MAX_PICKLE || size.is_some_and(|size| size > MAX_PICKLE) {
                self.at = At::Lost;
            }
            self.current.searched = searched;
            return false;
        }
        if let Some((bytes, _)) = self.archive.storage(name) {
            return self.known(size.unwrap_or(bytes), None);
        }
        if name.ends_with(".npy") {
            let length = npy::header_length(rest);
            if rest.len() < 12 || length.is_some_and(|length| (rest.len() as u64) < length) {
                return false;
            }
            let array = Header::parse(rest);
            let whole = array.as_ref().and_then(|array| array.length.checked_add(array.data));
            if let Some(whole) = whole.filter(|&whole| size.is_none_or(|size| size == whole)) {
                return self.known(whole, array);
            }
        }
        match size {
            Some(size) if name.ends_with("/byteorder") && size <= 8 => {
                if (rest.len() as u64) < size {
                    return false;
                }
                let (name, order) = (name.clone(), rest[..size as usize].to_vec());
                self.archive.read_byte_order(&name, &order);
                self.known(size, None)
            }
            Some(size) => self.known(size, None),
            None if described => {
                if name.ends_with("/byteorder") {
                    if rest.len() < 8 + DESCRIPTOR_LENGTH {
                        return false;
                    }
                    let end = search(&rest[..8 + DESCRIPTOR_LENGTH], 0).unwrap_or(0);
                    let (name, order) = (name.clone(), rest[..end].to_vec());
                    self.archive.read_byte_order(&name, &order);
                }
                self.at = At::Search(0);
                true
            }
            None => {
                self.at = At::Lost;
                false
            }
        }
    }

    /// Goes on to content of so many bytes.
    fn known(&mut self, size: u64, array: Option<Header>) -> bool {
        self.member(size, array);
        let last = self.archive.members.last();
        let part = last.and_then(|member| self.archive.part(member));
        self.parts.extend(part.filter(|(part, _)| !part.is_empty()));
        self.at = At::Known(size);
        // A large member goes directly.
        size < TOGETHER
    }

    fn member(&mut self, size: u64, array: Option<Header>) {
        let (name, begin) = (self.current.name.clone(), self.current.begin);
        self.archive.members.push(Member { begin, size, name, array });
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The local header of a stored member at the front of `bytes`, and its length.
fn local(bytes: &[u8]) -> Option<(Current, usize)> {
    let header = bytes.get(..LOCAL_LENGTH)?.strip_prefix(LOCAL)?;
    let (flags, method) = (u16_at(header, 2), u16_at(header, 4));
    let (coded, size) = (u32_at(header, 14), u32_at(header, 18));
    let (name_length, extra) = (u16_at(header, 22) as usize, u16_at(header, 24) as usize);
    let name = bytes.get(LOCAL_LENGTH..LOCAL_LENGTH + name_length)?;
    let length = LOCAL_LENGTH + name_length + extra;
    let mut extra = bytes.get(LOCAL_LENGTH + name_length..length)?;
    let described = flags & 8 != 0;
    // Compressed and encrypted members are none of numpy's arrays and of PyTorch's.
    if method != 0 || flags & 1 != 0 {
        return None;
    }
    let mut sizes = [u64::from(size), u64::from(coded)];
    while let [a, b, c, d, rest @ ..] = extra {
        let (kind, length) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        let field = rest.get(..length.into());
        if let (1, Some(field)) = (kind, field) {
            let wide = size == u32::MAX && coded == u32::MAX && field.len() >= 16;
            if wide {
                sizes = [u64_at(field, 0), u64_at(field, 8)];
            }
        }
        extra = rest.get(length.into()..).unwrap_or_default();
    }
    // A descriptor says it again, or for the first time: then the header has zeros.
    let unknown = described && sizes == [0, 0];
    let size = Some(sizes[0]).filter(|_| !unknown && sizes[0] == sizes[1]);
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((Current { name, begin: 0, size, described, searched: 0 }, length))
}

/// The length of the descriptor of a member of `size` bytes at the front of `bytes`, which go on
/// for two more; 64-bit lengths where 32-bit ones are not followed by another part of the file.
fn descriptor(bytes: &[u8], size: u64) -> Option<usize> {
    if !bytes.starts_with(DESCRIPTOR) || bytes.len() < DESCRIPTOR_LENGTH {
        return None;
    }
    let narrow = [8, 12].iter().all(|&at| u64::from(u32_at(bytes, at)) == size);
    if narrow && &bytes[16..18] == b"PK" {
        return Some(16);
    }
    let wide = [8, 16].iter().all(|&at| u64_at(bytes, at) == size);
    (wide && &bytes[24..26] == b"PK").then_some(24)
}

/// Whether a member of `size` bytes ends where `bytes` begins.
fn ends(bytes: &[u8], size: u64) -> bool {
    bytes[0] == DESCRIPTOR[0] && descriptor(bytes, size).is_some()
}

/// The length of the member at the front of `bytes` that its descriptor says, which is not looked
/// for in the first `from` bytes.
fn search(bytes: &[u8], from: usize) -> Option<usize> {
    let last = (bytes.len() + 1).checked_sub(DESCRIPTOR_LENGTH)?;
    (from..last).find(|&at| ends(&bytes[at..], at as u64))
}
