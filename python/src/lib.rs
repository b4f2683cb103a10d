//! parans for Python: the extension module `parans._parans`. It turns Python's arrays into the
//! library's views and back; all coding is the library's.

mod coder;
mod compressai;
mod errors;
mod frame;
mod gpu;
mod indexes;
mod input;
mod models;
mod stream;
mod streams;
mod tables;
mod tensor;
mod torch_ans;

use pyo3::prelude::*;

/// The native part of parans.
#[pymodule(gil_used = false)]
fn _parans(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Error", module.py().get_type::<errors::Error>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<tensor::Tensor>()?;
    module.add_function(wrap_pyfunction!(tensor::element_type, module)?)?;
    module.add_class::<tables::Tables>()?;
    module.add_class::<streams::Streams>()?;
    module.add_class::<coder::Coder>()?;
    module.add_class::<models::Distributions>()?;
    module.add_class::<models::Mixtures>()?;
    module.add_class::<models::Pmfs>()?;
    module.add_class::<models::Uniforms>()?;
    module.add_class::<models::ModelCoder>()?;
    module.add_class::<models::GaussianConditional>()?;
    module.add_class::<models::EntropyBottleneck>()?;
    module.add_function(wrap_pyfunction!(models::quantise, module)?)?;
    module.add_class::<frame::Archive>()?;
    module.add_class::<frame::FrameFile>()?;
    module.add_class::<frame::RecognisingFile>()?;
    module.add_function(wrap_pyfunction!(frame::compress_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(frame::compress_tensor, module)?)?;
    module.add_function(wrap_pyfunction!(frame::decompress, module)?)?;
    module.add_function(wrap_pyfunction!(frame::write_file, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::torch_ans_coder, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::torch_ans_push, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::torch_ans_pop, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::torch_ans_strings, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::torch_ans_stream, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::quantised_cdf, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::inverse_cdf, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::alias_tensors, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::tans_tensor, module)?)?;
    module.add_function(wrap_pyfunction!(torch_ans::torch_ans_initial, module)?)?;
    module.add_class::<compressai::RansEncoder>()?;
    module.add_class::<compressai::BufferedRansEncoder>()?;
    module.add_class::<compressai::RansDecoder>()?;
    module.add_function(wrap_pyfunction!(compressai::encode_batch, module)?)?;
    module.add_function(wrap_pyfunction!(compressai::decode_batch, module)?)?;
    Ok(())
}
