//! The model kernels: push and pop with a distribution per symbol, and the two that make such
//! distributions of floats on the device.

use bytemuck::{Pod, Zeroable};

use super::{CodeShape, DeviceAddress, LaneMapping};
use crate::codec::RansFamily;
use crate::model::{Component, Kind, Mean, Scale};

/// The scalar parameters of a push or pop by models: those of any push or pop, and what all
/// symbols' models share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ModelShape {
    /// Rows, symbols, words, precision and bypass. Indexes and tables are left at 0, the index type
    /// at `CONSTANT`.
    ///
    /// The host keeps `symbols < 2^30` here.
    pub code: CodeShape,
    /// [`Kind`] as a number (parametric models and mixtures).
    pub kind: u32,
    /// Uniform: symbols of the alphabet. Mixtures: components per symbol. CDFs: values each.
    pub width: u32,
    /// The smallest symbol (uniform, CDFs).
    pub lowest: i32,
    /// Not 0: the last symbol of every CDF is the bypass sentinel.
    pub sentinel: u32,
}

/// The parameters of every model kernel, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ModelParams {
    /// States, of the family's width.
    pub states: DeviceAddress,
    /// Words, of the family's width.
    pub words: DeviceAddress,
    /// u32 a row.
    pub lengths: DeviceAddress,
    /// [`RowStatus`](super::RowStatus) a row.
    pub status: DeviceAddress,
    /// Symbols: read by push, written by pop.
    pub symbols: DeviceAddress,
    /// What each symbol has of its own, rows one after another. Parametric: the [`Mean`], i32.
    /// Mixtures: [`ModelComponent`], `width` a symbol. CDFs: u32, `width` a symbol. Uniform: 0.
    pub parameters: DeviceAddress,
    /// Parametric: the [`Scale`]'s code, u16 a symbol. Else 0.
    pub scales: DeviceAddress,
    /// Everything that is not an address.
    pub shape: ModelShape,
}

const _: () = assert!(size_of::<ModelShape>() == size_of::<CodeShape>() + 16);
const _: () = assert!(size_of::<ModelParams>() == 7 * 8 + size_of::<ModelShape>());
const _: () = assert!(align_of::<ModelShape>() == 4 && align_of::<ModelParams>() == 8);

impl ModelParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 8] = [
        (0, 8),
        (8, 8),
        (16, 8),
        (24, 8),
        (32, 8),
        (40, 8),
        (48, 8),
        (56, size_of::<ModelShape>()),
    ];
}

/// A mixture's [`Component`] as it lies in device memory: the same bytes, those between the fields
/// being 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ModelComponent {
    /// The [`Mean`].
    pub mean: i32,
    /// The [`Scale`]'s code.
    pub scale: u16,
    /// 0.
    pub zero: u16,
    /// The weight, in units of `2^-16`; a symbol's sum to `2^16`.
    pub weight: u32,
}

impl From<Component> for ModelComponent {
    fn from(part: Component) -> Self {
        let (Mean(mean), scale) = (part.mean, part.scale.code());
        Self { mean, scale, zero: 0, weight: part.weight }
    }
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<ModelComponent>() == size_of::<Component>());
    assert!(align_of::<ModelComponent>() == align_of::<Component>());
    assert!(offset_of!(ModelComponent, mean) == offset_of!(Component, mean));
    assert!(offset_of!(ModelComponent, scale) == offset_of!(Component, scale));
    assert!(offset_of!(ModelComponent, weight) == offset_of!(Component, weight));
    assert!(size_of::<Scale>() == size_of::<u16>() && size_of::<Mean>() == size_of::<i32>());
};

/// The parameters of [`FIX_F32`], in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FixParams {
    /// Means, f32.
    pub means: DeviceAddress,
    /// Scales, f32.
    pub scales: DeviceAddress,
    /// The fixed-point means, i32.
    pub fixed_means: DeviceAddress,
    /// The scales' codes, u16: [`BAD_SCALE`] where the mean or the scale has no fixed-point form.
    pub codes: DeviceAddress,
    /// How many of each.
    pub count: u64,
}

