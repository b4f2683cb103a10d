//! The model kernels against the scalar codec: every form of models, with rows that are whole,
//! damaged, or have parameters that no host would let through.

use std::fmt::Debug;

use bytemuck::{bytes_of, cast_slice};
use parans_emulator::Report;
use parans_kernels::abi::{
    self, CodeShape, FIX_F32, FixParams, Kernel, ModelComponent, ModelForm, ModelKernel,
    ModelParams, ModelShape, RowStatus, models::BAD_SCALE,
};
use parans_kernels::codec::{
    BypassCode, RansFamily, RowError, RowFault, StateInt, WordInt, WordReader, WordWriter, pop_row,
    push_row,
};
use parans_kernels::model::{
    Cdfs, Component, FoundValue, Kind, Located, Mean, Mixture, Mixtures, ModelRow, Parametric,
    Parametrics, RowModel, Scale, Uniform, Window,
};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::kernels::case::{Rows, SymbolType, assert_equal, download_into, narrow, widen};
use crate::kernels::machine::{Machine, outcome};
use crate::kernels::software::Software;

/// A batch.
#[derive(Clone, Copy, Debug)]
pub struct ModelCase {
    pub form: ModelForm,
    pub kind: Kind,
    pub lanes: u32,
    /// Bits of a bypass digit, 0 for none.
    pub bypass: u32,
    pub rows: u32,
    /// Symbols a row.
    pub count: u32,
    pub symbols: SymbolType,
    pub seed: u64,
}

/// The parameters of a batch's models, as a launch has them.
#[derive(Clone, Debug)]
pub struct Models {
    form: ModelForm,
    kind: Kind,
    precision: u32,
    means: Vec<i32>,
    scales: Vec<u16>,
    components: Vec<Component>,
    cdfs: Vec<u32>,
    /// As `ModelShape` has it.
    width: usize,
    lowest: i32,
    sentinel: bool,
}

/// The models of one row.
#[derive(Clone, Copy)]
enum AnyRow<'a> {
    Uniform(Uniform),
    Parametric(Parametrics<'a>),
    Mixture(Mixtures<'a>),
    Cdf(Cdfs<'a>),
}

impl RowModel for AnyRow<'_> {
    fn locate(&self, position: usize, symbol: i32) -> Result<Located, RowError> {
        match self {
            Self::Uniform(row) => RowModel::locate(row, position, symbol),
            Self::Parametric(row) => row.locate(position, symbol),
            Self::Mixture(row) => row.locate(position, symbol),
            Self::Cdf(row) => row.locate(position, symbol),
        }
    }
    fn find(&self, position: usize, slot: u32) -> Result<FoundValue, RowError> {
        match self {
            Self::Uniform(row) => RowModel::find(row, position, slot),
            Self::Parametric(row) => row.find(position, slot),
            Self::Mixture(row) => row.find(position, slot),
            Self::Cdf(row) => row.find(position, slot),
        }
    }
}

impl Models {
    fn row(&self, row: usize, count: usize) -> AnyRow<'_> {
        let at = row * count..(row + 1) * count;
        let each = |width: usize| at.start * width..at.end * width;
        let (kind, precision) = (self.kind, self.precision);
        match self.form {
            ModelForm::Uniform => AnyRow::Uniform(
                Uniform::new(self.lowest, self.width as u32, precision).expect("an alphabet"),
            ),
            ModelForm::Parametric => AnyRow::Parametric(Parametrics {
                kind,
                means: &self.means[at.clone()],
                scales: &self.scales[at],
                precision,
            }),
            ModelForm::Mixture => AnyRow::Mixture(Mixtures {
                kind,
                components: &self.components[each(self.width)],
                each: self.width,
                precision,
            }),
            ModelForm::Cdf => AnyRow::Cdf(Cdfs {
                cdfs: &self.cdfs[each(self.width)],
                width: self.width,
                offset: self.lowest,
                sentinel: self.sentinel,
            }),
        }
    }

    /// What a launch has as its parameters, but for scales that stand apart.
    fn parameters(&self) -> Vec<u8> {
        match self.form {
            ModelForm::Uniform => Vec::new(),
            ModelForm::Parametric => cast_slice(&self.means).to_vec(),
            ModelForm::Mixture => {
                let parts: Vec<ModelComponent> =
                    self.components.iter().map(|&part| part.into()).collect();
                cast_slice(&parts).to_vec()
            }
            ModelForm::Cdf => cast_slice(&self.cdfs).to_vec(),
        }
    }
}

type Outcome = Vec<Result<(), RowFault>>;

