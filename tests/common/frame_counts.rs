//! What frames cost on the software device: `scripts/gpu-counts` prints it beside what coders cost,
//! and `tests/suite/kernels/cost.rs` holds it to a budget.

use std::io::{Cursor, Write};
use std::sync::Arc;

use parans::Dtype;
use parans::frame::{FrameArchive, FrameWriter, WriteOptions};
use parans::gpu::{FrameDecoder, Gpu, StreamHandle};
use parans_emulator::DeviceModel;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::software::Software;

/// Bytes of a chunk, a size that suits a device.
const CHUNK: usize = 128 << 10;
/// Chunks of a frame.
const CHUNKS: usize = 4;

/// One launch.
pub struct FrameCount {
    /// `u8`, or the elements' type in lower case.
    pub symbols: String,
    /// Coded bytes per byte of content.
    pub ratio: f64,
    pub kernel: String,
    /// Warp instructions per 32 elements.
    pub instructions: f64,
    /// Sectors of global memory per element.
    pub sectors: f64,
    /// Wavefronts of shared memory per element.
    pub wavefronts: f64,
}

impl FrameCount {
    /// A line of the budgets: its name, and 2.5 % more than was counted.
    pub fn budget(&self) -> String {
        let most = |counted: f64| (counted * 102.5).ceil() / 100.0;
        let Self { symbols, instructions, sectors, wavefronts, .. } = self;
        let [instructions, sectors, wavefronts] =
            [instructions, sectors, wavefronts].map(|n| most(*n));
        format!("frame_decode-{symbols} {instructions:.2} {sectors:.2} {wavefronts:.2}")
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let Self { symbols, ratio, kernel, instructions, sectors, wavefronts } = self;
        format!(
            "{{\"family\":\"rans32_16\",\"lanes\":32,\"tables\":1,\"precision\":12,\
             \"symbols\":\"{symbols}\",\"index\":\"one\",\"bypass\":false,\
             \"op\":\"frame_decode\",\"instructions_per_32\":{instructions:.2},\
             \"sectors\":{sectors:.3},\"wavefronts\":{wavefronts:.3},\"chunk\":{CHUNK},\
             \"ratio\":{ratio:.4},\"kernel\":\"{kernel}\"}}"
        )
    }
}

/// Bell-shaped content: bytes, or weights as elements of a type.
fn content(dtype: Option<Dtype>) -> Vec<u8> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(6);
    let mut bytes = Vec::new();
    while bytes.len() < CHUNK * CHUNKS {
        // Box and Muller's normal values.
        let (radius, angle) = (rng.random::<f64>(), rng.random::<f64>());
        let value = (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
        match dtype {
            None => bytes.push((128.0 + 8.0 * value) as u8),
            Some(Dtype::F16) => bytes.extend(half::f16::from_f64(value * 0.02).to_le_bytes()),
            Some(Dtype::Bf16) => bytes.extend(half::bf16::from_f64(value * 0.02).to_le_bytes()),
            Some(Dtype::F32) => bytes.extend(((value * 0.02) as f32).to_le_bytes()),
            Some(Dtype::F64) => bytes.extend((value * 0.02).to_le_bytes()),
            Some(dtype) => bytes.extend(&((value * 300.0) as i64).to_le_bytes()[..dtype.size()]),
        }
    }
    bytes
}

/// Calls `each` with what decoding costs of bytes and of each type.
pub fn count_frames(mut each: impl FnMut(FrameCount)) {
    let runtime = Software::new(DeviceModel::sm_90());
    let last = Arc::clone(&runtime.last);
    let gpu = Gpu::new(runtime);
    let types = [Dtype::Bf16, Dtype::F16, Dtype::F32, Dtype::F64, Dtype::I32];
    for dtype in [None].into_iter().chain(types.map(Some)) {
        let content = content(dtype);
        let options = WriteOptions { chunk_size: Some(CHUNK), ..WriteOptions::default() };
        let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
        let size = dtype.map_or(1, Dtype::size);
        match dtype {
            Some(dtype) => {
                let shape = [(content.len() / size) as u64];
                writer.write_tensor("t", dtype.name(), &shape, &content).unwrap();
            }
            None => writer.write_all(&content).unwrap(),
        }
        let (frame, _) = writer.finish().unwrap();
        let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        let decoder = FrameDecoder::new(&gpu);
        let all = 0..content.len() as u64;
        let decoded = decoder.read_range(&mut archive, all, StreamHandle::OWN).unwrap();
        assert!(decoded.to_vec().unwrap() == content);
        let (kernel, report) = last.lock().unwrap().take().expect("a launch");
        let cost = report.per_symbol((content.len() / size) as u64);
        each(FrameCount {
            symbols: dtype.map_or("u8".into(), |dtype| dtype.name().to_lowercase()),
            ratio: frame.len() as f64 / content.len() as f64,
            kernel,
            instructions: 32.0 * cost.warp_instructions,
            sectors: cost.global_sectors,
            wavefronts: cost.shared_wavefronts,
        });
    }
}
