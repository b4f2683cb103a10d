//! From a level to the token that work runs with. Everything between here and the intrinsics must
//! be `#[inline(always)]`, or it is compiled without the level's features and every operation
//! becomes a call.

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::avx2_octets::Avx2Octets;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
use super::level::Level;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use super::neon::Neon;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use super::neon_octets::NeonOctets;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
use super::octets::Octets;
use super::traits::{AnyBits, RunOn, Simd, Work};

/// Names a bound: what has all of these.
macro_rules! bound {
    ($(#[$meta:meta])* $name:ident: $($bound:tt)+) => {
        $(#[$meta])*
        pub(crate) trait $name: $($bound)+ {}
        impl<W: $($bound)+> $name for W {}
    };
}

#[cfg(target_arch = "x86_64")]
bound!(
    /// Work for every vector level of the target.
    RunOnAny: RunOn<Avx2> + RunOn<Avx512<false>> + RunOn<Avx512<true>>
);
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
bound!(
    /// Work for every vector level of the target.
    RunOnAny: RunOn<Neon>
);
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
bound!(
    /// Work for every vector level of the target, which has none.
    RunOnAny: Work
);

#[cfg(target_arch = "x86_64")]
bound!(
    /// Work for the levels of 512 bits.
    RunOn512: RunOn<Avx512<true>>
);
#[cfg(not(target_arch = "x86_64"))]
bound!(
    /// Work for the levels of 512 bits, of which the target has none.
    RunOn512: Work
);

#[cfg(target_arch = "x86_64")]
bound!(
    /// Work for the levels that have vectors of eight elements.
    RunOnOctets: RunOn<Avx2Octets>
);
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
bound!(
    /// Work for the levels that have vectors of eight elements.
    RunOnOctets: RunOn<NeonOctets>
);
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
bound!(
    /// Work for the levels that have vectors of eight elements, of which the target has none.
    RunOnOctets: Work
);

#[cfg(target_arch = "x86_64")]
bound!(
    /// Scalar work, for any processor and with bit instructions.
    RunOnBits: RunOn<AnyBits> + RunOn<Avx2>
);
#[cfg(not(target_arch = "x86_64"))]
bound!(
    /// Scalar work, for any processor.
    RunOnBits: RunOn<AnyBits>
);

/// Runs `work` at `level`; gives it back where the level has no vectors (or this machine lacks the
/// level).
pub(crate) fn dispatch<W: RunOnAny>(level: Level, work: W) -> Result<W::Output, W> {
    /// Runs the work where there is a token.
    #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
    fn enter<S: Simd, W: RunOn<S>>(token: Option<S>, work: W) -> Result<W::Output, W> {
        match token {
            Some(token) => Ok(token.vectorize(work)),
            None => Err(work),
        }
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Gather => enter(Avx512::<false>::new(), work),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Permute => enter(Avx512::<true>::new(), work),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => enter(Avx2::new(), work),
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Level::Neon => enter(Neon::new(), work),
        _ => Err(work),
    }
}

/// Runs `work` for vectors of 512 bits at `level`; gives it back where the level has none. One
/// function serves both levels that have: whether gathers are slow is a value here, so that large
/// loops are compiled once.
pub(crate) fn dispatch_512<W: RunOn512>(level: Level, work: W) -> Result<W::Output, W> {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Gather | Level::Avx512Permute => {
            match Avx512::with_gathers(level == Level::Avx512Permute) {
                Some(token) => Ok(token.vectorize(work)),
                None => Err(work),
            }
        }
        _ => Err(work),
    }
}

/// Whether [`dispatch_octets`] runs work at `level`.
pub(crate) fn has_octets(level: Level) -> bool {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512Gather | Level::Avx512Permute => Avx2Octets::new().is_some(),
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Level::Neon => NeonOctets::new().is_some(),
        _ => false,
    }
}

/// Runs `work` for vectors of eight elements at `level`; gives it back where the level has none.
pub(crate) fn dispatch_octets<W: RunOnOctets>(level: Level, work: W) -> Result<W::Output, W> {
    /// Runs the work where there is a token.
    #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
    fn enter<S: Octets, W: RunOn<S>>(token: Option<S>, work: W) -> Result<W::Output, W> {
        match token {
            Some(token) => Ok(token.vectorize(work)),
            None => Err(work),
        }
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512Gather | Level::Avx512Permute => enter(Avx2Octets::new(), work),
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Level::Neon => enter(NeonOctets::new(), work),
        _ => Err(work),
    }
}

/// Runs scalar work with the bit instructions of this machine (shifts by any register and `lzcnt`
/// on x86-64), where [`Level::current`] allows any.
#[inline]
pub(crate) fn dispatch_bits<W: RunOnBits>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if Level::current() != Level::Scalar
        && let Some(token) = Avx2::new()
    {
        return token.vectorize(work);
    }
    RunOn::<AnyBits>::run(work, AnyBits)
}

/// Runs scalar work with all instructions of [`Level::current`]: for loops over arrays that the
/// compiler makes vectors of.
#[inline]
pub(crate) fn dispatch_loops<W: RunOn<AnyBits>>(work: W) -> W::Output {
    struct Loops<W>(W);
    impl<W: Work> Work for Loops<W> {
        type Output = W::Output;
    }
    impl<S: Simd, W: RunOn<AnyBits>> RunOn<S> for Loops<W> {
        #[inline(always)]
        fn run(self, _: S) -> W::Output {
            self.0.run(AnyBits)
        }
    }
    dispatch(Level::current(), Loops(work)).unwrap_or_else(|Loops(work)| work.run(AnyBits))
}
