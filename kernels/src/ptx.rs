//! The kernels as PTX: one module per kernel, compiled from `device` by `scripts/build-ptx` and
//! committed in `ptx/`.
//!
//! A driver compiles a whole module when it loads it, which takes up to a second per kernel; a
//! coder needs two of them.

/// A list of kernels' names, each with its module.
macro_rules! modules {
    ($list:ident: $($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        const $list: &[(&str, &str)] = &[$(modules!(@module $name)),*];
    };
    (@module $name:ident) => {
        (stringify!($name), include_str!(concat!("../ptx/", stringify!($name), ".ptx")))
    };
}
crate::for_each_kernel!(modules => TABLES:);
crate::for_each_model_kernel!(modules => MODELS:);
const OTHERS: &[(&str, &str)] = &[
    modules!(@module quantise_f32),
    modules!(@module quantise_cdf_f32),
    modules!(@module quantise_cdf_u32),
    modules!(@module fix_f32),
    modules!(@module move_rows),
    modules!(@module decode_frame_bytes),
    modules!(@module decode_frame_x2),
    modules!(@module decode_frame_x4),
    modules!(@module decode_frame_x8),
    modules!(@module pack_tables),
];

/// Every kernel's name and the text of its module: those that code from tables, those that code
/// from models, the others.
pub const MODULES: [&[(&str, &str)]; 3] = [TABLES, MODELS, OTHERS];
