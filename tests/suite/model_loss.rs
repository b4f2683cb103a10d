//! What coding with the integer CDFs costs over the exact distributions, over a grid of means and
//! scales.
//!
//! The exact distribution is computed in `f64` from the *float* parameters, so that the loss
//! measured here contains everything: rounded parameters, interpolated tails, reserved slots, and
//! the escapes' raw digits.

use parans_kernels::model::{Component, Kind, Mean, Mixture, Model, Parametric, Scale};

/// Tail mass above `z >= 0`.
fn tail(kind: Kind, z: f64) -> f64 {
    match kind {
        Kind::Gaussian => libm::erfc(z / std::f64::consts::SQRT_2) / 2.0,
        Kind::Laplace => (-z).exp() / 2.0,
        Kind::Logistic => 1.0 / (1.0 + z.exp()),
    }
}

/// Probability of the integer `k`, from the smaller tails so that nothing cancels.
fn probability(kind: Kind, k: f64, mean: f64, scale: f64) -> f64 {
    let (low, high) = ((k - 0.5 - mean) / scale, (k + 0.5 - mean) / scale);
    if low >= 0.0 {
        tail(kind, low) - tail(kind, high)
    } else if high <= 0.0 {
        tail(kind, -high) - tail(kind, -low)
    } else {
        1.0 - tail(kind, -low) - tail(kind, high)
    }
}

/// Bits of an escape's distance in 4-bit digits, as table bypass codes it: the digits and their
/// number.
fn escape_bits(distance: u32) -> f64 {
    let digits = (32 - distance.leading_zeros()).div_ceil(4);
    f64::from(4 * digits + 4)
}

/// Entropy and expected code length, in bits per symbol.
fn measure(
    model: &impl Model,
    precision: u32,
    reach: impl IntoIterator<Item = i32>,
    p: impl Fn(f64) -> f64,
) -> (f64, f64) {
    let (mut entropy, mut length) = (0.0, 0.0);
    for symbol in reach {
        let p = p(f64::from(symbol));
        if p <= 0.0 {
            continue;
        }
        let located = model.locate(symbol).unwrap();
        let bits = f64::from(precision) - f64::from(located.interval.freq).log2();
        entropy -= p * p.log2();
        length += p * (bits + located.escape.map_or(0.0, escape_bits));
    }
    (entropy, length)
}

/// Loss of one kind at one precision: the worst relative loss where the entropy is at least 0.1
/// bit, and the worst loss in bits per symbol everywhere, over scales `2^from ..= 2^to` in half
/// octaves and nine means each.
fn worst(kind: Kind, precision: u32, from: i32, to: i32) -> (f64, f64) {
    let (mut relative, mut absolute) = (0.0f64, 0.0f64);
    for half_octave in 2 * from..=2 * to {
        // Off the grid of codes on purpose.
        let scale = (f64::from(half_octave) / 2.0).exp2() * 1.000_9;
        for mean in [0.0f64, 0.1, 0.25, 0.449_9, 0.5, -0.731_3, 17.123_4, -1000.017, 4321.6] {
            let model = Parametric::new(
                kind,
                Mean::from_f32(mean as f32).unwrap(),
                Scale::from_f32(scale as f32).unwrap(),
                precision,
            );
            let reach = (scale * if kind == Kind::Gaussian { 9.0 } else { 40.0 }).ceil() as i32 + 2;
            let centre = mean.round() as i32;
            let (entropy, length) =
                measure(&model, precision, centre - reach..=centre + reach, |k| {
                    probability(kind, k, mean, scale)
                });
            let loss = length - entropy;
            absolute = absolute.max(loss);
            if entropy >= 0.1 {
                relative = relative.max(loss / entropy);
            }
        }
    }
    (relative, absolute)
}

#[test]
fn loss_against_the_exact_distribution() {
    // (precision, log2 of the smallest and the largest scale, bounds: share of the entropy, bits a
    // symbol)
    let grid = [
        (24, -6, 12, 0.001, 0.003),
        (23, -6, 11, 0.001, 0.003),
        (16, -6, 6, 0.0006, 0.006),
        (15, -6, 5, 0.001, 0.006),
        (12, -6, 2, 0.008, 0.006),
    ];
    let mut lines = vec!["kind       p  log2 scale   loss/entropy   bits/symbol".to_string()];
    let mut failed = false;
    for (precision, from, to, relative_bound, absolute_bound) in grid {
        for kind in Kind::ALL {
            let (relative, absolute) = worst(kind, precision, from, to);
            failed |= relative > relative_bound || absolute > absolute_bound;
            lines.push(format!(
                "{kind:<9?} {precision:>2}  {from:>3} ..= {to:<2}  {:>10.4} %   {absolute:>11.6}",
                100.0 * relative
            ));
        }
    }
    println!("{}", lines.join("\n"));
    assert!(!failed, "{}", lines.join("\n"));
}

#[test]
fn loss_of_mixtures() {
    for kind in Kind::ALL {
        let parts = [(0.0, 1.5, 0.5), (-7.3, 0.4, 0.25), (20.2, 9.0, 0.25)];
        let components: Vec<_> = parts
            .iter()
            .map(|&(mean, scale, weight): &(f64, f64, f64)| Component {
                mean: Mean::from_f32(mean as f32).unwrap(),
                scale: Scale::from_f32(scale as f32).unwrap(),
                weight: (weight * 65_536.0) as u32,
            })
            .collect();
        let model = Mixture::new(kind, &components, 24).unwrap();
        let (entropy, length) = measure(&model, 24, -500..=500, |k| {
            parts.iter().map(|&(mean, scale, w)| w * probability(kind, k, mean, scale)).sum()
        });
        let loss = length / entropy - 1.0;
        println!(
            "{kind:?} mixture: entropy {entropy:.4}, length {length:.4}, loss {:.4} %",
            100.0 * loss
        );
        assert!(loss < 0.001);
    }
}
