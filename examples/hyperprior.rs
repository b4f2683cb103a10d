//! The shape of a learned image compressor: latents coded with the means and scales that a
//! hyperprior gives each of them.
//!
//! ```text
//! cargo run --release --example hyperprior
//! ```
//!
//! There are no trained weights here, and the program says so: latents are drawn, with a fixed
//! seed, from Gaussians whose scales vary smoothly over each channel, as a hyper-synthesis
//! network's output does. The rest is what a compressor does with its network's numbers:
//!
//! 1. The hyper-latents z (log-scales at a quarter of the resolution) go through an
//!    [`EntropyBottleneck`], a table a channel.
//! 2. The decoder reads z and derives every latent's mean and scale from it. These floats come from
//!    one function on both sides.
//! 3. The latents y go through a [`GaussianConditional`] (the nearest of 64 scales), and, for
//!    comparison, through a [`ModelCoder`] with each latent's own scale and no table at all.

use std::error::Error;

use ndarray::Array2;
use parans::Family;
use parans::learned::{EntropyBottleneck, GaussianConditional};
use parans::model::{Distributions, Kind, ModelCoder};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

type Any<T> = Result<T, Box<dyn Error>>;

const CHANNELS: usize = 24;
/// Latents a side in each channel; hyper-latents a side.
const SIDE: usize = 32;
const HYPER: usize = SIDE / 4;

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// What an encoder network would give: log2-scales on the coarse grid, before rounding.
fn analyse(random: &mut Random) -> Array2<f32> {
    Array2::from_shape_fn((1, CHANNELS * HYPER * HYPER), |(_, at)| {
        let channel = (at / (HYPER * HYPER)) as f64;
        (2.0 * (4.0 - 0.35 * channel) + 1.5 * random.normal()) as f32
    })
}

/// The hyper-synthesis: each latent's mean and scale from the decoded hyper-latents, by
/// interpolation.
fn synthesise(z: &Array2<f32>) -> (Array2<f32>, Array2<f32>) {
    let at = |channel: usize, y: usize, x: usize| {
        z[(0, channel * HYPER * HYPER + y.min(HYPER - 1) * HYPER + x.min(HYPER - 1))]
    };
    let scales = Array2::from_shape_fn((CHANNELS, SIDE * SIDE), |(channel, at_latent)| {
        let (y, x) = (at_latent / SIDE, at_latent % SIDE);
        let (v, u) = ((y % 4) as f32 / 4.0, (x % 4) as f32 / 4.0);
        let (y, x) = (y / 4, x / 4);
        let top = at(channel, y, x) * (1.0 - u) + at(channel, y, x + 1) * u;
        let bottom = at(channel, y + 1, x) * (1.0 - u) + at(channel, y + 1, x + 1) * u;
        // Half a hyper-latent is a doubling; CompressAI's least scale is 0.11.
        (0.5 * (top * (1.0 - v) + bottom * v)).exp2().max(0.11)
    });
    let means = scales.mapv(|scale| (scale * 7.0).sin());
    (means, scales)
}

/// What a run measured.
#[derive(Debug)]
pub struct Sizes {
    /// How many latents.
    pub latents: usize,
    /// Bytes of the hyper-latents.
    pub hyper: usize,
    /// Bytes of the latents by tables.
    pub tables: usize,
    /// Bytes of the latents by models.
    pub models: usize,
    /// Information content of the latents under their exact Gaussians, in bits.
    pub information: f64,
}

/// Compresses and decompresses; every decoded latent is compared.
pub fn run(seed: u64) -> Any<Sizes> {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));

    // The hyper-latents: a logistic a channel stands for the learned density.
    let z = analyse(&mut random);
    let centre = |channel: usize| 2.0 * (4.0 - 0.35 * channel as f64);
    let quantiles: Vec<[f32; 3]> =
        (0..CHANNELS).map(|c| [-14.0, 0.0, 14.0].map(|d| (centre(c) + d) as f32)).collect();
    let bottleneck = EntropyBottleneck::from_cdf(&quantiles, 16, |channel, x| {
        1.0 / (1.0 + (-(x - centre(channel)) / 0.85).exp())
    })?;
    let hyper_coder = bottleneck.coder(Family::Rans64, 1)?;
    let hyper = bottleneck.compress(&hyper_coder, z.view())?;

    // Both sides go on from the decoded ones.
    let z = bottleneck.decompress(&hyper_coder, &hyper, z.dim())?;
    let (means, scales) = synthesise(&z);
    let mut information = 0.0;
    let mut y = Array2::zeros(means.dim());
    for ((y, &mean), &scale) in y.iter_mut().zip(&means).zip(&scales) {
        let symbol = (f64::from(scale) * random.normal()).round();
        *y = symbol as f32 + mean;
        let tail = |d: f64| libm::erfc(d / f64::from(scale) / std::f64::consts::SQRT_2) / 2.0;
        information -= (tail(symbol.abs() - 0.5) - tail(symbol.abs() + 0.5)).log2();
    }

    // Tables of 64 scales.
    let conditional = GaussianConditional::compressai()?;
    let coder = conditional.coder(Family::Rans64, 4)?;
    let tables = conditional.compress(&coder, y.view(), means.view(), scales.view())?;
    let (means_again, scales_again) = synthesise(&z);
    let back = conditional.decompress(&coder, &tables, means_again.view(), scales_again.view())?;
    if back.iter().zip(&y).any(|(back, y)| (back - y).abs() > 1e-3) {
        return Err("tables: the latents did not come back".into());
    }

    // Each latent's own scale. The symbols are the same: distances from the mean.
    let symbols = parans::learned::quantise(y.view(), means.view())?;
    let own =
        Distributions::from_f32(Kind::Gaussian, Array2::zeros(y.dim()).view(), scales.view())?;
    let coder = ModelCoder::new(Family::Rans64, 4)?;
    let models = coder.encode(&own, &symbols)?;
    if coder.decode::<i32>(&own, &models)? != symbols {
        return Err("models: the latents did not come back".into());
    }
    let (hyper, tables, models) = (hyper.len(), tables.len(), models.len());
    Ok(Sizes { latents: y.len(), hyper, tables, models, information })
}

fn main() -> Any<()> {
    let Sizes { latents, hyper, tables, models, information } = run(1)?;
    let bits = |bytes: usize| 8.0 * bytes as f64 / latents as f64;
    println!(
        "No trained weights: {latents} latents drawn with a fixed seed, {CHANNELS} channels of {SIDE} x {SIDE}"
    );
    println!(
        "hyper-latents (a table a channel):    {hyper:>7} bytes, {:.4} bits a latent",
        bits(hyper)
    );
    println!(
        "latents, 64 tables:                   {tables:>7} bytes, {:.4} bits a latent",
        bits(tables)
    );
    println!(
        "latents, a Gaussian each, no table:   {models:>7} bytes, {:.4} bits a latent",
        bits(models)
    );
    println!(
        "information of the latents:           {:>7.0} bytes, {:.4} bits a latent",
        information / 8.0,
        information / latents as f64
    );
    Ok(())
}
