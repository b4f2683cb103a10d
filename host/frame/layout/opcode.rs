//! The opcodes of a pickle with their arguments.

/// What an opcode has behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    None,
    Int(i64),
    Text(&'a str),
    /// Module and name.
    Global(&'a str, &'a str),
}

/// Takes opcodes off the front of a pickle.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next opcode; none at the end, and where it or its argument is no pickle's.
    pub(super) fn next(&mut self) -> Option<(u8, Argument<'a>)> {
        let opcode = self.number(1)? as u8;
        let argument = match opcode {
            // Marks, constants, tuples, lists, dictionaries, sets, calls, buffers.
            b'('
            | b'.'
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'Q'
            | b'R'
            | b'a'
            | b'b'
            | b'd'
            | b'e'
            | b'l'
            | b'o'
            | b's'
            | b't'
            | b'u'
            | b')'
            | b']'
            | b'}'
            | 0x81
            | 0x85..=0x89
            | 0x8f
            | 0x90..=0x94
            | 0x97
            | 0x98 => Argument::None,
            // Protocol, extensions, frame, float.
            0x80 | 0x82 => self.skip(1)?,
            0x83 => self.skip(2)?,
            0x84 => self.skip(4)?,
            0x95 | b'G' => self.skip(8)?,
            b'K' | b'h' | b'q' => Argument::Int(self.number(1)? as i64),
            b'M' => Argument::Int(self.number(2)? as i64),
            b'J' => Argument::Int(self.number(4)? as i32 as i64),
            b'j' | b'r' => Argument::Int(self.number(4)? as i64),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            // Bytes.
            b'C' => self.skip_counted(1)?,
            b'B' => self.skip_counted(4)?,
            0x8e | 0x96 => self.skip_counted(8)?,
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'c' | b'i' => Argument::Global(self.line()?, self.line()?),
            b'F' | b'P' => {
                self.line()?;
                Argument::None
            }
            b'I' | b'L' | b'g' | b'p' => {
                let line = self.line()?;
                // Truth values are the numbers 00 and 01.
                let number = line.trim_end_matches('L').parse();
                number.map_or(Argument::None, Argument::Int)
            }
            b'S' | b'V' => {
                let line = self.line()?;
                let quoted = line.get(1..line.len().saturating_sub(1)).unwrap_or(line);
                Argument::Text(if opcode == b'S' { quoted } else { line })
            }
            _ => return None,
        };
        Some((opcode, argument))
    }

    fn bytes(&mut self, n: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(n).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A little-endian number of so many bytes.
    fn number(&mut self, n: u64) -> Option<u64> {
        Some(self.bytes(n)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn skip(&mut self, n: u64) -> Option<Argument<'a>> {
        self.bytes(n)?;
        Some(Argument::None)
    }

    /// Bytes behind their length of `n` bytes.
    fn counted(&mut self, n: u64) -> Option<&'a [u8]> {
        let length = self.number(n)?;
        self.bytes(length)
    }

    fn skip_counted(&mut self, n: u64) -> Option<Argument<'a>> {
        self.counted(n)?;
        Some(Argument::None)
    }

    fn text(&mut self, n: u64) -> Option<Argument<'a>> {
        let text = std::str::from_utf8(self.counted(n)?);
        Some(text.map_or(Argument::None, Argument::Text))
    }

    /// An integer of any length; those past 64 bits are nothing here.
    fn long(&mut self, n: u64) -> Option<Argument<'a>> {
        let bytes = self.counted(n)?;
        if bytes.len() > 8 {
            return Some(Argument::None);
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        Some(Argument::Int(i64::from_le_bytes(all)))
    }

    fn line(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|&byte| byte == b'\n')?;
        let line = std::str::from_utf8(&self.0[..end]).ok()?;
        self.0 = &self.0[end + 1..];
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        for (bytes, argument) in [
            (&b"K\xff"[..], Argument::Int(255)),
            (b"M\x01\x02", Argument::Int(513)),
            (b"J\xff\xff\xff\xff", Argument::Int(-1)),
            (b"\x8a\x02\x00\x80", Argument::Int(-32768)),
            (b"\x8a\x00", Argument::Int(0)),
            (b"\x8a\x09123456789", Argument::None),
            (b"I-17\n", Argument::Int(-17)),
            (b"L5L\n", Argument::Int(5)),
            (b"X\x02\0\0\0hi", Argument::Text("hi")),
            (b"X\x01\0\0\0\xff", Argument::None),
            (b"S'hi'\n", Argument::Text("hi")),
            (b"S'\n", Argument::Text("'")),
            (b"Vhi\n", Argument::Text("hi")),
            (b"ctorch\nSize\n", Argument::Global("torch", "Size")),
            (b"G12345678", Argument::None),
        ] {
            let mut reader = Reader(bytes);
            assert_eq!(reader.next(), Some((bytes[0], argument)), "{bytes:?}");
            assert!(reader.0.is_empty());
            for cut in 0..bytes.len() {
                assert_eq!(Reader(&bytes[..cut]).next(), None, "{bytes:?} {cut}");
            }
        }
        let endless = [b"\x8d".as_slice(), &[0xff; 8], b"text"].concat();
        assert_eq!((Reader(&endless).next(), Reader(b"\x99").next()), (None, None));
    }
}
