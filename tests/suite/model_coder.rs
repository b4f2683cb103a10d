//! The public coder of models: round trips over every family and lane count, rows and threads,
//! errors, and damage.

use ndarray::{Array2, Array3, array};
use parans::model::{Distributions, Kind, Mixtures, ModelCoder, Models, Pmfs, Uniforms};
use parans::{Bypass, Coder, Error, Family, Indexes, Precision, RowCause, Streams, Tables};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

const RANS: [Family; 3] = [Family::Rans64, Family::Rans32, Family::Rans32x16];
const LANES: [usize; 5] = [1, 2, 4, 8, 32];

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
    /// In 0..1.
    fn unit(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }
    /// Roughly normal.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// Encodes and decodes with one thread and with several: the same bytes, and the symbols back.
fn round_trip(coder: &ModelCoder, models: &impl Models, symbols: &Array2<i32>) -> usize {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let bytes = pool(1).install(|| coder.encode(models, symbols).unwrap());
    let again = pool(3).install(|| coder.encode(models, symbols).unwrap());
    assert_eq!(bytes, again);
    assert_eq!(&pool(1).install(|| coder.decode::<i32>(models, &bytes).unwrap()), symbols);
    assert_eq!(&pool(3).install(|| coder.decode::<i32>(models, &bytes).unwrap()), symbols);
    bytes.len()
}

#[test]
fn distributions_round_trip() {
    let mut random = Random::new(1);
    for (rows, columns) in [(1, 0), (0, 5), (1, 1), (3, 77), (40, 513)] {
        let means = Array2::from_shape_simple_fn((rows, columns), || 40.0 * random.normal());
        let scales =
            Array2::from_shape_simple_fn((rows, columns), || (3.0 * random.normal()).exp2());
        let mut symbols = Array2::zeros((rows, columns));
        for ((symbol, &mean), &scale) in symbols.iter_mut().zip(&means).zip(&scales) {
            *symbol = match random.below(100) {
                0 => random.below(1 << 20) as i32 - (1 << 19),
                _ => (mean + scale * random.normal()).round() as i32,
            };
        }
        for kind in Kind::ALL {
            let models = Distributions::from_f32(kind, means.view(), scales.view()).unwrap();
            for family in RANS {
                for lanes in LANES {
                    round_trip(&ModelCoder::new(family, lanes).unwrap(), &models, &symbols);
                }
            }
            // The fixed-point parameters alone decide the bytes.
            let fixed =
                Distributions::from_fixed(kind, models.means(), models.scales(), rows).unwrap();
            let coder = ModelCoder::new(Family::Rans64, 4).unwrap();
            if rows > 0 {
                assert_eq!(
                    coder.encode(&fixed, &symbols).unwrap(),
                    coder.encode(&models, &symbols).unwrap()
                );
            }
        }
    }
}

/// Coded length against the information content under the exact distribution, for draws from it.
#[test]
fn gaussians_cost_what_they_should() {
    let mut random = Random::new(7);
    let shape = (16, 4000);
    let means = Array2::from_shape_simple_fn(shape, || 30.0 * random.normal());
    let scales = Array2::from_shape_simple_fn(shape, || 0.3 + 20.0 * random.unit().powi(2));
    let mut symbols = Array2::zeros(shape);
    let mut bits = 0.0;
    for ((symbol, &mean), &scale) in symbols.iter_mut().zip(&means).zip(&scales) {
        let k = (mean + scale * random.normal()).round();
        let tail = |x: f64| libm::erfc(x / f64::from(scale) / std::f64::consts::SQRT_2) / 2.0;
        let d = (f64::from(k) - f64::from(mean)).abs();
        bits -= (tail(d - 0.5) - tail(d + 0.5)).log2();
        *symbol = k as i32;
    }
    for (family, loss) in
        [(Family::Rans64, 1.001), (Family::Rans32, 1.002), (Family::Rans32x16, 1.003)]
    {
        let models = Distributions::from_f32(Kind::Gaussian, means.view(), scales.view()).unwrap();
        let bytes = round_trip(&ModelCoder::new(family, 1).unwrap(), &models, &symbols);
        // A length and a state per row apart.
        let coded = 8.0 * (bytes - 16 * 12) as f64;
        println!("{family}: {:.5} of the information content", coded / bits);
        assert!(coded < loss * bits, "{family}: {coded} {bits}");
    }
}

#[test]
fn mixtures_round_trip() {
    let mut random = Random::new(2);
    for each in [1, 2, 5, 8] {
        let shape = (5, 130, each);
        let means = Array3::from_shape_simple_fn(shape, || 20.0 * random.normal());
        let scales = Array3::from_shape_simple_fn(shape, || 0.1 + 9.0 * random.unit());
        let weights = Array3::from_shape_simple_fn(shape, || random.unit());
        let symbols = Array2::from_shape_simple_fn((5, 130), || (25.0 * random.normal()) as i32);
        for kind in Kind::ALL {
            let models =
                Mixtures::from_f32(kind, means.view(), scales.view(), weights.view()).unwrap();
            for (family, lanes) in
                [(Family::Rans64, 1), (Family::Rans32, 8), (Family::Rans32x16, 32)]
            {
                round_trip(&ModelCoder::new(family, lanes).unwrap(), &models, &symbols);
            }
            let fixed = Mixtures::from_fixed(kind, models.components(), each, 5).unwrap();
            assert_eq!(fixed, models);
        }
    }
}

