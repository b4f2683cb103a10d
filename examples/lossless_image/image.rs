//! Images: read from PNG, PPM and PGM, written as PNG, or made up.

use std::io::Cursor;

use super::Any;

/// Eight-bit samples, `channels` a pixel (1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha), row
/// after row.
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

    /// A made-up picture: hills of smoothed noise under a sky, grain on top. Deterministic; no
    /// photograph.
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
