//! Push and pop with a distribution per symbol: [`model`](crate::model) evaluated by each lane for
//! its own symbol.

mod fix;

use crate::abi::ModelShape;
use crate::abi::models::kind_of;
use crate::codec::{BypassCode, RansFamily, RowError};
use crate::device::group::Mapping;
use crate::device::memory::RowsMemory;
use crate::device::pop::pop_row;
use crate::device::push::push_row;
use crate::device::simt::Simt;
use crate::model::{
    Cdfs, Component, FoundValue, Located, Mixtures, Model, ModelRow, Parametrics, RowModel,
    Uniform as Alphabet,
};

pub use fix::fix;

/// Models as both directions read them.
#[derive(Clone, Copy, Debug)]
pub struct ModelMemory<P> {
    /// What each symbol has of its own.
    pub parameters: *const P,
    /// Its scale's code (parametric models only).
    pub scales: *const u16,
}

/// Makes the models of a row out of a launch's memory.
pub trait ModelForm {
    /// What each symbol has of its own.
    type Parameter;
    /// The models of a row. Whatever the memory holds, its frequencies are at least 1 and its slots
    /// below `2^precision`; what cannot be so is an error of the symbol.
    type Row: RowModel;
    /// # Safety
    /// The memory is what the shape says, and `row < rows`.
    unsafe fn row(memory: ModelMemory<Self::Parameter>, shape: &ModelShape, row: u32) -> Self::Row;
}

/// One alphabet, all symbols alike.
#[derive(Clone, Copy, Debug)]
pub struct Uniform;
/// A mean and a scale per symbol.
#[derive(Clone, Copy, Debug)]
pub struct Parametric;
/// Components of one kind per symbol.
#[derive(Clone, Copy, Debug)]
pub struct Mixture;
/// A CDF per symbol.
#[derive(Clone, Copy, Debug)]
pub struct Cdf;

/// A row's part of an array that has `each` elements per symbol.
///
/// # Safety
/// The array is that long, and `row < rows`.
#[inline(always)]
unsafe fn part<T>(array: *const T, shape: &ModelShape, row: u32, each: u32) -> &'static [T] {
    let length = shape.code.symbols as usize * each as usize;
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(array.add(row as usize * length), length) }
}

impl ModelForm for Uniform {
    type Parameter = u8;
    type Row = UniformRow;
    #[inline(always)]
    unsafe fn row(_memory: ModelMemory<u8>, shape: &ModelShape, _row: u32) -> UniformRow {
        UniformRow(Alphabet::new(shape.lowest, shape.width, shape.code.precision))
    }
}

/// The alphabet, if it is one.
#[derive(Clone, Copy, Debug)]
pub struct UniformRow(Option<Alphabet>);

impl RowModel for UniformRow {
    #[inline(always)]
    fn locate(&self, _position: usize, symbol: i32) -> Result<Located, RowError> {
        let alphabet = self.0.as_ref().ok_or(RowError::ParameterOutOfRange)?;
        Model::locate(alphabet, symbol).ok_or(RowError::SymbolOutOfRange)
    }

    #[inline(always)]
    fn find(&self, _position: usize, slot: u32) -> Result<FoundValue, RowError> {
        self.0
            .as_ref()
            .map(|alphabet| Model::find(alphabet, slot))
            .ok_or(RowError::ParameterOutOfRange)
    }
}

impl ModelForm for Parametric {
    type Parameter = i32;
    type Row = Parametrics<'static>;
    #[inline(always)]
    unsafe fn row(memory: ModelMemory<i32>, shape: &ModelShape, row: u32) -> Self::Row {
        Parametrics {
            kind: kind_of(shape.kind),
            // SAFETY: a mean and a scale per symbol; the caller's promise.
            means: unsafe { part(memory.parameters, shape, row, 1) },
            // SAFETY: the same.
            scales: unsafe { part(memory.scales, shape, row, 1) },
            precision: shape.code.precision,
        }
    }
}

impl ModelForm for Mixture {
    type Parameter = Component;
    type Row = Mixtures<'static>;
    #[inline(always)]
    unsafe fn row(memory: ModelMemory<Component>, shape: &ModelShape, row: u32) -> Self::Row {
        Mixtures {
            kind: kind_of(shape.kind),
            // SAFETY: `width` components per symbol; the caller's promise.
            components: unsafe { part(memory.parameters, shape, row, shape.width) },
            each: shape.width as usize,
            precision: shape.code.precision,
        }
    }
}

impl ModelForm for Cdf {
    type Parameter = u32;
    type Row = CdfRow;
    #[inline(always)]
    unsafe fn row(memory: ModelMemory<u32>, shape: &ModelShape, row: u32) -> CdfRow {
        CdfRow {
            cdfs: Cdfs {
                // SAFETY: `width` values a symbol; the caller's promise.
                cdfs: unsafe { part(memory.parameters, shape, row, shape.width) },
                width: shape.width as usize,
                offset: shape.lowest,
                sentinel: shape.sentinel != 0,
            },
            end: 1 << shape.code.precision,
        }
    }
}

/// CDFs that nobody has checked: a frequency past `2^precision` would emit words for ever.
#[derive(Clone, Copy, Debug)]
pub struct CdfRow {
    cdfs: Cdfs<'static>,
    end: u32,
}

impl RowModel for CdfRow {
    #[inline(always)]
    fn locate(&self, position: usize, symbol: i32) -> Result<Located, RowError> {
        let located = self.cdfs.locate(position, symbol)?;
        // An interval's end was a value of the CDF: no sum overflows.
        if located.interval.start + located.interval.freq <= self.end {
            Ok(located)
        } else {
            Err(RowError::ParameterOutOfRange)
        }
    }

    #[inline(always)]
    fn find(&self, position: usize, slot: u32) -> Result<FoundValue, RowError> {
        let found = self.cdfs.find(position, slot)?;
        if found.interval.start + found.interval.freq <= self.end {
            Ok(found)
        } else {
            Err(RowError::ParameterOutOfRange)
        }
    }
}

/// How a row's symbols are coded with its models.
///
/// # Safety
/// As [`ModelForm::row`].
#[inline(always)]
unsafe fn model_row<T: ModelForm>(
    models: ModelMemory<T::Parameter>,
    shape: &ModelShape,
    row: u32,
) -> ModelRow<T::Row> {
    ModelRow {
        // SAFETY: the caller's promise.
        model: unsafe { T::row(models, shape, row) },
        precision: shape.code.precision,
        bypass: BypassCode::new(shape.code.bypass_bits),
    }
}

/// Pushes every symbol of the calling thread's lane by models.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, F: RansFamily, T: ModelForm>(
    simt: S,
    rows: RowsMemory,
    models: ModelMemory<T::Parameter>,
    shape: &ModelShape,
) {
    // SAFETY: the caller's promise.
    unsafe {
        push_row::<S, M, F, _, _>(simt, rows, &shape.code, (), |_, row| {
            model_row::<T>(models, shape, row)
        });
    }
}

/// Pops every symbol of the calling thread's lane by models.
///
/// # Safety
/// As [`push`].
#[inline(always)]
pub unsafe fn pop<S: Simt, M: Mapping, F: RansFamily, T: ModelForm>(
    simt: S,
    rows: RowsMemory,
    models: ModelMemory<T::Parameter>,
    shape: &ModelShape,
) {
    // SAFETY: the caller's promise.
    unsafe {
        pop_row::<S, M, F, _, _>(simt, rows, &shape.code, (), |_, row| {
            model_row::<T>(models, shape, row)
        });
    }
}