#[test]
fn uniforms_round_trip_at_their_entropy() {
    let mut random = Random::new(3);
    for (family, size) in [
        (Family::Rans64, 1 << 24),
        (Family::Rans64, 1_000_003),
        (Family::Rans32, 4_000),
        (Family::Rans32x16, 1),
        (Family::Rans32x16, 3),
    ] {
        let symbols = Array2::from_shape_simple_fn((4, 3000), || random.below(size) as i32 - 1000);
        let models = Uniforms::new(-1000, size as u32, 4, 3000).unwrap();
        for lanes in LANES {
            let bytes = round_trip(&ModelCoder::new(family, lanes).unwrap(), &models, &symbols);
            let entropy = 12_000.0 * (size as f64).log2() / 8.0;
            assert!(
                (bytes as f64) < 1.002 * entropy + (4 * (8 * lanes + 8)) as f64,
                "{family} {size}: {bytes}"
            );
        }
    }
}

/// A table per symbol is the same stream as tables with an index per symbol.
#[test]
fn pmfs_write_the_bytes_of_tables() {
    let mut random = Random::new(4);
    let (rows, columns, alphabet) = (6, 83, 11);
    let pmf = Array3::from_shape_simple_fn((rows, columns, alphabet), || random.unit().powi(3));
    for (family, bits) in [(Family::Rans64, 16), (Family::Rans32, 14), (Family::Rans32x16, 12)] {
        let precision = Precision::new(bits).unwrap();
        for sentinel in [false, true] {
            let flat = pmf.to_shape((rows * columns, alphabet)).unwrap();
            let tables = Tables::builder(precision).sentinel(sentinel).pmf(flat.view()).unwrap();
            let indexes = Array2::from_shape_fn((rows, columns), |(r, c)| (r * columns + c) as i32);
            let symbols = Array2::from_shape_simple_fn((rows, columns), || {
                if sentinel && random.below(10) == 0 {
                    random.below(5000) as i32 - 2500
                } else {
                    random.below(alphabet as u64) as i32
                }
            });
            let models = Pmfs::from_pmf(pmf.view(), precision, sentinel).unwrap();
            for lanes in LANES {
                let bypass = if sentinel { Bypass::digits(4) } else { Bypass::Off };
                let coder = Coder::builder(family)
                    .lanes(lanes)
                    .bypass(bypass)
                    .build(tables.clone())
                    .unwrap();
                let models_coder = ModelCoder::new(family, lanes)
                    .unwrap()
                    .with_precision(precision)
                    .unwrap()
                    .with_bypass(bypass)
                    .unwrap();
                assert_eq!(
                    models_coder.encode(&models, &symbols).unwrap(),
                    coder.encode(&symbols, &indexes).unwrap()
                );
                round_trip(&models_coder, &models, &symbols);
            }
        }
    }
    // Counts and finished CDFs, with an offset.
    let precision = Precision::new(4).unwrap();
    let counts = Array3::from_shape_fn((1, 2, 3), |(_, c, s)| [[4u64, 6, 6], [1, 1, 14]][c][s]);
    let cdf = Array3::from_shape_fn((1, 2, 4), |(_, c, s)| [[0, 4, 10, 16], [0, 1, 2, 16]][c][s]);
    let counted = Pmfs::from_counts(counts.view(), precision, false).unwrap();
    let taken = Pmfs::from_cdf(cdf.view(), precision, false).unwrap();
    assert_eq!(counted, taken);
    let coder = ModelCoder::new(Family::Rans32, 1).unwrap().with_precision(precision).unwrap();
    round_trip(&coder, &taken.with_offset(-9).unwrap(), &array![[-9, -7]]);
}

/// Both coders may push onto the same streams in turn.
#[test]
fn models_and_tables_share_streams() {
    let tables = Tables::from_counts(array![[1u64, 2, 3]].view(), Precision::new(12).unwrap());
    let coder = Coder::builder(Family::Rans64).lanes(2).build(tables.unwrap()).unwrap();
    let models_coder = ModelCoder::new(Family::Rans64, 2).unwrap();
    let models = Distributions::from_f32(
        Kind::Laplace,
        array![[0.5f32, 3.0, -2.0]].view(),
        array![[1.0f32, 2.0, 0.3]].view(),
    )
    .unwrap();
    let mut streams = coder.streams(1).unwrap();
    let indexes = Indexes::one(0, 1, 5);
    coder.push(&mut streams, &array![[0, 1, 2, 2, 1]], indexes.clone()).unwrap();
    models_coder.push(&mut streams, &models, &array![[1, 7, -2]]).unwrap();
    assert_eq!(models_coder.pop::<i16>(&mut streams, &models).unwrap(), array![[1i16, 7, -2]]);
    assert_eq!(coder.pop::<u8>(&mut streams, indexes).unwrap(), array![[0u8, 1, 2, 2, 1]]);
    streams.expect_initial().unwrap();
}

