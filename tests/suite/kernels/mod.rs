//! The kernels against the scalar codec, row by row: the same bytes, the same symbols, and for bad
//! rows the same errors at the same positions.
//!
//! Every case runs on two machines: the kernels' own Rust on threads of the host, and the PTX on
//! the software device, which checks every memory access as well. The parity suite tests the same
//! through the library's interface; this one reaches what that never passes on: streams, symbols
//! and indexes that no host would let through.
#![allow(unreachable_pub, reason = "a test has no public interface")]
#![allow(
    unsafe_code,
    reason = "the host's threads call the kernels with addresses, as a launch does"
)]

mod case;
mod cost;
#[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
mod driver;
mod host;
mod machine;
mod models;
mod quantise;
mod rows;
mod software;
mod tables;
mod tans;

use case::{Case, IndexForm, LANES, Lookup, SymbolType};
use machine::Machine;
use models::ModelCase;
use parans_kernels::abi::ModelForm;
use parans_kernels::codec::{Rans32, Rans32x16, Rans64, Tans8, Tans16, Tans32};
use parans_kernels::model::Kind;

/// Which of the cases a machine runs, by a case's seed and whether it is a long one: one in so
/// many, at a stride that meets every value of every parameter.
type Cases = dyn Fn(u64, bool) -> bool;

/// Every family, lane count and lookup, with and without bypass, at lengths around a group's edges.
fn parity(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 1;
    for lanes in LANES {
        for lookup in [Lookup::Search, Lookup::Dense, Lookup::Sparse, Lookup::Alias] {
            for bypass in [0, 1, 4] {
                for count in [lanes * 3 + lanes / 2, lanes * 2, 1] {
                    seed += 1;
                    let index =
                        [IndexForm::Each, IndexForm::Column, IndexForm::Row, IndexForm::One]
                            [seed as usize % 4];
                    let case =
                        Case { lanes, lookup, bypass, count, index, seed, ..Case::default() };
                    if chosen(case.seed, false) {
                        case.check::<Rans64>(machine);
                        case.check::<Rans32>(machine);
                        case.check::<Rans32x16>(machine);
                    }
                }
            }
        }
    }
}

/// Symbol and index types other than 32 bits.
fn narrow_types(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 1000;
    for symbols in [SymbolType::U8, SymbolType::U16, SymbolType::I16] {
        for lanes in [1, 4, 32] {
            for (index_bytes, bypass) in [(1, 0), (2, 0), (1, 3), (2, 4)] {
                seed += 1;
                let case = Case {
                    lanes,
                    symbols,
                    index_bytes,
                    bypass,
                    seed,
                    count: 77,
                    ..Case::default()
                };
                if chosen(case.seed, false) {
                    case.check::<Rans32x16>(machine);
                    case.check::<Rans64>(machine);
                }
            }
        }
    }
}

/// Rows that must fail: they fail with the scalar codec's error at its position, and leave their
/// neighbours, their states and their length alone.
fn faults(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 2000;
    for lanes in LANES {
        for lookup in [Lookup::Search, Lookup::Sparse, Lookup::Alias] {
            for bypass in [0, 1, 3] {
                seed += 1;
                let index = [IndexForm::Each, IndexForm::One][seed as usize % 2];
                let case =
                    Case { lanes, lookup, bypass, seed, index, count: 45, ..Case::default() };
                if chosen(case.seed, false) {
                    case.check_faults::<Rans64>(machine);
                    case.check_faults::<Rans32>(machine);
                    case.check_faults::<Rans32x16>(machine);
                }
            }
        }
    }
}

/// tANS: every lane count, with and without bypass, at lengths around a group's edges, damaged rows
/// too.
fn tans(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 3000;
    for lanes in LANES {
        for bypass in [0, 2, 4] {
            for count in [lanes * 3 + lanes / 2 + 1, lanes * 2] {
                for index in [IndexForm::Each, IndexForm::Row] {
                    seed += 1;
                    let staged = false;
                    let case =
                        Case { lanes, bypass, count, index, seed, staged, ..Case::default() };
                    if chosen(case.seed, false) {
                        tans::check::<Tans32>(&case, machine);
                        tans::check::<Tans16>(&case, machine);
                        tans::check::<Tans8>(&case, machine);
                    }
                }
            }
        }
    }
}

