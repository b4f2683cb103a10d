//! Coded bytes at any address.

/// Coded bytes: those of a chunk, or a part of them.
#[derive(Clone, Copy, Debug)]
pub struct Coded {
    from: *const u8,
    /// How many there are.
    pub len: u32,
}

impl Coded {
    /// # Safety
    /// There are so many bytes, with readable bytes of the same words of four before and behind
    /// them.
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
        // SAFETY: the part lies inside.
        (at <= self.len)
            .then(|| Self { from: unsafe { self.from.add(at as usize) }, len: self.len - at })
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

    /// Four bytes from any place, the first lowest: two loads of the words that they lie in, or one.
    ///
    /// # Safety
    /// They are in it.
    #[inline(always)]
    pub unsafe fn four(self, at: u32) -> u32 {
        let from = self.from.wrapping_add(at as usize);
        let shift = 8 * (from.addr() as u32 & 3);
        let aligned = from.wrapping_sub(from.addr() & 3).cast::<u32>();
        // SAFETY: the words have a byte of it each: the second one only where the bytes do not
        // begin a word. What else is in them can be read, the promise of `new`.
        unsafe {
            let low = *aligned;
            if shift == 0 { low } else { low >> shift | *aligned.add(1) << (32 - shift) }
        }
    }
}
