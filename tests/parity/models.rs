//! Models on every back end: what each writes must be what the CPU's one thread writes (which
//! `tests/suite/model_rows.rs` holds to a naive coder), streams pushed on one are popped on the
//! other both ways, and what fails must fail with the same words.

use libtest_mimic::Failed;
use ndarray::{Array2, Array3};
use parans::model::{Distributions, Kind, Mixtures, ModelCoder, Pmfs, Uniforms};
use parans::{Bypass, Error, Family, Precision, Streams, Symbol};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{Backend, Random};

/// Families that code models.
pub(super) const FAMILIES: [Family; 3] = [Family::Rans64, Family::Rans32, Family::Rans32x16];

/// Models of any form.
enum Any {
    Uniforms(Uniforms),
    Distributions(Distributions<'static>),
    Mixtures(Mixtures<'static>),
    Pmfs(Pmfs),
}

/// Forms that [`Batch::random`] makes.
const FORMS: usize = 8;

/// Models and symbols that they code.
struct Batch {
    coder: ModelCoder,
    models: Any,
    symbols: Array2<i32>,
    name: String,
}

/// A number near 0, seldom far from it.
fn normal(random: &mut Random) -> f32 {
    (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0
}

impl Batch {
    fn random(
        random: &mut Random,
        family: Family,
        lanes: usize,
        form: usize,
        bypass: bool,
        (rows, columns): (usize, usize),
    ) -> Result<Self, Error> {
        let shape = (rows, columns);
        let precision = Precision::new(random.random_range(10..=family.max_precision().min(24)))?;
        let digits = if bypass { Bypass::digits(random.random_range(1..=8)) } else { Bypass::Off };
        let coder =
            ModelCoder::new(family, lanes)?.with_precision(precision)?.with_bypass(digits)?;
        // With no digits symbols stay near their means, which windows of every kind hold.
        let reach = if bypass { 1.0 } else { 0.4 };
        let far = |random: &mut Random, symbol: i32| {
            let reach = *[3, 1000, 1 << 29].choose(random).expect("some");
            if bypass && random.random_bool(0.1) {
                random.random_range(-reach..reach)
            } else {
                symbol
            }
        };
        let kind = Kind::ALL[form % 3];
        let alphabet = random.random_range(2..=300usize.min(1 << (precision.bits() - 1)));
        let (models, symbols) = match form {
            0..3 => {
                let means = Array2::from_shape_simple_fn(shape, || 60.0 * normal(random));
                let scales =
                    Array2::from_shape_simple_fn(shape, || normal(random).clamp(-6.0, 4.0).exp2());
                let symbols = Array2::from_shape_fn(shape, |at| {
                    let near = (means[at] + reach * scales[at] * normal(random)).round() as i32;
                    far(random, near)
                });
                (
                    Any::Distributions(Distributions::from_f32(kind, means.view(), scales.view())?),
                    symbols,
                )
            }
            3 | 4 => {
                let shape = (rows, columns, random.random_range(1..=8));
                let means = Array3::from_shape_simple_fn(shape, || 9.0 * normal(random));
                let scales = Array3::from_shape_simple_fn(shape, || 1.0 + random.random::<f32>());
                let weights = Array3::from_shape_simple_fn(shape, || 0.1 + random.random::<f32>());
                let symbols = Array2::from_shape_fn((rows, columns), |(row, column)| {
                    let part = random.random_range(0..shape.2);
                    far(random, means[(row, column, part)].round() as i32)
                });
                let models = Mixtures::from_f32(kind, means.view(), scales.view(), weights.view())?;
                (Any::Mixtures(models), symbols)
            }
            5 => {
                let lowest = random.random_range(-500..500);
                let inside = |_| lowest + random.random_range(0..alphabet as i32);
                let symbols = Array2::from_shape_fn(shape, inside);
                (Any::Uniforms(Uniforms::new(lowest, alphabet as u32, rows, columns)?), symbols)
            }
            _ => {
                let shape = (rows, columns, alphabet);
                let models = if form == 6 {
                    let pmf =
                        Array3::from_shape_simple_fn(shape, || random.random::<f32>().powi(4));
                    Pmfs::from_pmf(pmf.view(), precision, bypass)?
                } else {
                    let counts = Array3::from_shape_simple_fn(shape, || random.random_range(0..9));
                    Pmfs::from_counts(counts.mapv(|count| count + 1).view(), precision, bypass)?
                };
                let offset = random.random_range(-90..90);
                let inside = |_| {
                    let symbol = random.random_range(0..alphabet as i32);
                    far(random, symbol) + offset
                };
                let symbols = Array2::from_shape_fn((rows, columns), inside);
                (Any::Pmfs(models.with_offset(offset)?), symbols)
            }
        };
        let name =
            format!("{family} x{lanes} {precision} {digits:?} form {form} {rows} x {columns}");
        Ok(Self { coder, models, symbols, name })
    }

    fn coder(&self, backend: &Backend) -> ModelCoder {
        backend.gpu.as_ref().map_or_else(|| self.coder.clone(), |gpu| self.coder.with_gpu(gpu))
    }

    fn push(
        &self,
        backend: &Backend,
        streams: &mut Streams,
        symbols: &Array2<impl Symbol>,
    ) -> Result<(), Error> {
        let coder = self.coder(backend);
        backend.run(|| match &self.models {
            Any::Uniforms(models) => coder.push(streams, models, symbols),
            Any::Distributions(models) => coder.push(streams, models, symbols),
            Any::Mixtures(models) => coder.push(streams, models, symbols),
            Any::Pmfs(models) => coder.push(streams, models, symbols),
        })
    }

    fn pop<S: Symbol>(&self, backend: &Backend, streams: &mut Streams) -> Result<Array2<S>, Error> {
        let coder = self.coder(backend);
        backend.run(|| match &self.models {
            Any::Uniforms(models) => coder.pop(streams, models),
            Any::Distributions(models) => coder.pop(streams, models),
            Any::Mixtures(models) => coder.pop(streams, models),
            Any::Pmfs(models) => coder.pop(streams, models),
        })
    }
}

/// Pushes and pops on a back end and on the reference, each popping what the other pushed.
fn check(batch: &Batch, backend: &Backend, reference: &Backend) -> Result<(), Error> {
    let symbols = &batch.symbols;
    let mut pushed = batch.coder.streams(symbols.nrows()).unwrap();
    batch.push(backend, &mut pushed, symbols)?;
    let mut expected = batch.coder.streams(symbols.nrows()).unwrap();
    batch.push(reference, &mut expected, symbols)?;
    assert!(pushed == expected, "pushed words: {}", batch.name);
    // Onto streams in use, the other way round.
    batch.push(reference, &mut pushed, symbols)?;
    batch.push(backend, &mut expected, symbols)?;
    assert!(pushed == expected, "words pushed onto others: {}", batch.name);
    for (one, other, mut streams) in [(backend, reference, pushed), (reference, backend, expected)]
    {
        assert_eq!(&batch.pop::<i32>(one, &mut streams)?, symbols, "{}", batch.name);
        assert_eq!(&batch.pop::<i32>(other, &mut streams)?, symbols, "{}", batch.name);
        streams.expect_initial()?;
    }
    Ok(())
}

/// Every form of models, with and without bypass, on random shapes.
pub(super) fn check_family(
    backend: &Backend,
    reference: &Backend,
    family: Family,
    lanes: usize,
) -> Result<(), Failed> {
    let mut random = Random::seed_from_u64(family.max_precision() as u64 * 100 + lanes as u64);
    for form in 0..FORMS {
        for bypass in [false, true] {
            for _ in 0..backend.rounds.div_ceil(8) {
                let rows = *[0usize, 1, 2, 5, 17].choose(&mut random).expect("some");
                let free = random.random_range(0..70);
                let columns = [0, 1, lanes - 1, lanes, lanes + 1, free, free, free];
                let columns = *columns.choose(&mut random).expect("some");
                let shape = (rows, columns);
                Batch::random(&mut random, family, lanes, form, bypass, shape)
                    .and_then(|batch| check(&batch, backend, reference))
                    .map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}

/// Symbols that cannot be coded, rows that are damaged, and symbols too wide for their type: the
/// same words from both, and streams as they were.
pub(super) fn check_errors(
    backend: &Backend,
    reference: &Backend,
    family: Family,
    lanes: usize,
) -> Result<(), Failed> {
    let mut random = Random::seed_from_u64(300 + lanes as u64);
    for form in 0..FORMS {
        for bypass in [false, true] {
            let columns = 2 * lanes + lanes / 2 + 1;
            let batch = Batch::random(&mut random, family, lanes, form, bypass, (4, columns))
                .map_err(|error| error.to_string())?;
            let mut whole = batch.coder.streams(4).unwrap();
            batch.push(reference, &mut whole, &batch.symbols).map_err(|error| error.to_string())?;
            let mut bad = batch.symbols.clone();
            for _ in 0..2 {
                let at = (random.random_range(1..4), random.random_range(0..columns));
                bad[at] = *[i32::MIN, i32::MAX, 1_000_000].choose(&mut random).expect("some");
            }
            let header = lanes * family.state_bytes();
            let mut damaged: Vec<Streams> = Vec::new();
            for damage in 0..4 {
                let mut strings = whole.to_byte_strings();
                let row = &mut strings[1 + damage % 3];
                let len = row.len();
                match damage {
                    0 => row.truncate(header),
                    1 => row.truncate(header + (len - header) / 2 / 4 * 4),
                    2 => row[..family.state_bytes()].fill(0xff),
                    _ => row.iter_mut().skip(header).step_by(5).for_each(|byte| *byte ^= 0x55),
                }
                damaged.push(
                    Streams::from_byte_strings(family, lanes, &strings)
                        .map_err(|error| error.to_string())?,
                );
            }
            let seen = [reference, backend].map(|backend| {
                let mut seen = Vec::new();
                let mut streams = batch.coder.streams(4).unwrap();
                let fresh = streams.clone();
                let pushed = batch.push(backend, &mut streams, &bad);
                assert!(pushed.is_ok() || streams == fresh, "a failed push changed streams");
                seen.push(format!("{pushed:?}"));
                for damaged in &damaged {
                    let mut streams = damaged.clone();
                    let popped = batch.pop::<i32>(backend, &mut streams);
                    assert!(popped.is_ok() || &streams == damaged, "a failed pop changed streams");
                    seen.push(format!("{popped:?}"));
                }
                let mut streams = whole.clone();
                seen.push(format!("{:?}", batch.pop::<u8>(backend, &mut streams)));
                seen
            });
            assert_eq!(seen[0], seen[1], "{}: {} and {}", batch.name, reference.name, backend.name);
        }
    }
    Ok(())
}
