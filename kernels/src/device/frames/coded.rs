//! Coded bytes at any address.

use crate::device::simt::Simt;

/// Coded bytes: those of a chunk, or a part of them.
#[derive(Clone, Copy, Debug)]
pub struct Coded {
    from: *const u8,
    /// How many there are.
    pub len: u32,
}

impl Coded {
    /// # Safety
    /// There are so many bytes, and readable bytes before and behind them: those of the words of
    /// four that they begin and end in, and of the word behind.
    #[inline(always)]
    pub unsafe fn new(from: *const u8, len: u32) -> Self {
        Self { from, len }
    }

    /// No bytes.
    #[inline(always)]
    pub fn none() -> Self {
        Self { from: core::ptr::null(), len: 0 }
    }

    /// The address of the first.
    #[inline(always)]
    pub fn as_ptr(self) -> *const u8 {
        self.from
    }

    /// The part from a place on, if the place is in it or at its end.
    #[inline(always)]
    pub fn after(self, at: u32) -> Option<Self> {
        if at > self.len {
            return None;
        }
        // SAFETY: the part lies inside.
        Some(Self { from: unsafe { self.from.add(at as usize) }, len: self.len - at })
    }

    /// The first bytes and the others, if there are so many.
    #[inline(always)]
    pub fn split(self, at: u32) -> Option<(Self, Self)> {
        self.after(at).map(|others| (Self { len: at, ..self }, others))
    }

    /// A byte.
    ///
    /// # Safety
    /// The place is in it.
    #[inline(always)]
    pub unsafe fn byte(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { u32::from(*self.from.add(at as usize)) }
    }

    /// The byte at a place, if that is in it.
    #[inline(always)]
    pub fn get(self, at: u32) -> Option<u32> {
        // SAFETY: it is.
        (at < self.len).then(|| unsafe { self.byte(at) })
    }

    /// Four bytes at any place as a number, for a few of them.
    ///
    /// # Safety
    /// They are in it.
    #[inline(always)]
    pub unsafe fn number(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe {
            self.byte(at)
                | self.byte(at + 1) << 8
                | self.byte(at + 2) << 16
                | self.byte(at + 3) << 24
        }
    }

    /// Four bytes from any place, the first lowest.
    ///
    /// # Safety
    /// They are in it.
    #[inline(always)]
    pub unsafe fn four<S: Simt>(self, simt: S, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { Self { from: self.from.wrapping_add(at as usize), ..self }.words().four(simt, 0) }
    }

    /// The same bytes, for loads of four at a multiple of four.
    #[inline(always)]
    pub fn words(self) -> Words {
        let distance = self.from.addr() & 3;
        Words {
            from: self.from.wrapping_sub(distance).cast(),
            selector: 0x3210 + 0x1111 * distance as u32,
        }
    }
}

/// Coded bytes as the words of memory that they lie in.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    from: *const u32,
    /// Which of the bytes of two words belong together.
    selector: u32,
}

impl Words {
    /// Four bytes from a place that is a multiple of four, the first lowest.
    ///
    /// # Safety
    /// They are among the bytes that these words were made of.
    #[inline(always)]
    pub unsafe fn four<S: Simt>(self, simt: S, at: u32) -> u32 {
        // SAFETY: the bytes are in the first word, or in both: the promise of `Coded::new` is that
        // what is around them can be read.
        unsafe {
            let from = self.from.byte_add(at as usize);
            simt.permute(*from, *from.add(1), self.selector)
        }
    }
}