/// A random CDF of `symbols` symbols.
fn random_cdf(rng: &mut impl Rng, symbols: usize, precision: u32) -> Vec<u32> {
    let mut freqs = vec![1u32; symbols];
    let mut left = (1 << precision) - symbols as u32;
    for freq in &mut freqs {
        let more = rng.random_range(0..=left);
        *freq += more;
        left -= more;
    }
    freqs[symbols - 1] += left;
    let mut end = 0;
    let ends = freqs.into_iter().map(|freq| {
        end += freq;
        end
    });
    [0].into_iter().chain(ends).collect()
}

impl ModelCase {
    fn narrow_symbols(&self) -> bool {
        self.symbols != SymbolType::I32
    }

    /// Random models and symbols that they code.
    fn data(&self, rng: &mut impl Rng, max_precision: u32) -> (Models, Vec<i32>) {
        let precision = rng.random_range(10..=max_precision.min(24));
        let mut models = Models {
            form: self.form,
            kind: self.kind,
            precision,
            means: Vec::new(),
            scales: Vec::new(),
            components: Vec::new(),
            cdfs: Vec::new(),
            width: match self.form {
                ModelForm::Uniform => rng.random_range(1..=200),
                ModelForm::Parametric => 1,
                ModelForm::Mixture => rng.random_range(1..=8),
                ModelForm::Cdf => rng.random_range(4..60),
            },
            lowest: rng.random_range(0..50),
            sentinel: self.bypass != 0,
        };
        let symbols = (0..self.rows * self.count).map(|_| self.symbol(rng, &mut models)).collect();
        (models, symbols)
    }

    /// One symbol, and its model behind those that are there.
    fn symbol(&self, rng: &mut impl Rng, models: &mut Models) -> i32 {
        let (kind, precision) = (self.kind, models.precision);
        // With narrow symbols the windows lie inside 0..=255.
        let parameters = |rng: &mut _| -> (Mean, Scale) {
            let narrow = self.narrow_symbols();
            let (around, reach, codes) =
                if narrow { (120, 9, 0..=2048) } else { (0, 70_000, 0..=Scale::MAX.code()) };
            let mean = 4096 * around + Rng::random_range(rng, -4096 * reach..4096 * reach);
            (Mean(mean), Scale::from_code(Rng::random_range(rng, codes)).unwrap())
        };
        let window = match self.form {
            ModelForm::Uniform => {
                return models.lowest + rng.random_range(0..models.width as i32);
            }
            ModelForm::Cdf => {
                models.cdfs.extend(random_cdf(rng, models.width - 1, precision));
                let own = models.width as i32 - 1 - i32::from(models.sentinel);
                Window { lowest: models.lowest, count: own as u32 }
            }
            ModelForm::Parametric => {
                let (mean, scale) = parameters(rng);
                models.means.push(mean.0);
                models.scales.push(scale.code());
                Parametric::new(kind, mean, scale, precision).window()
            }
            ModelForm::Mixture => {
                let mut left = 1 << 16;
                let from = models.components.len();
                for k in 0..models.width {
                    let (mean, scale) = parameters(rng);
                    let last = k + 1 == models.width;
                    let weight = if last { left } else { rng.random_range(0..=left) };
                    left -= weight;
                    models.components.push(Component { mean, scale, weight });
                }
                Mixture::new(kind, &models.components[from..], precision).unwrap().window()
            }
        };
        if self.bypass > 0 && !self.narrow_symbols() && rng.random_range(0..10) == 0 {
            let reach = *[3, 300, 1 << 29].choose(rng).unwrap();
            return window.lowest.wrapping_add(rng.random_range(-reach..reach));
        }
        // Mostly near the middle.
        let middle = i64::from(window.lowest) + i64::from(window.count / 2);
        let reach = 1 + i64::from(window.count) / *[1, 8, 64].choose(rng).unwrap();
        let symbol = middle + rng.random_range(-reach..=reach);
        symbol.clamp(window.lowest.into(), window.highest().into()) as i32
    }

    fn initial<F: RansFamily>(&self) -> Rows<F> {
        // Two pushes of at most a whole state and 72 bits of digits a symbol.
        let bits = 2 * self.count as usize * (F::STATE_BITS as usize + 72) + 256;
        let stride = bits / (8 * size_of::<F::Word>());
        Rows::initial(self.rows, self.lanes, stride)
    }

