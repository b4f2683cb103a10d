//! Input that can be looked at before it is taken, and that counts how far it has come.

use std::io::{self, Read};

/// Wraps `R`. Reads no further than it is asked to look, so that what follows a frame stays in `R`.
pub(super) struct Source<R> {
    inner: R,
    buffer: Vec<u8>,
    begin: usize,
    /// Bytes taken so far.
    pub(super) position: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, buffer: Vec::new(), begin: 0, position: 0 }
    }

    /// The next `n` bytes, or fewer at the end of the input; they stay there.
    pub(super) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        let here = self.buffer.len() - self.begin;
        if here < n {
            self.buffer.drain(..self.begin);
            self.begin = 0;
            read_up_to(&mut self.inner, n - here, &mut self.buffer)?;
        }
        let end = self.buffer.len().min(self.begin + n);
        Ok(&self.buffer[self.begin..end])
    }

    /// Takes `n` bytes that were looked at.
    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.buffer.len() - self.begin);
        self.begin += n;
        self.position += n as u64;
    }

    /// Takes `n` bytes, or fewer at the end of the input, and appends them to `out`. Memory grows
    /// with what arrives.
    pub(super) fn take(&mut self, n: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let here = &self.buffer[self.begin..];
        let here = &here[..here.len().min(n)];
        out.extend_from_slice(here);
        let here = here.len();
        self.consume(here);
        let got = read_up_to(&mut self.inner, n - here, out)?;
        self.position += got as u64;
        Ok(here + got)
    }
}

fn read_up_to<R: Read>(inner: &mut R, n: usize, out: &mut Vec<u8>) -> io::Result<usize> {
    // `read_to_end` grows the vector as bytes come and not for a claim; what a claim may reserve is
    // small.
    out.reserve(n.min(64 << 10));
    inner.by_ref().take(n as u64).read_to_end(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_ahead_only_as_far_as_asked() {
        let mut input = &b"0123456789"[..];
        let mut source = Source::new(&mut input);
        assert_eq!(source.peek(4).unwrap(), b"0123");
        source.consume(1);
        let mut out = Vec::new();
        assert_eq!(source.take(4, &mut out).unwrap(), 4);
        assert_eq!((&out[..], source.position), (&b"1234"[..], 5));
        assert_eq!(source.peek(2).unwrap(), b"56");
        assert_eq!(source.inner.len(), 3);
        assert_eq!(source.take(100, &mut out).unwrap(), 5);
        assert!(source.peek(1).unwrap().is_empty());
    }
}
