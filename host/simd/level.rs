//! Which instruction set runs: detected once, or forced by `PARANS_SIMD`.

use std::sync::OnceLock;

use crate::{Error, Result};

/// A level of vector instructions that the CPU paths are written for. All levels write the same
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// No vectors, on any processor.
    Scalar,
    /// 128-bit NEON (every 64-bit Arm processor).
    Neon,
    /// 256-bit AVX2, with BMI1, BMI2, LZCNT and POPCNT.
    Avx2,
    /// 512-bit AVX-512 F, BW, CD, DQ, VL, VBMI, VBMI2, BITALG and VPOPCNTDQ, on a processor whose
    /// gathers are fast.
    Avx512Gather,
    /// The same instructions; small tables are looked up in registers and some others by single
    /// loads, since gathers are slow (17 to 26 cycles for 16 elements on Zen 4, 14 on Zen 5, 6 on
    /// Ice Lake).
    Avx512Permute,
}

impl Level {
    /// All levels, slowest first.
    const ALL: [Self; 5] =
        [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512Gather, Self::Avx512Permute];

    /// The level that the library uses: the one that the environment variable `PARANS_SIMD` names
    /// (see [`Level::from_environment`]), else the best that this machine has. Looked up once.
    ///
    /// A value that names nothing, or nothing that this machine has, counts as `scalar`: a test run
    /// that forces a level must not silently run at a better one.
    pub fn current() -> Self {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| match Self::from_environment() {
            Ok(forced) => forced.unwrap_or_else(Self::best),
            Err(_) => Self::Scalar,
        })
    }

    /// The level that `PARANS_SIMD` forces, if it is set and not empty: one of `scalar`, `neon`,
    /// `avx2`, `avx512` (the better of the next two), `avx512-gather`, `avx512-permute`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another name, [`Error::Unsupported`] for a level that this
    /// machine lacks. Programs should report it at their start.
    pub fn from_environment() -> Result<Option<Self>> {
        match std::env::var_os("PARANS_SIMD") {
            Some(name) if !name.is_empty() => Self::from_name(&name.to_string_lossy()).map(Some),
            _ => Ok(None),
        }
    }

    /// The level of a name; errors as [`Level::from_environment`].
    fn from_name(name: &str) -> Result<Self> {
        let level = match name {
            "avx512" if Self::gathers_are_slow() => Self::Avx512Permute,
            "avx512" => Self::Avx512Gather,
            _ => Self::ALL.into_iter().find(|level| level.name() == name).ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "PARANS_SIMD={name}: not one of scalar, neon, avx2, avx512, avx512-gather, avx512-permute"
                ))
            })?,
        };
        if level.is_available() {
            Ok(level)
        } else {
            Err(Error::Unsupported(format!("PARANS_SIMD={name}: this processor lacks it")))
        }
    }

    /// The name in `PARANS_SIMD` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512Gather => "avx512-gather",
            Self::Avx512Permute => "avx512-permute",
        }
    }

    /// Whether this machine has the level.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::avx2::Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gather | Self::Avx512Permute => {
                super::avx512::Avx512::<true>::new().is_some()
            }
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Self::Neon => super::neon::Neon::new().is_some(),
            #[allow(unreachable_patterns, reason = "which levels are left depends on the target")]
            _ => false,
        }
    }

    /// The levels that this machine has, slowest first: what a parity suite loops over.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// The best level that this machine has.
    fn best() -> Self {
        let permute = Self::gathers_are_slow();
        Self::available()
            .filter(|&level| level != Self::Avx512Permute || permute)
            .last()
            .unwrap_or(Self::Scalar)
    }

    /// Whether gathers cost more than the loads they stand for: on AMD's processors, where they are
    /// microcode.
    fn gathers_are_slow() -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let vendor = std::arch::x86_64::__cpuid(0);
            // "AuthenticAMD", in the order EBX, EDX, ECX.
            (vendor.ebx, vendor.edx, vendor.ecx) == (0x6874_7541, 0x6974_6e65, 0x444d_4163)
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_asked_for_is_in_use() {
        let asked = Level::from_environment().expect("PARANS_SIMD names a level of this machine");
        assert_eq!(Level::current(), asked.unwrap_or_else(Level::best));
        if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            assert_eq!(Level::best(), Level::Neon);
        }
    }

    #[test]
    fn names() {
        for level in Level::ALL {
            match Level::from_name(level.name()) {
                Ok(found) => assert_eq!(found, level),
                Err(e) => {
                    assert!(matches!(e, Error::Unsupported(_)), "{e}");
                    assert!(!level.is_available());
                }
            }
        }
        assert!(matches!(Level::from_name("avx1024"), Err(Error::InvalidArgument(_))));
        assert!(Level::from_name("scalar").is_ok());
        assert!(Level::best().is_available());
    }
}