    /// Runs the scalar codec over every row; failed rows stay as they were. `symbols` are pushed or
    /// popped.
    fn scalar<F: RansFamily>(
        &self,
        push: bool,
        models: &Models,
        symbols: &mut [i32],
        rows: &mut Rows<F>,
    ) -> Outcome {
        let (lanes, count) = (self.lanes as usize, self.count as usize);
        let bypass = BypassCode::new(self.bypass);
        (0..self.rows as usize)
            .map(|row| {
                let mut states = rows.states[row * lanes..][..lanes].to_vec();
                let words = &mut rows.words[row * rows.stride..][..rows.stride];
                let length = rows.lengths[row] as usize;
                let symbols = &mut symbols[row * count..][..count];
                let model =
                    ModelRow { model: models.row(row, count), precision: models.precision, bypass };
                let length = if push {
                    let mut words = WordWriter::new(words, length);
                    push_row::<F, _, _>(&model, &mut states[..], &mut words, symbols)?;
                    words.len()
                } else {
                    let mut words = WordReader::new(&words[..length]);
                    pop_row::<F, _, _>(&model, &mut states[..], &mut words, symbols)?;
                    let bytes = narrow(symbols, self.symbols.bytes());
                    let held = widen(&bytes, self.symbols);
                    if let Some(at) = held.iter().zip(&*symbols).position(|(a, b)| a != b) {
                        return Err(RowError::SymbolWidth.at(at));
                    }
                    words.len()
                };
                rows.states[row * lanes..][..lanes].copy_from_slice(&states);
                rows.lengths[row] = length as u32;
                Ok(())
            })
            .collect()
    }

    /// Launches the kernel; `parameters` are the models' unless they are damaged.
    fn device<F: RansFamily>(
        &self,
        machine: &dyn Machine,
        push: bool,
        models: &Models,
        parameters: &[u8],
        symbols: &mut [i32],
        rows: &mut Rows<F>,
    ) -> Outcome {
        let bytes = narrow(symbols, self.symbols.bytes());
        let params = ModelParams {
            states: machine.upload(cast_slice(&rows.states)),
            words: machine.upload(cast_slice(&rows.words)),
            lengths: machine.upload(cast_slice(&rows.lengths)),
            status: machine.alloc(self.rows as usize * size_of::<RowStatus>()),
            symbols: if push { machine.upload(&bytes) } else { machine.alloc(bytes.len()) },
            parameters: machine.upload(parameters),
            scales: machine.upload(cast_slice(&models.scales)),
            shape: ModelShape {
                code: CodeShape {
                    rows: self.rows,
                    symbols: self.count,
                    lanes: self.lanes,
                    word_stride: rows.stride as u32,
                    symbol_stride: self.count,
                    symbol_type: self.symbols.abi(),
                    index_type: abi::index_type::CONSTANT,
                    precision: models.precision,
                    bypass_bits: self.bypass,
                    ..CodeShape::default()
                },
                kind: models.kind as u32,
                width: models.width as u32,
                lowest: models.lowest,
                sentinel: u32::from(models.sentinel),
            },
        };
        let kernel = ModelKernel::find(F::NAME, push, self.form, self.lanes).expect("a kernel");
        machine.launch(kernel.name, Kernel::threads(self.rows, self.lanes), 0, bytes_of(&params));
        download_into(machine, params.states, &mut rows.states);
        download_into(machine, params.words, &mut rows.words);
        download_into(machine, params.lengths, &mut rows.lengths);
        let mut status = vec![RowStatus::default(); self.rows as usize];
        download_into(machine, params.status, &mut status);
        symbols
            .copy_from_slice(&widen(&machine.download(params.symbols, bytes.len()), self.symbols));
        machine.reset();
        status.into_iter().map(outcome).collect()
    }

    /// One push or pop by the scalar codec and by the kernel: the same outcomes and the same rows.
    fn both<F: RansFamily>(
        &self,
        machine: &dyn Machine,
        push: bool,
        models: &Models,
        symbols: &mut [i32],
        rows: &mut Rows<F>,
    ) -> Outcome {
        let mut expected = rows.clone();
        let mut scalar_symbols = symbols.to_vec();
        let outcome = self.scalar(push, models, &mut scalar_symbols, &mut expected);
        let parameters = models.parameters();
        let got = self.device(machine, push, models, &parameters, symbols, rows);
        let what = if push { "push" } else { "pop" };
        let context = || format!("{what} {} {self:?} {}", F::NAME, models.precision);
        assert_eq!(got, outcome, "{}", context());
        rows.assert_same(&expected, context);
        for (row, outcome) in outcome.iter().enumerate() {
            let at = row * self.count as usize..(row + 1) * self.count as usize;
            if outcome.is_ok() {
                assert_equal(&symbols[at.clone()], &scalar_symbols[at], context);
            }
        }
        outcome
    }

