//! Run-time choice of the instruction set that a loop was compiled for.
//!
//! The loops of [`split`](super::split) are plain Rust. `multiversion!` compiles each three times on x86-64, with
//! wider registers from one to the next, and calls the copy that an [`Isa`] stands for. Elsewhere the target's
//! baseline (NEON on AArch64) is all there is.

/// An instruction set that this machine has: a value can only be made by asking the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Isa(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// All that this machine has, the best last.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let (avx2, avx512) = {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            (avx2.then_some(Level::Avx2), avx512.then_some(Level::Avx512))
        };
        #[cfg(not(target_arch = "x86_64"))]
        let (avx2, avx512) = (None, None);
        [Some(Level::Baseline), avx2, avx512].into_iter().flatten().map(Self)
    }

    /// The best this machine has.
    pub(super) fn best() -> Self {
        Self::available().last().unwrap_or(Self(Level::Baseline))
    }

    pub(super) fn level(self) -> Level {
        self.0
    }
}

/// Defines a function generic over a [`Word`](super::word::Word) whose body is compiled once per instruction set. Its
/// first argument is the [`Isa`] to run.
macro_rules! multiversion {
    (
        $(#[$meta:meta])*
        pub(super) fn $name:ident<$word:ident: $bound:ident>($isa:ident, $($arg:ident: $type:ty),* $(,)?)
        $(-> $return:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(unsafe_code, reason = "calls copies compiled for features the Isa proves present")]
        pub(super) fn $name<$word: $bound>($isa: $crate::float::isa::Isa, $($arg: $type),*) $(-> $return)? {
            #[inline(always)]
            fn body<$word: $bound>($($arg: $type),*) $(-> $return)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2")]
            fn avx2<$word: $bound>($($arg: $type),*) $(-> $return)? {
                body::<$word>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512<$word: $bound>($($arg: $type),*) $(-> $return)? {
                body::<$word>($($arg),*)
            }

            match $isa.level() {
                $crate::float::isa::Level::Baseline => body::<$word>($($arg),*),
                // SAFETY: an `Isa` of this level is only made after detecting these features.
                #[cfg(target_arch = "x86_64")]
                $crate::float::isa::Level::Avx2 => unsafe { avx2::<$word>($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::float::isa::Level::Avx512 => unsafe { avx512::<$word>($($arg),*) },
            }
        }
    };
}
pub(super) use multiversion;