#[test]
fn what_cannot_be_coded_is_an_error() {
    let one = |mean: f32, scale: f32| {
        Distributions::from_f32(Kind::Gaussian, array![[mean]].view(), array![[scale]].view())
    };
    for (mean, scale) in [(f32::NAN, 1.0), (0.0, f32::NAN), (0.0, 0.0), (0.0, -1.0)] {
        assert!(matches!(one(mean, scale), Err(Error::InvalidArgument(_))), "{mean} {scale}");
    }
    assert!(one(f32::INFINITY, f32::INFINITY).is_ok());
    let models = one(0.0, 1.0).unwrap();
    let coder = ModelCoder::new(Family::Rans64, 1).unwrap();
    let cause = |result: Result<Vec<u8>, Error>| match result.unwrap_err() {
        Error::Row { row: 0, position: 0, cause } => cause,
        other => panic!("{other}"),
    };
    let far = array![[i32::MAX]];
    let expected = RowCause::BypassDistance { symbol: i32::MAX, table: -1 };
    assert_eq!(cause(coder.encode(&models, &far)), expected);
    let plain = coder.with_bypass(Bypass::Off).unwrap();
    let expected = RowCause::SymbolOutOfRange { symbol: 100, table: -1 };
    assert_eq!(cause(plain.encode(&models, &array![[100]])), expected);
    assert!(matches!(coder.encode(&models, &array![[1, 2]]), Err(Error::Shape { .. })));
    assert!(matches!(ModelCoder::new(Family::Tans32, 1), Err(Error::Unsupported(_))));
    assert!(matches!(ModelCoder::new(Family::Rans64, 3), Err(Error::Unsupported(_))));
    assert!(
        coder
            .with_precision(Precision::new(4).unwrap())
            .unwrap()
            .encode(&models, &array![[0]])
            .is_err()
    );
    let uniform = Uniforms::new(0, 1 << 25, 1, 1).unwrap();
    assert!(matches!(coder.encode(&uniform, &array![[0]]), Err(Error::InvalidArgument(_))));
    assert!(Uniforms::new(0, 0, 1, 1).is_err());
    let means: &[i32] = &[0, 0];
    assert!(Distributions::from_fixed(Kind::Gaussian, means, &[0u16, 60_000][..], 1).is_err());
    assert!(Distributions::from_fixed(Kind::Gaussian, means, &[0u16][..], 1).is_err());
    assert!(Distributions::from_fixed(Kind::Gaussian, means, &[0u16, 0][..], 3).is_err());
    let cdf = Array3::from_shape_vec((1, 1, 3), vec![0, 9, 9]).unwrap();
    assert!(Pmfs::from_cdf(cdf.view(), Precision::new(4).unwrap(), false).is_err());
    // Escapes everywhere: rows get all the capacity they need.
    let many = Distributions::from_f32(
        Kind::Gaussian,
        Array2::zeros((1, 2000)).view(),
        Array2::from_elem((1, 2000), 0.1f32).view(),
    );
    let symbols = Array2::from_shape_fn((1, 2000), |(_, c)| c as i32 * 200_000 - 200_000_000);
    for bits in [1, 4, 8] {
        let coder = coder.with_bypass(Bypass::digits(bits)).unwrap();
        round_trip(&coder, many.as_ref().unwrap(), &symbols);
    }
}

#[test]
fn damaged_rows_are_answered() {
    let mut random = Random::new(9);
    let shape = (3, 200);
    let means = Array2::from_shape_simple_fn(shape, || 40.0 * random.normal());
    let scales = Array2::from_shape_simple_fn(shape, || (2.0 * random.normal()).exp2());
    let models = Distributions::from_f32(Kind::Logistic, means.view(), scales.view()).unwrap();
    let symbols = means.mapv(|mean| mean as i32);
    for (family, lanes) in [(Family::Rans64, 1), (Family::Rans32, 4), (Family::Rans32x16, 32)] {
        let coder = ModelCoder::new(family, lanes).unwrap();
        let mut streams = coder.streams(3).unwrap();
        coder.push(&mut streams, &models, &symbols).unwrap();
        let whole = streams.to_byte_strings();
        for _ in 0..400 {
            let mut strings = whole.clone();
            let (row, at) = (random.below(3) as usize, random.0.next_u64() as usize);
            let at = at % strings[row].len();
            if random.below(2) == 0 {
                strings[row].truncate(at);
            } else {
                strings[row][at] ^= 1 + random.below(255) as u8;
            }
            let Ok(mut streams) = Streams::from_byte_strings(family, lanes, &strings) else {
                continue;
            };
            let before = streams.clone();
            match coder.pop::<i32>(&mut streams, &models) {
                Ok(back) => assert!(back != symbols || streams.expect_initial().is_err()),
                Err(_) => assert_eq!(streams, before),
            }
        }
    }
}
