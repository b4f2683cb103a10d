//! A lossless image codec on top of parans: prediction, contexts, a distribution for every pixel, and no tables.
//!
//! ```text
//! cargo run --release --example lossless_image -- photo.png      # or .ppm/.pgm; without a file, a picture is made up
//! ```
//!
//! It writes `photo.pari`, reads it back, compares every pixel, and prints bits per pixel beside those of the PNG.
//! - Colour: green, red - green, blue - green (and alpha), each a plane of its own.
//! - Prediction: the median of left, above and left + above - above-left (LOCO-I's), so the residual is what is coded.
//! - Context: how large the residuals were in the row above. Sixteen contexts a plane, each with one scale, which the file's head holds as
//!   a 16-bit code. A residual is coded as a zero-mean logistic (or Laplace or Gaussian, whichever is smallest) of its context's scale.
//! - Streams: one a plane. An image row is one push, last row first, so that pop gives rows in order, contexts known from the row above.

use std::{error::Error, fs, io::Cursor, path::Path};

use ndarray::Array2;
use parans::model::{Distributions, Kind, ModelCoder, Scale};
use parans::{Family, Merged, Streams};

type Any<T> = Result<T, Box<dyn Error>>;

const MAGIC: &[u8; 4] = b"PARI";
const CONTEXTS: usize = 16;
const LANES: usize = 4;

/// Eight-bit samples, `channels` a pixel (1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha), row after row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples a pixel.
    pub channels: usize,
    /// All samples.
    pub samples: Vec<u8>,
}

impl Image {
    /// Reads a PNG, PPM or PGM of eight bits a sample.
    pub fn parse(bytes: &[u8]) -> Any<Self> {
        if bytes.starts_with(b"P5") || bytes.starts_with(b"P6") {
            return Self::parse_pnm(bytes);
        }
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info()?;
        let mut samples = vec![0; reader.output_buffer_size().ok_or("too large")?];
        let info = reader.next_frame(&mut samples)?;
        if info.bit_depth != png::BitDepth::Eight {
            return Err("only eight bits a sample".into());
        }
        samples.truncate(info.buffer_size());
        let (width, height) = (info.width as usize, info.height as usize);
        Ok(Self { width, height, channels: info.color_type.samples(), samples })
    }

    /// The header is three numbers between white space; comments are not understood.
    fn parse_pnm(bytes: &[u8]) -> Any<Self> {
        let channels = if bytes[1] == b'6' { 3 } else { 1 };
        let mut fields = bytes.splitn(5, u8::is_ascii_whitespace).skip(1);
        let mut number = || -> Any<usize> {
            Ok(std::str::from_utf8(fields.next().ok_or("the header ends early")?)?.parse()?)
        };
        let (width, height, max) = (number()?, number()?, number()?);
        let size = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
        let samples = fields.next().zip(size).and_then(|(rest, size)| rest.get(..size));
        let samples = samples.ok_or("too few samples")?.to_vec();
        let image = Self { width, height, channels, samples };
        (max == 255).then_some(image).ok_or("only 255 levels".into())
    }

    /// The image as a PNG, at the encoder's best.
    pub fn to_png(&self) -> Any<Vec<u8>> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width as u32, self.height as u32);
        encoder.set_color(match self.channels {
            1 => png::ColorType::Grayscale,
            2 => png::ColorType::GrayscaleAlpha,
            3 => png::ColorType::Rgb,
            _ => png::ColorType::Rgba,
        });
        encoder.set_compression(png::Compression::High);
        encoder.write_header()?.write_image_data(&self.samples)?;
        Ok(out)
    }

    /// A made-up picture: hills of smoothed noise under a sky, grain on top. Deterministic; no photograph.
    pub fn made_up(width: usize, height: usize) -> Self {
        let hash = |x: i64, y: i64, seed: i64| {
            let mut h = (x * 0x1f1f_1f1f) ^ (y * 0x2545_f491) ^ (seed * 0x9e37_79b9);
            h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
            ((h ^ (h >> 12)) & 1023) as f64 / 1023.0
        };
        let smooth =
            |t: f64| (t.floor() as i64, (t - t.floor()).powi(2) * (3.0 - 2.0 * (t - t.floor())));
        let noise = |x: f64, y: f64, seed| {
            let ((i, u), (j, v)) = (smooth(x), smooth(y));
            let row = |j| hash(i, j, seed) * (1.0 - u) + hash(i + 1, j, seed) * u;
            row(j) * (1.0 - v) + row(j + 1) * v
        };
        let mut samples = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let (fx, fy) = (x as f64 / 48.0, y as f64 / 48.0);
                let rough: f64 = (0..5)
                    .map(|o| {
                        noise(fx * f64::from(1 << o), fy * f64::from(1 << o), o) / f64::from(1 << o)
                    })
                    .sum();
                let ground = fy * 48.0 / height as f64 > 0.35 + 0.25 * noise(fx * 0.7, 0.0, 9);
                let base = if ground { [90.0, 110.0, 50.0] } else { [140.0, 170.0, 215.0] };
                let strength = if ground { 70.0 } else { 18.0 };
                let grain =
                    5.0 * (hash(x as i64, y as i64, 77) + hash(x as i64, y as i64, 78) - 1.0);
                samples.extend(base.map(|b| (b + strength * (rough - 1.0) + grain) as u8));
            }
        }
        Self { width, height, channels: 3, samples }
    }
}

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

