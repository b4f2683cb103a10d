//! Quantisation on a device against the host's.

use bytemuck::{Pod, bytes_of, cast_slice};
use ndarray::{Array3, ArrayView2, ArrayView3};
use parans::model::Pmfs;
use parans::{Precision, Tables};
use parans_kernels::abi::pack::{PACK_TABLES, PackParams, PackShape, form};
use parans_kernels::abi::{
    QUANTISE_CDF_F32, QUANTISE_CDF_U32, QUANTISE_F32, QuantiseParams, QuantiseShape, RowStatus,
};
use parans_kernels::codec::packed::{next_part, pack_entries, pack_exact, pack_guide, pack_slots};
use parans_kernels::codec::{
    BypassCode, EncoderEntry, Interval, Rans32x16, Rans64, RowError, TableDescriptor,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::kernels::case::download_into;
use crate::kernels::machine::Machine;

/// Runs a quantising kernel whose output has `each` elements per row.
fn run_kernel<W: Pod, O: Pod>(
    machine: &dyn Machine,
    kernel: &str,
    weights: &[W],
    shape: QuantiseShape,
    each: u32,
) -> (Vec<RowStatus>, Vec<O>) {
    let mut intervals = vec![O::zeroed(); (shape.rows * each) as usize];
    let mut status = vec![RowStatus::default(); shape.rows as usize];
    let params = QuantiseParams {
        pmf: machine.upload(cast_slice(weights)),
        intervals: machine.alloc(size_of_val(&intervals[..])),
        status: machine.alloc(size_of_val(&status[..])),
        shape,
    };
    machine.launch(kernel, u64::from(shape.rows), 0, bytes_of(&params));
    download_into(machine, params.status, &mut status);
    download_into(machine, params.intervals, &mut intervals);
    machine.reset();
    (status, intervals)
}

fn run(
    machine: &dyn Machine,
    pmf: &[f32],
    shape: QuantiseShape,
) -> (Vec<RowStatus>, Vec<Interval>) {
    run_kernel(machine, QUANTISE_F32, pmf, shape, shape.symbols)
}

/// CDFs of probabilities and of counts against the host's models.
fn check_cdfs(machine: &dyn Machine, pmf: &[f32], shape: QuantiseShape) {
    let (rows, precision) = (shape.rows as usize, Precision::new(shape.precision).unwrap());
    let sentinel = shape.sentinel != 0;
    let dims = (rows, 1, pmf.len() / rows);
    let each = shape.symbols + 1;
    let (status, cdfs) = run_kernel::<_, u32>(machine, QUANTISE_CDF_F32, pmf, shape, each);
    assert!(status.iter().all(|s| s.code == 0), "{shape:?}: {status:?}");
    let view = ArrayView3::from_shape(dims, pmf).unwrap();
    let wanted = Pmfs::from_pmf(view, precision, sentinel).unwrap();
    assert_eq!(cdfs, wanted.cdfs(), "{shape:?}");
    // Counts as large as they come, and a row that sums to 2^precision or less.
    let counts: Vec<u32> = pmf.iter().map(|&p| (p * 1e9) as u32).collect();
    let counts: Vec<u32> = counts
        .chunks(dims.2)
        .flat_map(|row| if row.iter().all(|&c| c == 0) { vec![1; dims.2] } else { row.to_vec() })
        .collect();
    let (status, cdfs) = run_kernel::<_, u32>(machine, QUANTISE_CDF_U32, &counts, shape, each);
    assert!(status.iter().all(|s| s.code == 0), "{shape:?}: {status:?}");
    let wide =
        Array3::from_shape_vec(dims, counts.iter().map(|&c| u64::from(c)).collect()).unwrap();
    let wanted = Pmfs::from_counts(wide.view(), precision, sentinel).unwrap();
    assert_eq!(cdfs, wanted.cdfs(), "{shape:?}");
}

/// Rows of every kind: even, steep, with zeros, with one symbol only, of large and of tiny scale.
fn probabilities(rng: &mut impl Rng, rows: usize, symbols: usize) -> Vec<f32> {
    let mut pmf = Vec::with_capacity(rows * symbols);
    for row in 0..rows {
        let scale = [1.0, 1.0 / symbols as f32, 1e-30, 3e9, 1e30][row % 5];
        let only = rng.random_range(0..symbols);
        for symbol in 0..symbols {
            let even: f32 = rng.random();
            let p = match row % 4 {
                0 => even,
                1 => even.powi(20),
                2 => {
                    if even < 0.5 {
                        0.0
                    } else {
                        even
                    }
                }
                _ => {
                    if symbol == only {
                        1.0
                    } else {
                        0.0
                    }
                }
            };
            pmf.push(p * scale);
        }
        if pmf[row * symbols..].iter().all(|&p| p == 0.0) {
            pmf[row * symbols] = scale;
        }
    }
    pmf
}

/// Every width and precision gives the host's frequencies.
pub fn check(machine: &dyn Machine) {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(7);
    for (symbols, precision) in
        [(1, 4), (2, 1), (3, 8), (17, 9), (256, 8), (255, 12), (40, 16), (100, 24), (9, 31)]
    {
        for sentinel in [false, true] {
            let rows = 40;
            if symbols + usize::from(sentinel) > 1 << precision {
                continue;
            }
            let pmf = probabilities(rng, rows, symbols);
            let shape = QuantiseShape {
                rows: rows as u32,
                symbols: (symbols + usize::from(sentinel)) as u32,
                precision,
                sentinel: u32::from(sentinel),
            };
            check_cdfs(machine, &pmf, shape);
            let (status, intervals) = run(machine, &pmf, shape);
            assert!(status.iter().all(|s| s.code == 0), "{symbols} {precision}: {status:?}");
            let view = ArrayView2::from_shape((rows, symbols), &pmf).unwrap();
            let tables = Tables::builder(Precision::new(precision).unwrap())
                .sentinel(sentinel)
                .pmf(view)
                .unwrap();
            for (row, intervals) in intervals.chunks(shape.symbols as usize).enumerate() {
                let got: Vec<u32> = intervals.iter().map(|s| s.freq).collect();
                let expected: Vec<u32> = tables.frequencies(row).collect();
                assert_eq!(got, expected, "{symbols} at {precision}, {sentinel}, row {row}");
                let cdf = tables.cdf(row);
                assert!(
                    intervals.iter().zip(&cdf).all(|(interval, &start)| interval.start == start)
                );
            }
        }
    }

    let mut pmf = probabilities(rng, 6, 10);
    pmf[3] = f32::NAN;
    pmf[14] = -1.0;
    pmf[26] = f32::INFINITY;
    pmf[30..40].fill(0.0);
    let shape = QuantiseShape { rows: 6, symbols: 10, precision: 12, sentinel: 0 };
    let (status, _) = run(machine, &pmf, shape);
    let bad = |position| RowStatus { code: RowError::ParameterOutOfRange as u32, position };
    assert_eq!(status[..4], [bad(3), bad(4), bad(6), bad(10)]);
    assert_eq!(status[4..], [RowStatus::default(); 2]);
    // The same faults where CDFs are asked for, and CDFs that code nothing; of counts, only zeros
    // are bad.
    let (status, cdfs) = run_kernel::<_, u32>(machine, QUANTISE_CDF_F32, &pmf, shape, 11);
    assert_eq!(status[..4], [bad(3), bad(4), bad(6), bad(10)]);
    assert!(cdfs[..44].iter().all(|&value| value == 0));
    assert_eq!((cdfs[54], cdfs[65]), (1 << 12, 1 << 12));
    let counts = [0u32, 0, 0, u32::MAX];
    let shape = QuantiseShape { rows: 2, symbols: 2, precision: 12, sentinel: 0 };
    let (status, cdfs) = run_kernel::<_, u32>(machine, QUANTISE_CDF_U32, &counts, shape, 3);
    assert_eq!(status, [bad(2), RowStatus::default()]);
    assert_eq!(cdfs, [0, 0, 0, 0, 1, 1 << 12]);
}

/// Takes the words of packed tables.
type Store<'s> = dyn FnMut(u32) + 's;

/// The forms of tables that a device makes of intervals are those that the host makes; a table that
/// failed is made of equal shares.
pub fn check_packs(machine: &dyn Machine) {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(8);
    for (symbols, precision) in [(1, 4), (2, 2), (17, 9), (256, 12), (100, 13)] {
        for sentinel in [false, true] {
            let symbols = symbols + usize::from(sentinel);
            if symbols < 2 || symbols > 1 << precision {
                continue;
            }
            let tables = 3;
            let given = symbols - usize::from(sentinel);
            let pmf = probabilities(rng, tables, given);
            let shape = QuantiseShape {
                rows: tables as u32,
                symbols: symbols as u32,
                precision,
                sentinel: u32::from(sentinel),
            };
            let (mut status, mut intervals) = run(machine, &pmf, shape);
            let shape = PackShape {
                tables: tables as u32,
                symbols: symbols as u32,
                precision,
                sentinel: u32::from(sentinel),
                ..PackShape::default()
            };
            let pack = |form, intervals: &[Interval], status: &[RowStatus], bytes: usize| {
                let of_slots = matches!(form, form::SLOTS | form::NUMBERS);
                let each = if of_slots { 1 << precision } else { symbols };
                let params = PackParams {
                    intervals: machine.upload(cast_slice(intervals)),
                    status: machine.upload(cast_slice(status)),
                    out: machine.alloc((bytes * tables * each).max(16)),
                    shape: PackShape { form, ..shape },
                };
                machine.launch(PACK_TABLES, (tables * each) as u64, 0, bytes_of(&params));
                let out = match form {
                    form::EVEN => machine.download(params.intervals, size_of_val(intervals)),
                    _ => machine.download(params.out, bytes * tables * each),
                };
                machine.reset();
                out
            };
            // Of a table that failed, whatever lay there is replaced; the others stay.
            status[1].code = RowError::ParameterOutOfRange as u32;
            intervals[symbols..2 * symbols].fill(Interval { start: 7, freq: 0 });
            let even: Vec<Interval> =
                bytemuck::pod_collect_to_vec(&pack(form::EVEN, &intervals, &status, 0));
            let (mut start, share) = (0, (1 << precision) / symbols as u32);
            for interval in &even[symbols..2 * symbols] {
                assert!(interval.start == start && [share, share + 1].contains(&interval.freq));
                start += interval.freq;
            }
            assert_eq!(start, 1 << precision);
            assert_eq!(even[..symbols], intervals[..symbols]);
            assert_eq!(even[2 * symbols..], intervals[2 * symbols..]);

            let places: Vec<_> = (0..tables as u32)
                .map(|table| TableDescriptor {
                    base: table * symbols as u32,
                    symbols: symbols as u32,
                    ..TableDescriptor::default()
                })
                .collect();
            let bypass = BypassCode::new(if sentinel { 4 } else { 0 });
            let behind_places = next_part(8 * tables as u32) as usize;
            let entries_64: Vec<_> = even.iter().map(|i| EncoderEntry::<Rans64>::new(*i)).collect();
            let entries: Vec<_> = even.iter().map(|i| EncoderEntry::<Rans32x16>::new(*i)).collect();
            let same = |form, bytes, at: usize, wanted: &[u8]| {
                let got = pack(form, &even, &status, bytes);
                let what = format!("form {form}: {symbols} symbols at {precision}, {sentinel}");
                assert!(got[..] == wanted[at..][..got.len()], "{what}");
            };
            same(form::ENTRIES_64, 16, 0, cast_slice(&entries_64));
            same(form::ENTRIES_32, 12, 0, cast_slice(&entries));
            let words = |pack: &dyn Fn(&mut Store<'_>) -> Option<()>| {
                let mut words = Vec::new();
                pack(&mut |word| words.push(word)).expect("tables that fit");
                bytemuck::pod_collect_to_vec::<u32, u8>(&words)
            };
            let packed = words(&|store| pack_entries(&places, &entries, bypass, store));
            same(form::PACKED_32, 8, behind_places, &packed);
            if precision <= 12 {
                let packed = words(&|store| pack_exact(&places, &even, precision, bypass, store));
                same(form::EXACT, 8, behind_places, &packed);
                let packed = words(&|store| pack_slots(&places, &even, precision, bypass, store));
                same(form::SLOTS, 4, behind_places, &packed);
            }
            if symbols <= 256 {
                let packed = words(&|store| pack_guide(&places, &even, precision, bypass, store));
                same(form::INTERVALS, 4, behind_places, &packed);
                let numbers = behind_places + next_part((4 * tables * symbols) as u32) as usize;
                same(form::NUMBERS, 1, numbers, &packed);
            }
        }
    }
}