impl FixParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 5] = [(0, 8), (8, 8), (16, 8), (24, 8), (32, 8)];
}

const _: () = assert!(size_of::<FixParams>() == 40);

/// The kernel that makes fixed-point means and scales of floats, a thread per pair, with the bits
/// that [`Mean::from_f32`] and [`Scale::from_f32`] give on the host.
pub const FIX_F32: &str = "fix_f32";

/// No scale's code: coding with it fails the row.
pub const BAD_SCALE: u16 = u16::MAX;

const _: () = assert!(Scale::from_code(BAD_SCALE).is_none());

/// Which models a kernel codes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelForm {
    /// One alphabet, all symbols alike.
    Uniform,
    /// A mean and a scale per symbol.
    Parametric,
    /// Up to eight components per symbol.
    Mixture,
    /// A CDF a symbol.
    Cdf,
}

impl ModelForm {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::Uniform, Self::Parametric, Self::Mixture, Self::Cdf];
}

/// The kind that a launch names; an unknown number is the last one.
#[inline]
pub const fn kind_of(number: u32) -> Kind {
    match number {
        0 => Kind::Gaussian,
        1 => Kind::Laplace,
        _ => Kind::Logistic,
    }
}

const _: () =
    assert!(Kind::Gaussian as u32 == 0 && Kind::Laplace as u32 == 1 && Kind::Logistic as u32 == 2);

/// A push or pop kernel for models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelKernel {
    /// The entry point's name in the PTX.
    pub name: &'static str,
    /// Whether it pushes; else it pops.
    pub push: bool,
    /// The family's name, [`RansFamily::NAME`].
    pub family: &'static str,
    /// How lanes map to threads. [`LaneMapping::PartOfWarp`] stands for a whole warp too: a
    /// symbol's model costs so much more than the votes around it that a kernel for 32 lanes alone
    /// is not worth its code.
    pub lanes: LaneMapping,
    /// Which models.
    pub form: ModelForm,
}

impl ModelKernel {
    /// The kernel for a family (by name), a direction, a form and a lane count.
    pub fn find(family: &str, push: bool, form: ModelForm, lanes: u32) -> Option<&'static Self> {
        // A part of a warp stands for a whole one too.
        let takes = |mapping: LaneMapping| {
            mapping.takes(lanes) || mapping == LaneMapping::PartOfWarp && lanes == 32
        };
        MODEL_KERNELS
            .iter()
            .find(|k| k.family == family && k.push == push && k.form == form && takes(k.lanes))
    }
}

