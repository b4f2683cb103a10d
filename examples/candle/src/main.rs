//! Loads a compressed safetensors file into candle tensors: tensor by tensor from the archive, with
//! no temporary file and no second copy of the model.
//!
//! ```sh
//! parans model.safetensors
//! cargo run --manifest-path examples/candle/Cargo.toml -- model.safetensors.parans
//! ```

use std::{collections::HashMap, fs::File, path::Path};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use parans::frame::{EntryKind, FrameArchive};

/// The tensors of a compressed file, by name. A file that is coded against another one is read with
/// `FrameArchive::set_bases` before.
fn load(path: &Path, device: &Device) -> Result<HashMap<String, Tensor>> {
    let mut archive = FrameArchive::open(File::open(path)?)?;
    let mut tensors = HashMap::new();
    for entry in archive.index().entries.clone() {
        let EntryKind::Tensor { dtype, shape } = &entry.kind else { continue };
        let dtype = dtype_of(dtype).with_context(|| entry.name.clone())?;
        let shape: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
        // The chunks of the tensor, decoded on all cores.
        let bytes = archive.read_range(entry.offset..entry.end())?;
        tensors.insert(entry.name, Tensor::from_raw_buffer(&bytes, dtype, &shape, device)?);
    }
    Ok(tensors)
}

/// candle's name for an element type of safetensors.
fn dtype_of(name: &str) -> Result<DType> {
    Ok(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "U32" => DType::U32,
        "U8" => DType::U8,
        _ => bail!("candle has no elements of {name}"),
    })
}

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).context("usage: parans-candle-example FILE.parans")?;
    let mut tensors: Vec<_> = load(path.as_ref(), &Device::Cpu)?.into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in tensors {
        println!("{name} {:?} {:?}", tensor.dtype(), tensor.dims());
    }
    Ok(())
}

/// What candle saved and parans compressed comes back as it was.
#[test]
fn tensors_come_back() -> Result<()> {
    use std::io::Write;

    use parans::frame::{FrameWriter, WriteOptions, recognise};

    let folder = tempfile::tempdir()?;
    let device = Device::Cpu;
    let weights = Tensor::arange(0f32, 6000f32, &device)?.reshape((60, 100))?;
    let tensors = HashMap::from([
        ("half".to_owned(), weights.to_dtype(DType::BF16)?),
        ("ids".to_owned(), Tensor::arange(0i64, 50, &device)?),
        ("weights".to_owned(), weights),
    ]);
    let (plain, compressed) = (folder.path().join("m"), folder.path().join("m.parans"));
    candle_core::safetensors::save(&tensors, &plain)?;
    let content = std::fs::read(plain)?;
    let layout = recognise(&content).context("a safetensors file")?;
    let file = File::create(&compressed)?;
    let mut writer = FrameWriter::with_layout(file, WriteOptions::default(), layout)?;
    writer.write_all(&content)?;
    writer.finish()?;

    let loaded = load(&compressed, &device)?;
    assert_eq!(loaded.len(), 3);
    for (name, tensor) in &tensors {
        let back = &loaded[name];
        assert_eq!((back.dtype(), back.dims()), (tensor.dtype(), tensor.dims()));
        let bits = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        assert_eq!(bits(back)?, bits(tensor)?, "{name}");
    }
    Ok(())
}