    /// Pushes twice and pops twice: on an empty stream and on one in use.
    pub fn check<F: RansFamily>(&self, machine: &dyn Machine) {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let (models, mut symbols) = self.data(rng, F::MAX_PRECISION);
        let good = symbols.clone();
        let mut rows = self.initial::<F>();
        for push in [true, true, false, false] {
            let outcome = self.both(machine, push, &models, &mut symbols, &mut rows);
            assert!(outcome.iter().all(Result::is_ok), "{self:?}: {outcome:?}");
            assert_eq!(symbols, good, "{self:?}");
        }
        assert!(rows.lengths.iter().all(|&l| l == 0));
        assert!(rows.states.iter().all(|&x| x == F::LOWER_BOUND));
    }

    /// What one push and one pop cost.
    pub fn cost<F: RansFamily>(&self, machine: &Software) -> [Report; 2] {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let (models, mut symbols) = self.data(rng, F::MAX_PRECISION);
        let mut rows = self.initial::<F>();
        [true, false].map(|push| {
            let outcome =
                self.device(machine, push, &models, &models.parameters(), &mut symbols, &mut rows);
            assert!(outcome.iter().all(Result::is_ok), "{self:?}: {outcome:?}");
            machine.report()
        })
    }

    /// Damages rows in every way a launch can meet, and compares what becomes of them.
    pub fn check_faults<F: RansFamily>(&self, machine: &dyn Machine) {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let case = &Self { rows: 12, ..*self };
        let (models, good) = case.data(rng, F::MAX_PRECISION);
        let (count, lanes) = (case.count as usize, case.lanes as usize);
        // Pushes: symbols that no digits reach, symbols outside their windows, no capacity, a bad
        // state, a bad length.
        let mut symbols = good.clone();
        for (row, far) in [i32::MIN, i32::MAX, -70_000, 1 << 30, 1_000_000].into_iter().enumerate()
        {
            for _ in 0..3 {
                symbols[row * count + rng.random_range(0..count)] = far;
            }
        }
        // Two kinds of errors in one group: lanes meet them in different orders.
        let group = 5 * count + rng.random_range(0..count / lanes) * lanes;
        for lane in 0..lanes {
            symbols[group + lane] = [1_000_000, i32::MIN][rng.random_range(0..2)];
        }
        let mut rows = case.initial::<F>();
        rows.states[7 * lanes + lanes / 2] = F::State::from_u32(0);
        rows.states[8 * lanes] = F::State::MAX;
        rows.lengths[9] = rows.stride as u32 + 1;
        for stride in [rows.stride, 9, 1] {
            let mut rows = Rows { stride, ..rows.clone() };
            let mut symbols = symbols.clone();
            case.both(machine, true, &models, &mut symbols, &mut rows);
        }

        // Pops: of good streams that were then damaged.
        let mut symbols = good.clone();
        let mut rows = case.initial::<F>();
        let outcome = case.both(machine, true, &models, &mut symbols, &mut rows);
        assert!(outcome.iter().all(Result::is_ok), "{case:?}: {outcome:?}");
        let whole = rows.clone();
        rows.lengths[0] /= 2;
        rows.lengths[1] = 0;
        rows.lengths[2] -= rows.lengths[2].min(1);
        for row in [3, 4, 5] {
            let used = rows.lengths[row] as usize;
            for _ in 0..used.min(4) {
                let at = row * rows.stride + rng.random_range(0..used);
                rows.words[at] = WordInt::from_low(rng.random());
            }
        }
        for row in [6, 7] {
            for lane in 0..lanes {
                let random: u64 = rng.random();
                rows.states[row * lanes + lane] = F::State::from_u64(random) >> 1 | F::LOWER_BOUND;
            }
        }
        rows.states[8 * lanes + lanes / 2] = F::State::from_u32(1);
        let outcome = case.both(machine, false, &models, &mut symbols, &mut rows);
        assert!(outcome[8].is_err(), "{case:?}: {outcome:?}");
        // Symbols that their type does not hold, once the row is whole; and no digits to read.
        let narrow = Self { symbols: SymbolType::U8, ..*case };
        narrow.both(machine, false, &models, &mut symbols, &mut whole.clone());
        let mut cut = whole.clone();
        cut.lengths.iter_mut().step_by(2).for_each(|length| *length /= 2);
        narrow.both(machine, false, &models, &mut symbols, &mut cut);
        let plain = Self { bypass: 0, ..*case };
        plain.both(machine, false, &models, &mut symbols, &mut whole.clone());
        case.check_bad_parameters(machine, &models, &good, &whole, rng);
    }

