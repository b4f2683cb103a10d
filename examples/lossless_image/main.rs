//! A lossless image codec on top of parans: prediction, contexts, a distribution for every pixel,
//! and no tables.
//!
//! ```text
//! cargo run --release --example lossless_image -- photo.png    # or .ppm/.pgm
//! ```
//!
//! Without a file, a picture is made up. It writes `photo.pari`, reads it back, compares every
//! pixel, and prints bits per pixel beside those of the PNG.
//! - Colour: green, red - green, blue - green (and alpha), each a plane of its own.
//! - Prediction: six simple ones, blended by how well each did at the pixels around. The blend is a
//!   mean with a fraction, and is coded as such.
//! - Context: how far pixels around were from their means, and for other planes than green how far
//!   green is at this pixel. A context's scale is what it has met so far: nothing is sent.
//! - Order: fronts `x + 2 y = t`. A front's pixels depend on earlier fronts only (left, above,
//!   above right), so that each plane of it is one push of many symbols. The last front is pushed
//!   first, and fronts come back in order.

mod image;

use std::{error::Error, fs, path::Path};

use ndarray::Array2;
use parans::model::{Distributions, Kind, ModelCoder, Scale};
use parans::{Family, Merged, Streams};

pub use image::Image;

type Any<T> = Result<T, Box<dyn Error>>;

const MAGIC: &[u8; 4] = b"PARI";
const LANES: usize = 8;
/// Predictions that are blended.
const BLENDED: usize = 6;
/// Contexts by what lies around, and by what green did here.
const AROUND: usize = 32;
const CONTEXTS: usize = AROUND * 8;
/// A mean's fixed point, and a deviation's.
const MEAN_BITS: u32 = 12;
const DEVIATION_BITS: u32 = 4;

/// Adds (or with -1 subtracts) green to the other colours.
fn add_green(planes: &mut [Vec<i32>], sign: i32) {
    if planes.len() >= 3 {
        let green = planes[1].clone();
        for c in [0, 2] {
            planes[c].iter_mut().zip(&green).for_each(|(v, g)| *v = v.wrapping_add(sign * g));
        }
    }
}

/// The planes of an image: green, the other colours less green, and alpha.
fn to_planes(image: &Image) -> Vec<Vec<i32>> {
    let every = |c| image.samples.iter().skip(c).step_by(image.channels);
    let mut planes: Vec<Vec<i32>> =
        (0..image.channels).map(|c| every(c).map(|&v| i32::from(v)).collect()).collect();
    add_green(&mut planes, -1);
    planes
}

fn from_planes(width: usize, height: usize, mut planes: Vec<Vec<i32>>) -> Any<Image> {
    add_green(&mut planes, 1);
    let pixels = (0..width * height).flat_map(|at| planes.iter().map(move |plane| plane[at]));
    let samples = pixels.map(u8::try_from).collect::<Result<_, _>>()?;
    Ok(Image { width, height, channels: planes.len(), samples })
}

/// A plane on its way, as both sides know it. The last element of each list stands for all that
/// lies outside.
struct Plane {
    width: usize,
    values: Vec<i32>,
    /// How far each prediction was off.
    errors: Vec<[u32; BLENDED]>,
    /// How far the mean was off.
    deviations: Vec<u32>,
    /// Sum and number of each context's deviations.
    met: Vec<(u64, u64)>,
}

/// What is expected of a pixel.
struct Expected {
    at: usize,
    predictions: [i32; BLENDED],
    /// In units of `2^-12`.
    mean: i32,
    context: usize,
    /// In units of `2^-4`.
    deviation: f32,
}

impl Plane {
    fn new(width: usize, height: usize) -> Self {
        let size = width * height + 1;
        Self {
            width,
            values: vec![0; size],
            errors: vec![[0; BLENDED]; size],
            deviations: vec![0; size],
            met: vec![(0, 0); CONTEXTS],
        }
    }