/// The one list of the model kernels, as [`for_each_kernel`](crate::for_each_kernel) is that of the
/// others: `name: direction, family, mapping, form of the models`.
#[macro_export]
#[doc(hidden)]
macro_rules! for_each_model_kernel {
    ($($with:ident)::+ => $($prefix:tt)*) => {
        $($with)::+! { $($prefix)*
            push_uniform_rans64_x1: push Rans64 Thread Uniform;
            push_uniform_rans64_xn: push Rans64 PartOfWarp Uniform;
            push_uniform_rans32_x1: push Rans32 Thread Uniform;
            push_uniform_rans32_xn: push Rans32 PartOfWarp Uniform;
            push_uniform_rans32_16_x1: push Rans32x16 Thread Uniform;
            push_uniform_rans32_16_xn: push Rans32x16 PartOfWarp Uniform;
            push_parametric_rans64_x1: push Rans64 Thread Parametric;
            push_parametric_rans64_xn: push Rans64 PartOfWarp Parametric;
            push_parametric_rans32_x1: push Rans32 Thread Parametric;
            push_parametric_rans32_xn: push Rans32 PartOfWarp Parametric;
            push_parametric_rans32_16_x1: push Rans32x16 Thread Parametric;
            push_parametric_rans32_16_xn: push Rans32x16 PartOfWarp Parametric;
            push_mixture_rans64_x1: push Rans64 Thread Mixture;
            push_mixture_rans64_xn: push Rans64 PartOfWarp Mixture;
            push_mixture_rans32_x1: push Rans32 Thread Mixture;
            push_mixture_rans32_xn: push Rans32 PartOfWarp Mixture;
            push_mixture_rans32_16_x1: push Rans32x16 Thread Mixture;
            push_mixture_rans32_16_xn: push Rans32x16 PartOfWarp Mixture;
            push_cdf_rans64_x1: push Rans64 Thread Cdf;
            push_cdf_rans64_xn: push Rans64 PartOfWarp Cdf;
            push_cdf_rans32_x1: push Rans32 Thread Cdf;
            push_cdf_rans32_xn: push Rans32 PartOfWarp Cdf;
            push_cdf_rans32_16_x1: push Rans32x16 Thread Cdf;
            push_cdf_rans32_16_xn: push Rans32x16 PartOfWarp Cdf;
            pop_uniform_rans64_x1: pop Rans64 Thread Uniform;
            pop_uniform_rans64_xn: pop Rans64 PartOfWarp Uniform;
            pop_uniform_rans32_x1: pop Rans32 Thread Uniform;
            pop_uniform_rans32_xn: pop Rans32 PartOfWarp Uniform;
            pop_uniform_rans32_16_x1: pop Rans32x16 Thread Uniform;
            pop_uniform_rans32_16_xn: pop Rans32x16 PartOfWarp Uniform;
            pop_parametric_rans64_x1: pop Rans64 Thread Parametric;
            pop_parametric_rans64_xn: pop Rans64 PartOfWarp Parametric;
            pop_parametric_rans32_x1: pop Rans32 Thread Parametric;
            pop_parametric_rans32_xn: pop Rans32 PartOfWarp Parametric;
            pop_parametric_rans32_16_x1: pop Rans32x16 Thread Parametric;
            pop_parametric_rans32_16_xn: pop Rans32x16 PartOfWarp Parametric;
            pop_mixture_rans64_x1: pop Rans64 Thread Mixture;
            pop_mixture_rans64_xn: pop Rans64 PartOfWarp Mixture;
            pop_mixture_rans32_x1: pop Rans32 Thread Mixture;
            pop_mixture_rans32_xn: pop Rans32 PartOfWarp Mixture;
            pop_mixture_rans32_16_x1: pop Rans32x16 Thread Mixture;
            pop_mixture_rans32_16_xn: pop Rans32x16 PartOfWarp Mixture;
            pop_cdf_rans64_x1: pop Rans64 Thread Cdf;
            pop_cdf_rans64_xn: pop Rans64 PartOfWarp Cdf;
            pop_cdf_rans32_x1: pop Rans32 Thread Cdf;
            pop_cdf_rans32_xn: pop Rans32 PartOfWarp Cdf;
            pop_cdf_rans32_16_x1: pop Rans32x16 Thread Cdf;
            pop_cdf_rans32_16_xn: pop Rans32x16 PartOfWarp Cdf;
        }
    };
}

/// Makes the table of model kernels out of the list.
#[macro_export]
#[doc(hidden)]
macro_rules! model_kernel_table {
    (@push push) => { true };
    (@push pop) => { false };
    ($($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        /// Every model kernel.
        pub const MODEL_KERNELS: &[ModelKernel] = &[$(ModelKernel {
            name: stringify!($name),
            push: $crate::model_kernel_table!(@push $direction),
            family: <$crate::codec::$family as RansFamily>::NAME,
            lanes: LaneMapping::$mapping,
            form: ModelForm::$form,
        }),*];
    };
}
for_each_model_kernel!(crate::model_kernel_table =>);
