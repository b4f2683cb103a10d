//! How batches of models are evaluated on this processor: in vectors written for them, else in the
//! kernels' loops over arrays.

use parans_kernels::model::{
    BATCH, BatchModel, Cdfs, Intervals, Mixtures, Parametrics, Steps, Uniform,
};

use super::mixtures;
use crate::simd::{Level, dispatch_octets};

/// Models that may have vectors of their own.
pub(crate) trait HostModel: BatchModel {
    /// As [`BatchModel::locate_batches`]; `None` where nothing was done.
    #[inline(always)]
    fn locate_in_vectors(
        _steps: Steps<'_, Self>,
        _symbols: &[[i32; BATCH]],
        _intervals: &mut [Intervals<BATCH>],
        _plain: &mut [bool],
    ) -> Option<()> {
        None
    }

    /// As [`BatchModel::find_batch`]; `None` where nothing was done.
    #[inline(always)]
    fn find_in_vectors(
        _steps: Steps<'_, Self>,
        _slots: &[u32; BATCH],
        _intervals: &mut Intervals<BATCH>,
        _found: &mut [i32; BATCH],
    ) -> Option<u32> {
        None
    }
}

// The kernels' loops over arrays of these become vectors by themselves.
impl HostModel for Parametrics<'_> {}
// One load and one comparison: nothing that a vector would do faster.
impl HostModel for Uniform {}
impl HostModel for Cdfs<'_> {}

impl HostModel for Mixtures<'_> {
    fn locate_in_vectors(
        steps: Steps<'_, Self>,
        symbols: &[[i32; BATCH]],
        intervals: &mut [Intervals<BATCH>],
        plain: &mut [bool],
    ) -> Option<()> {
        let work = mixtures::Locate { steps, symbols, intervals, plain };
        dispatch_octets(Level::current(), work).ok().flatten()
    }

    fn find_in_vectors(
        steps: Steps<'_, Self>,
        slots: &[u32; BATCH],
        intervals: &mut Intervals<BATCH>,
        found: &mut [i32; BATCH],
    ) -> Option<u32> {
        let work = mixtures::Find { steps, slots, intervals, found };
        dispatch_octets(Level::current(), work).ok().flatten()
    }
}