    /// Parameters that are none fail the row where they are met first, the same one in every lane's
    /// order.
    fn check_bad_parameters<F: RansFamily>(
        &self,
        machine: &dyn Machine,
        good: &Models,
        symbols: &[i32],
        whole: &Rows<F>,
        rng: &mut impl Rng,
    ) {
        let count = self.count as usize;
        let mut places: Vec<usize> = Vec::new();
        for row in 1..4 {
            places.extend((0..2).map(|_| row * count + rng.random_range(0..count)));
        }
        let mut bad = good.clone();
        for &at in &places {
            match self.form {
                ModelForm::Uniform => return,
                ModelForm::Parametric => bad.scales[at] = [BAD_SCALE, 5633][at % 2],
                ModelForm::Mixture => {
                    bad.components[at * bad.width].weight =
                        good.components[at * bad.width].weight ^ 1;
                }
                ModelForm::Cdf => bad.cdfs[at * bad.width..(at + 1) * bad.width].fill(0),
            }
        }
        // What no host type holds: the same places must fail, with the same error.
        let mut worse = bad.parameters();
        for &at in &places {
            match self.form {
                ModelForm::Mixture => {
                    let mut part = ModelComponent::from(good.components[at * good.width]);
                    part.scale = BAD_SCALE;
                    worse[12 * at * good.width..][..12].copy_from_slice(bytes_of(&part));
                }
                ModelForm::Cdf => {
                    let cdf: Vec<u32> = (0..good.width as u32).map(|i| i << 25).collect();
                    worse[4 * at * good.width..][..4 * good.width]
                        .copy_from_slice(cast_slice(&cdf));
                }
                _ => {}
            }
        }
        for push in [true, false] {
            let mut rows = if push { self.initial::<F>() } else { whole.clone() };
            let mut expected = rows.clone();
            let outcome = self.both(machine, push, &bad, &mut symbols.to_vec(), &mut expected);
            for (row, outcome) in outcome.iter().enumerate().take(4).skip(1) {
                let error = outcome.map_err(|fault| fault.error);
                assert_eq!(error, Err(RowError::ParameterOutOfRange), "{self:?} row {row}");
            }
            // A CDF of wide steps has a first symbol to find: only pushes, whose symbols are known
            // to lie past it, must fail alike.
            let lowest = good.lowest;
            let reaches = places.iter().all(|&at| symbols[at] != lowest);
            if self.form != ModelForm::Cdf || (push && reaches) {
                let got =
                    self.device(machine, push, &bad, &worse, &mut symbols.to_vec(), &mut rows);
                assert_eq!(got, outcome, "{self:?}");
                rows.assert_same(&expected, || format!("{self:?}"));
            } else {
                // Whatever it gives, it comes to an end.
                self.device(machine, push, &bad, &worse, &mut symbols.to_vec(), &mut rows);
            }
        }
    }
}

/// Floats to fixed point, with the host's bits.
pub fn check_fixed(machine: &dyn Machine) {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(11);
    let special = [0.0, -0.0, 1.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, 3e38];
    let mut values: Vec<(f32, f32)> =
        special.iter().flat_map(|&mean| special.map(|scale| (mean, scale))).collect();
    values.extend((0..700).map(|_| {
        let mean = (rng.random::<f32>() - 0.5) * f32::exp2(rng.random_range(-14.0..22.0));
        (mean, f32::exp2(rng.random_range(-8.0..18.0)))
    }));
    // Halves of a unit, which round to even, and any bits at all.
    values.extend((-40..40).map(|i| (i as f32 / 8192.0, f32::exp2(i as f32 / 512.0))));
    values.extend((0..700).map(|_| (f32::from_bits(rng.random()), f32::from_bits(rng.random()))));
    let (means, scales): (Vec<f32>, Vec<f32>) = values.iter().copied().unzip();
    let mut fixed = vec![0i32; values.len()];
    let mut codes = vec![0u16; values.len()];
    let params = FixParams {
        means: machine.upload(cast_slice(&means)),
        scales: machine.upload(cast_slice(&scales)),
        fixed_means: machine.alloc(4 * values.len()),
        codes: machine.alloc(2 * values.len()),
        count: values.len() as u64,
    };
    machine.launch(FIX_F32, values.len() as u64, 0, bytes_of(&params));
    download_into(machine, params.fixed_means, &mut fixed);
    download_into(machine, params.codes, &mut codes);
    machine.reset();
    for (at, &(mean, scale)) in values.iter().enumerate() {
        let wanted = Mean::from_f32(mean)
            .zip(Scale::from_f32(scale))
            .map_or((0, BAD_SCALE), |(mean, scale)| (mean.0, scale.code()));
        assert_eq!((fixed[at], codes[at]), wanted, "{mean:e} {scale:e}");
    }
}