    /// What is expected of the pixel at (x, y), where green deviated so far.
    fn expect(&self, x: usize, y: usize, green: u32) -> Expected {
        let at = y * self.width + x;
        let outside = self.values.len() - 1;
        let above = if y > 0 { at - self.width } else { outside };
        let left = if x > 0 { at - 1 } else { above };
        let above = if y > 0 { above } else { left };
        let or = |there: bool, at: usize, other: usize| if there { at } else { other };
        let above_left = or(x > 0 && y > 0, above.wrapping_sub(1), above);
        let above_right = or(x + 1 < self.width && y > 0, above + 1, above);
        let far_left = or(x > 1, at.wrapping_sub(2), left);
        let far_above = or(y > 1, at.wrapping_sub(2 * self.width), above);
        let near = [left, above, above_left, above_right, far_left, far_above];
        let [w, n, nw, ne, ww, nn] = near.map(|at| self.values[at]);
        let predictions = [w, n, w + n - nw, w + ne - n, 2 * n - nn, (3 * w - ww + ne) / 3];
        let (mut sum, mut weights) = (0i64, 0i64);
        for (k, &prediction) in predictions.iter().enumerate() {
            let errors = near.map(|at| i64::from(self.errors[at][k]));
            let error = 1 + 2 * (errors[0] + errors[1]) + errors[2..].iter().sum::<i64>();
            let weight = (1 << 40) / (error * error * error).min(1 << 34);
            sum += weight * i64::from(prediction);
            weights += weight;
        }
        let mean = ((sum << MEAN_BITS) / weights) as i32;
        let around = near.map(|at| self.deviations[at]);
        let around = 2 * (around[0] + around[1]) + around[2..].iter().sum::<u32>();
        // Half octaves around, octaves of green.
        let wide = around + 2;
        let half_octave = 2 * wide.ilog2() + (wide >> (wide.ilog2() - 1) & 1) - 2;
        let octave = (green + 1).ilog2().min(7);
        let context = (half_octave as usize).min(AROUND - 1) + AROUND * octave as usize;
        let (sum, count) = self.met[context];
        // As if four had been met that were like those around.
        let deviation = (sum as f32 + 0.5 * around as f32 + 1.0) / (count + 4) as f32;
        Expected { at, predictions, mean, context, deviation }
    }

    /// Takes note of the value.
    fn settle(&mut self, expected: &Expected, value: i32) -> u32 {
        let at = expected.at;
        self.values[at] = value;
        self.errors[at] = expected.predictions.map(|prediction| prediction.abs_diff(value));
        let deviation = (value << MEAN_BITS).abs_diff(expected.mean);
        self.deviations[at] = deviation >> (MEAN_BITS - DEVIATION_BITS);
        let met = &mut self.met[expected.context];
        *met = (met.0 + u64::from(self.deviations[at]), met.1 + 1);
        if met.1 == 1 << 9 {
            *met = (met.0 / 2, met.1 / 2);
        }
        self.deviations[at]
    }
}

/// The pixels of front `t`.
fn front(t: usize, width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    let first = (t + 1).saturating_sub(width).div_ceil(2);
    (first..height.min(t / 2 + 1)).map(move |y| (t - 2 * y, y))
}

/// Goes through all fronts, plane by plane, green first; `value` gives the values of a front's
/// pixels from what is expected of them.
fn walk(
    (width, height, channels): (usize, usize, usize),
    mut value: impl FnMut(usize, &[Expected]) -> Any<Vec<i32>>,
) -> Any<Vec<Vec<i32>>> {
    let mut planes: Vec<Plane> = (0..channels).map(|_| Plane::new(width, height)).collect();
    let green = usize::from(channels >= 3);
    let order = std::iter::once(green).chain((0..channels).filter(|&plane| plane != green));
    let order: Vec<usize> = order.collect();
    for t in 0..if height == 0 { 0 } else { width + 2 * height - 2 } {
        let mut deviations: Vec<u32> = front(t, width, height).map(|_| 0).collect();
        for &p in &order {
            let pixels = front(t, width, height).zip(&deviations);
            let expected: Vec<Expected> =
                pixels.map(|((x, y), &green)| planes[p].expect(x, y, green)).collect();
            let values = value(p, &expected)?;
            for ((expected, value), deviation) in expected.iter().zip(values).zip(&mut deviations) {
                *deviation = planes[p].settle(expected, value);
            }
        }
    }
    planes.iter_mut().for_each(|plane| plane.values.truncate(width * height));
    Ok(planes.into_iter().map(|plane| plane.values).collect())
}

/// A plane's front: means and deviations.
fn models(kind: Kind, means: &[i32], deviations: &[f32]) -> Any<Distributions<'static>> {
    // What a distribution's scale is to its mean absolute deviation.
    let ratio = [1.2533, 1.0, 0.7213][kind as usize] / (1 << DEVIATION_BITS) as f32;
    let scale = |deviation: &f32| Scale::from_f32(ratio * deviation).map(Scale::code);
    let scales: Vec<u16> = deviations.iter().map(scale).collect::<Option<_>>().ok_or("no scale")?;
    Ok(Distributions::from_fixed(kind, means.to_vec(), scales, 1)?)
}

