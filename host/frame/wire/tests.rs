//! Tests of the fixed-size parts.

use super::*;

const CHUNK: ChunkHeader = ChunkHeader {
    kept: false,
    info: ChunkInfo { codec: ChunkCodec::Order0, element: 0, raw: 9, coded: 7 },
    offset: 1 << 40,
    check: 0x0123_4567_89ab_cdef,
    id: 77,
};

/// Every part refuses every change of one of its bytes, and comes back from its own.
#[test]
fn every_changed_byte_is_found() {
    fn each<const N: usize>(bytes: [u8; N], read: impl Fn(&[u8; N]) -> bool) {
        assert!(read(&bytes));
        for at in 0..N {
            for flip in 1..=255 {
                let mut changed = bytes;
                changed[at] ^= flip;
                assert!(!read(&changed), "byte {at} changed by {flip:#x}");
            }
        }
    }
    let header = Header { max_chunk: 1 << 17, content_length: Some(77), id: 9 };
    each(header.to_bytes(), |b| Header::from_bytes(b).is_ok());
    each(CHUNK.to_bytes(), |b| ChunkHeader::from_bytes(b, 1 << 17).is_ok());
    let index = IndexHeader { id: 1, length: 3, content_length: 9 };
    each(index.to_bytes(), |b| IndexHeader::from_bytes(b).is_ok());
    assert_eq!(IndexHeader::from_bytes(&index.to_bytes()).unwrap(), index);
    let footer = Footer {
        index_offset: 1,
        index_length: 2,
        index_check: 3,
        content_length: 4,
        content_check: 5,
        id: 6,
    };
    each(footer.to_bytes(), |b| Footer::from_bytes(b).is_ok());
    assert_eq!(Header::from_bytes(&header.to_bytes()).unwrap(), header);
    assert_eq!(ChunkHeader::from_bytes(&CHUNK.to_bytes(), 9).unwrap(), CHUNK);
    assert_eq!(Footer::from_bytes(&footer.to_bytes()).unwrap(), footer);
}

/// A later version is refused by its number, not called damaged; so are flags.
#[test]
fn unknown_versions_and_flags_are_named() {
    let mut bytes = Header { max_chunk: 1, content_length: None, id: 3 }.to_bytes();
    bytes[8..10].copy_from_slice(&7u16.to_le_bytes());
    let check = xxh3_32(&bytes[..28]);
    bytes[28..].copy_from_slice(&check);
    let error = Header::from_bytes(&bytes).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(m) if m.contains("version 7")), "{error}");
    bytes[8..12].copy_from_slice(&[1, 0, 4, 0]);
    let check = xxh3_32(&bytes[..28]);
    bytes[28..].copy_from_slice(&check);
    let error = Header::from_bytes(&bytes).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(m) if m.contains("flags 0x4")), "{error}");
}

/// The id depends on all of the header and on the beginning of the content, and not on how it comes
/// in pieces.
#[test]
fn ids() {
    let content = vec![7; ID_CONTENT + 9];
    let id = |max_chunk, length, content: &[u8], piece: usize| {
        Header::new(max_chunk, length, content.chunks(piece)).id
    };
    let one = id(9, None, &content, content.len());
    assert_eq!(one, id(9, None, &content, 1000));
    assert_eq!(one, id(9, None, &content[..ID_CONTENT], 77));
    for other in [
        id(8, None, &content, 1000),
        id(9, Some(1), &content, 1000),
        id(9, None, &content[..ID_CONTENT - 1], 1000),
        id(9, None, &[], 1),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn chunk_rules() {
    let unknown = ChunkInfo::new(9, 0, 10, 10, 16).unwrap_err();
    assert!(matches!(&unknown, Error::Unsupported(m) if m.contains("codec 9")), "{unknown}");
    for (codec, element, raw, coded) in [
        (0, 0, 10, 9),  // stored must be as long as the content
        (0, 1, 10, 10), // and has no element type
        (1, 0, 10, 4),  // 4 does not divide 10
        (1, 0, 9, 3),   // no element of 3 bytes
        (1, 0, 8, 8),   // nothing repeats
        (2, 0, 10, 11), // grew
        (2, 0, 10, 0),  // nothing there
        (2, 0, 17, 10), // larger than the frame's largest
        (2, 0, 0, 0),   // empty
    ] {
        assert!(
            ChunkInfo::new(codec, element, raw, coded, 16).is_err(),
            "{codec} {element} {raw} {coded}"
        );
    }
    assert!(ChunkInfo::new(1, 0, 12, 4, 16).is_ok());
}