/// What pixel (x, y) is expected to be, from pixels before it.
fn predict(plane: &[i32], width: usize, x: usize, y: usize) -> i32 {
    let at = y * width + x;
    match (x, y) {
        (0, 0) => 0,
        (_, 0) => plane[at - 1],
        (0, _) => plane[at - width],
        _ => {
            let (left, above) = (plane[at - 1], plane[at - width]);
            let gradient = left.wrapping_add(above).wrapping_sub(plane[at - width - 1]);
            gradient.clamp(left.min(above), left.max(above))
        }
    }
}

/// The context of each pixel of a row, from the residuals of the row above: about two for each doubling of their size.
fn contexts(above: &[i32]) -> Vec<usize> {
    let size = |x: usize| above[x.min(above.len() - 1)].unsigned_abs().min(1 << 20);
    (0..above.len())
        .map(|x| {
            let near = 2 * size(x) + size(x.saturating_sub(1)) + size(x + 1);
            let wide = near * 2 + size(x.saturating_sub(2)) + size(x + 2) + 1;
            let log2 = wide.ilog2();
            let half = log2 > 0 && (wide >> (log2 - 1)) & 1 == 1;
            ((2 * log2 + u32::from(half)) as usize).min(CONTEXTS - 1)
        })
        .collect()
}

/// The models of one image row: residuals have mean 0, and their context's scale.
fn models(kind: Kind, scales: &[u16], above: &[Vec<i32>]) -> Any<Distributions<'static>> {
    let codes: Vec<u16> = above
        .iter()
        .enumerate()
        .flat_map(|(p, above)| contexts(above).into_iter().map(move |c| scales[p * CONTEXTS + c]))
        .collect();
    Ok(Distributions::from_fixed(kind, vec![0; codes.len()], codes, above.len())?)
}

/// The image as a file.
pub fn encode(image: &Image) -> Any<Vec<u8>> {
    let (width, height) = (image.width, image.height);
    let planes = to_planes(image);
    // residuals[plane][row]; row 0 is an imaginary one above the image.
    let residuals: Vec<Vec<Vec<i32>>> = planes
        .iter()
        .map(|plane| {
            let row = |y: usize| -> Vec<i32> {
                (0..width).map(|x| plane[y * width + x] - predict(plane, width, x, y)).collect()
            };
            std::iter::once(vec![0; width]).chain((0..height).map(row)).collect()
        })
        .collect();
    // Each context's mean absolute residual.
    let mut sums = vec![(0u64, 1u64); planes.len() * CONTEXTS];
    for (p, rows) in residuals.iter().enumerate() {
        for pair in rows.windows(2) {
            for (c, &value) in contexts(&pair[0]).into_iter().zip(&pair[1]) {
                let sum = &mut sums[p * CONTEXTS + c];
                *sum = (sum.0 + u64::from(value.unsigned_abs()), sum.1 + 1);
            }
        }
    }
    let mut best: Option<Vec<u8>> = None;
    // What a distribution's scale is to its mean absolute deviation.
    for (kind, ratio) in [(Kind::Gaussian, 1.2533), (Kind::Laplace, 1.0), (Kind::Logistic, 0.7213)]
    {
        let scale = |&(sum, count): &(u64, u64)| {
            let scale = (ratio * (sum as f32 / count as f32)).max(0.05);
            Scale::from_f32(scale).map(Scale::code)
        };
        let scales: Vec<u16> = sums.iter().map(scale).collect::<Option<_>>().ok_or("no scale")?;
        let coder = ModelCoder::new(Family::Rans64, LANES)?;
        let mut streams = coder.streams(planes.len());
        for y in (0..height).rev() {
            let above: Vec<_> = residuals.iter().map(|rows| rows[y].clone()).collect();
            let symbols =
                Array2::from_shape_fn((planes.len(), width), |(p, x)| residuals[p][y + 1][x]);
            coder.push(&mut streams, &models(kind, &scales, &above)?, &symbols)?;
        }
        let mut file = MAGIC.to_vec();
        file.extend(((height as u64) << 32 | width as u64).to_le_bytes());
        file.extend([planes.len() as u8, kind as u8]);
        file.extend(scales.iter().flat_map(|code| code.to_le_bytes()));
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
    if !(1..=4).contains(&channels) || width == 0 || width > 1 << 20 || height > 1 << 20 {
        return Err("an image of no such size".into());
    }
    let (scales, body) =
        body.split_at_checked(2 * channels * CONTEXTS).ok_or("the file ends in its scales")?;
    let scales: Vec<u16> = scales.chunks(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
    let coder = ModelCoder::new(Family::Rans64, LANES)?;
    let mut streams = Streams::from_merged(Family::Rans64, LANES, body, Merged::default())?;
    let mut above = vec![vec![0; width]; channels];
    let mut planes = vec![Vec::new(); channels];
    for y in 0..height {
        let symbols = coder.pop::<i32>(&mut streams, &models(kind, &scales, &above)?)?;
        for (p, plane) in planes.iter_mut().enumerate() {
            above[p] = symbols.row(p).to_vec();
            for x in 0..width {
                plane.push(0);
                plane[y * width + x] = predict(plane, width, x, y).wrapping_add(above[p][x]);
            }
        }
    }
    streams.expect_fresh()?;
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