/// The image as a file.
pub fn encode(image: &Image) -> Any<Vec<u8>> {
    let Image { width, height, channels, .. } = *image;
    let planes = to_planes(image);
    // Means, deviations and values of each push, in the order of decoding.
    let mut pushes = Vec::new();
    walk((width, height, channels), |p, expected| {
        let values: Vec<i32> = expected.iter().map(|expected| planes[p][expected.at]).collect();
        let means: Vec<i32> = expected.iter().map(|expected| expected.mean).collect();
        let deviations: Vec<f32> = expected.iter().map(|expected| expected.deviation).collect();
        pushes.push((means, deviations, values.clone()));
        Ok(values)
    })?;
    let coder = ModelCoder::new(Family::Rans64, LANES)?;
    let mut best: Option<Vec<u8>> = None;
    for kind in Kind::ALL {
        let mut streams = coder.streams(1)?;
        streams.reserve(image.samples.len() + 4096)?;
        for (means, deviations, values) in pushes.iter().rev() {
            let symbols = Array2::from_shape_vec((1, values.len()), values.clone())?;
            coder.push(&mut streams, &models(kind, means, deviations)?, &symbols)?;
        }
        let mut file = MAGIC.to_vec();
        file.extend(((height as u64) << 32 | width as u64).to_le_bytes());
        file.extend([channels as u8, kind as u8]);
        file.extend(streams.to_merged(Merged::default())?);
        if best.as_ref().is_none_or(|best| file.len() < best.len()) {
            best = Some(file);
        }
    }
    Ok(best.ok_or("no kind of distribution")?)
}

/// The image of a file.
pub fn decode(file: &[u8]) -> Any<Image> {
    let body = file.strip_prefix(MAGIC).ok_or("not such a file")?;
    let (size, body) = body.split_first_chunk::<8>().ok_or("the file ends in its size")?;
    let (&[channels, kind], body) = body.split_first_chunk().ok_or("the file ends in its head")?;
    let (size, channels) = (u64::from_le_bytes(*size), usize::from(channels));
    let (width, height) = (size as u32 as usize, (size >> 32) as usize);
    let kind = *Kind::ALL.get(usize::from(kind)).ok_or("an unknown distribution")?;
    if !(1..=4).contains(&channels) || width == 0 || width.saturating_mul(height) > 1 << 26 {
        return Err("an image of no such size".into());
    }
    let coder = ModelCoder::new(Family::Rans64, LANES)?;
    let mut streams = Streams::from_merged(Family::Rans64, LANES, body, Merged::default())?;
    let planes = walk((width, height, channels), |_, expected| {
        let means: Vec<i32> = expected.iter().map(|expected| expected.mean).collect();
        let deviations: Vec<f32> = expected.iter().map(|expected| expected.deviation).collect();
        let values = coder.pop::<i16>(&mut streams, &models(kind, &means, &deviations)?)?;
        Ok(values.iter().map(|&value| i32::from(value.clamp(-1 << 9, 1 << 9))).collect())
    })?;
    streams.expect_initial()?;
    from_planes(width, height, planes)
}

/// Encodes, decodes and compares; the report.
pub fn report(name: &str, image: &Image, png_bytes: usize) -> Any<String> {
    let file = encode(image)?;
    if &decode(&file)? != image {
        return Err("the image did not come back".into());
    }
    let (bytes, pixels) = (file.len(), (image.width * image.height) as f64);
    let [bits, png_bits] = [bytes, png_bytes].map(|bytes| 8.0 * bytes as f64 / pixels);
    let Image { width, height, channels, .. } = image;
    Ok(format!(
        "{name}, {width} x {height} x {channels}: parans {bytes} bytes, {bits:.3} bits a pixel; PNG {png_bytes} bytes, {png_bits:.3} bits a pixel"
    ))
}

fn main() -> Any<()> {
    let Some(path) = std::env::args_os().nth(1) else {
        let image = Image::made_up(512, 384);
        println!("{}", report("a made-up picture", &image, image.to_png()?.len())?);
        return Ok(());
    };
    let (path, bytes) = (Path::new(&path), fs::read(&path)?);
    let image = Image::parse(&bytes)?;
    let png_bytes = if bytes.starts_with(b"P") { image.to_png()?.len() } else { bytes.len() };
    println!("{}", report(&path.display().to_string(), &image, png_bytes)?);
    fs::write(path.with_extension("pari"), encode(&image)?)?;
    Ok(())
}