/// tANS by packed tables: long rows for the tiles, with symbols among them that the general code
/// takes, in shared memory and out of it; and symbols whose type does not hold their tables, which
/// pop without packed tables.
fn tans_packed(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 5000;
    for lanes in LANES {
        for (staged, lookup) in
            [(true, Lookup::Guide), (false, Lookup::Guide), (true, Lookup::Search)]
        {
            for bypass in [0, 1, 4] {
                for (groups, symbols) in [
                    (12, SymbolType::I32),
                    (8, SymbolType::U8),
                    (11, SymbolType::U16),
                    (9, SymbolType::I16),
                ] {
                    for (index, index_bytes) in [
                        (IndexForm::Each, 4),
                        (IndexForm::Each, 1),
                        (IndexForm::Column, 2),
                        (IndexForm::Row, 4),
                        (IndexForm::One, 4),
                    ] {
                        seed += 1;
                        let count = lanes * groups + seed as u32 % 2 * (lanes / 2);
                        let case = Case {
                            lanes,
                            lookup,
                            staged,
                            bypass,
                            count,
                            symbols,
                            index,
                            index_bytes,
                            seed,
                            // So that all tables fit a block's shared memory.
                            precision: if staged { 9 + seed as u32 % 4 } else { 0 },
                            ..Case::default()
                        };
                        if chosen(case.seed, true) {
                            match seed % 3 {
                                0 => tans::check::<Tans32>(&case, machine),
                                1 => tans::check::<Tans16>(&case, machine),
                                _ => tans::check::<Tans8>(&case, machine),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Models of every form and kind: every lane count, with and without bypass, at lengths around a
/// group's edges.
fn models(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 4000;
    for form in ModelForm::ALL {
        for lanes in LANES {
            for bypass in [0, 1, 4] {
                for count in [lanes * 2 + lanes / 2 + 1, lanes * 2, 1] {
                    seed += 1;
                    let types = [SymbolType::I32, SymbolType::I32, SymbolType::U8, SymbolType::I16];
                    let case = ModelCase {
                        form,
                        kind: Kind::ALL[seed as usize % 3],
                        lanes,
                        bypass,
                        rows: 5,
                        count,
                        symbols: types[seed as usize / 3 % 4],
                        seed,
                    };
                    if chosen(seed, false) {
                        case.check::<Rans64>(machine);
                        case.check::<Rans32>(machine);
                        case.check::<Rans32x16>(machine);
                    }
                }
            }
        }
    }
}

/// Rows of models that must fail, as in `faults`.
fn model_faults(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 5000;
    for form in ModelForm::ALL {
        for lanes in LANES {
            for bypass in [0, 1, 3] {
                seed += 1;
                let kind = Kind::ALL[seed as usize % 3];
                let (rows, count, symbols) = (12, 37, SymbolType::I32);
                let case = ModelCase { form, kind, lanes, bypass, rows, count, symbols, seed };
                if chosen(seed, false) {
                    case.check_faults::<Rans64>(machine);
                    case.check_faults::<Rans32>(machine);
                    case.check_faults::<Rans32x16>(machine);
                }
            }
        }
    }
}

/// Floats to fixed-point parameters, bit for bit.
fn fixed(machine: &dyn Machine, _chosen: &Cases) {
    models::check_fixed(machine);
}

/// Probabilities to frequencies, bit for bit.
fn rows(machine: &dyn Machine, _chosen: &Cases) {
    rows::check(machine);
}

fn quantise(machine: &dyn Machine, _chosen: &Cases) {
    quantise::check(machine);
    quantise::check_packs(machine);
}

/// The kernels that read packed tables: everything that can happen to a group of symbols among
/// ordinary ones, long rows for their tiles.
fn packed(machine: &dyn Machine, chosen: &Cases) {
    let mut seed = 4000;
    for lookup in [Lookup::Slots, Lookup::Guide, Lookup::Wide, Lookup::AliasPacked] {
        for staged in [true, false] {
            for bypass in [0, 1, 4] {
                for (count, symbols) in [
                    (32 * 21 + 5, SymbolType::I32),
                    (32 * 8, SymbolType::U8),
                    (32 * 19, SymbolType::U16),
                    (32 * 9 + 31, SymbolType::I16),
                    (31, SymbolType::U8),
                ] {
                    for (index, index_bytes) in [
                        (IndexForm::Each, 4),
                        (IndexForm::Each, 1),
                        (IndexForm::Column, 2),
                        (IndexForm::Row, 4),
                        (IndexForm::One, 4),
                    ] {
                        seed += 1;
                        let case = Case {
                            lanes: 32,
                            lookup,
                            staged,
                            bypass,
                            count,
                            symbols,
                            index,
                            index_bytes,
                            seed,
                            rows: 3,
                            ..Case::default()
                        };
                        if chosen(case.seed, case.lookup.is_packed()) {
                            case.check::<Rans32x16>(machine);
                            case.check::<Rans64>(machine);
                            case.check::<Rans32>(machine);
                        }
                        // Rows that share a warp, the last of them alone.
                        let lanes = LANES[seed as usize % 5];
                        let (rows, count) = (32 / lanes + 3, count / 8 * 8 / (32 / lanes).min(8));
                        let count = count + seed as u32 % 2 * (case.count % 8);
                        let case = Case { lanes, rows, count, ..case };
                        if chosen(case.seed + 7, case.lookup.is_packed()) {
                            match seed % 3 {
                                0 => case.check::<Rans64>(machine),
                                1 => case.check::<Rans32>(machine),
                                _ => case.check::<Rans32x16>(machine),
                            }
                        }
                    }
                }
                for index in [IndexForm::Each, IndexForm::One] {
                    seed += 1;
                    let case = Case {
                        lanes: 32,
                        lookup,
                        staged,
                        bypass,
                        index,
                        seed,
                        count: 32 * 18 + 7,
                        ..Case::default()
                    };
                    if chosen(case.seed, case.lookup.is_packed()) {
                        case.check_faults::<Rans32x16>(machine);
                        case.check_faults::<Rans64>(machine);
                        case.check_faults::<Rans32>(machine);
                    }
                    for lanes in [1, 2, 4, 8, 16] {
                        let case = Case { lanes, count: lanes * 18 + 7 % lanes, ..case };
                        if chosen(case.seed + u64::from(lanes), case.lookup.is_packed()) {
                            case.check_faults::<Rans32x16>(machine);
                            case.check_faults::<Rans64>(machine);
                            case.check_faults::<Rans32>(machine);
                        }
                    }
                }
            }
        }
    }
}

macro_rules! tests {
    ($attribute:tt $machine:expr, $chosen:expr; $($test:ident)*) => {
        $(#[test]
        #$attribute
        fn $test() {
            super::$test(&$machine, &$chosen);
        })*
    };
}

/// Threads of the host are slow at meeting one another: they run one case in seventeen, and fewer
/// of the long ones.
mod on_host_threads {
    tests!([cfg(test)] crate::kernels::host::HostThreads, |seed: u64, long: bool| {
        seed % if long { 61 } else { 17 } == 3
    };
        parity narrow_types faults packed tans tans_packed models model_faults fixed quantise rows);
}

mod on_software_device {
    tests!([cfg(test)] crate::kernels::software::Software::new(), |_: u64, _: bool| true;
        parity narrow_types faults packed tans tans_packed models model_faults fixed quantise rows);
}

/// All cases on a GPU; one in eleven where the driver is that of the software device, whose kernels
/// the tests above run.
#[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
mod on_driver {
    use crate::kernels::driver::Driver;

    tests!([ignore = "needs an NVIDIA driver with a device"]
        Driver::new(), |seed: u64, _: bool| seed % 11 == 3 || !Driver::is_software();
        parity narrow_types faults packed tans tans_packed models model_faults fixed quantise rows);
}

#[test]
fn cost() {
    cost::check(&software::Software::new());
}

#[test]
fn launch_costs() {
    cost::check_launches();
}
