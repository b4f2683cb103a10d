//! What a symbol costs on the software device: `cargo test --test suite kernels::cost --
//! --nocapture` prints it.

use std::collections::{BTreeMap, BTreeSet};

use parans_kernels::abi::{KERNELS, ModelForm};
use parans_kernels::codec::packed::PackedFamily;
use parans_kernels::codec::{Rans32, Rans32x16, Rans64, RansFamily};
use parans_kernels::model::Kind;

use crate::common::{counts, frame_counts};
use crate::kernels::case::{Case, IndexForm, Lookup, SymbolType};
use crate::kernels::models::ModelCase;
use crate::kernels::software::Software;

/// The most that a symbol may take of a push and of a pop: warp instructions of PTX, sectors of
/// global memory, wavefronts of shared memory. A change that costs more is meant, or a mistake.
type Budget = [[f64; 3]; 2];

/// What the general kernels may take.
const GENERAL: Budget = [[8.0, 7.0, 0.0]; 2];

fn check_one<F: PackedFamily>(machine: &Software, case: Case, budget: Option<Budget>) {
    let where_ = match (case.lookup.is_packed(), case.staged) {
        (true, true) => "staged",
        (true, false) => "global",
        _ => "general",
    };
    for (push, report) in [0, 1].into_iter().zip(case.cost::<F>(machine)) {
        let cost = report.per_symbol(u64::from(case.rows * case.count));
        let Case { lanes, lookup, tables, index, .. } = case;
        println!(
            "{:9} x{lanes:<2} {} {lookup:?} {where_}, {tables} tables, {index:?}: {cost}",
            F::NAME,
            ["push", "pop"][push]
        );
        let Some(budget) = budget else { continue };
        let got = [cost.warp_instructions, cost.global_sectors, cost.shared_wavefronts];
        for ((got, most), what) in
            got.into_iter().zip(budget[push]).zip(["instructions", "sectors", "wavefronts"])
        {
            assert!(got <= most, "{what}: {got} a symbol, at most {most}: {case:?}");
        }
    }
}

/// The same for models, for a push and a pop, with 32 lanes. Distributions have scales of 1/64 to
/// 4, mixtures up to eight components, CDFs up to 59 values.
const MODEL_BUDGETS: [(ModelForm, [f64; 2]); 4] = [
    (ModelForm::Uniform, [6.0, 6.0]),
    (ModelForm::Parametric, [16.0, 60.0]),
    (ModelForm::Mixture, [100.0, 500.0]),
    (ModelForm::Cdf, [12.0, 20.0]),
];

fn print_models<F: RansFamily>(machine: &Software, lanes: u32) {
    for (form, budgets) in MODEL_BUDGETS {
        let (rows, count, kind) = (64 / lanes, 16 * lanes, Kind::Gaussian);
        let symbols = SymbolType::I16;
        let case = ModelCase { form, kind, lanes, bypass: 0, rows, count, symbols, seed: 5 };
        let costs = case.cost::<F>(machine);
        for ((what, report), budget) in ["push", "pop"].into_iter().zip(costs).zip(budgets) {
            let cost = report.per_symbol(u64::from(rows * count));
            println!("{:9} x{lanes:<2} {what:4} {form:?}: {cost}", F::NAME);
            if lanes == 32 {
                assert!(cost.warp_instructions < budget, "{what} {case:?}: {cost}");
            }
        }
    }
}

/// Prints a table, and holds the 32-lane kernels to a budget.
pub fn check(machine: &Software) {
    let general = Case { lanes: 32, rows: 2, count: 2048, seed: 5, ..Case::default() };
    for index in [IndexForm::Each, IndexForm::One] {
        let case = Case { index, lookup: Lookup::Alias, ..general };
        check_one::<Rans32x16>(machine, case, Some(GENERAL));
    }
    for lanes in [1, 4] {
        check_one::<Rans32x16>(machine, Case { lanes, lookup: Lookup::Dense, ..general }, None);
    }
    // Bytes of a full alphabet, with one table and with many.
    let bytes = Case { symbols: SymbolType::U8, alphabet: 256, count: 16384, ..general };
    let one = Case { tables: 1, index: IndexForm::One, ..bytes };
    let many = Case { tables: 64, index: IndexForm::Each, index_bytes: 1, ..bytes };
    for precision in [12, 15] {
        for case in [one, many] {
            let case = Case { precision, lookup: Lookup::Dense, ..case };
            check_one::<Rans32x16>(machine, case, Some(GENERAL));
        }
    }
    for (lookup, precision, pop, pop_many) in [
        (Lookup::Slots, 12, [0.90, 0.13, 0.12], [1.25, 1.2, 0.0]),
        (Lookup::Guide, 15, [1.02, 0.15, 0.22], [1.55, 2.7, 0.0]),
    ] {
        let case = Case { precision, lookup, ..one };
        check_one::<Rans32x16>(machine, case, Some([[1.25, 0.12, 0.20], pop]));
        check_one::<Rans32x16>(machine, Case { staged: false, ..case }, None);
        check_one::<Rans64>(machine, case, Some([[1.41, 0.12, 0.34], [1.13, 0.15, 0.22]]));
        check_one::<Rans32>(machine, case, Some([[2.98, 0.19, 0.20], [2.40, 0.30, 0.22]]));
        // Pop's take more than a block's shared memory.
        let case = Case { precision, lookup, staged: false, ..many };
        check_one::<Rans32x16>(machine, case, Some([[1.73, 1.65, 0.0], pop_many]));
    }
    let few = Case { precision: 12, lookup: Lookup::Slots, tables: 8, ..many };
    check_one::<Rans32x16>(machine, few, Some([[1.64, 0.16, 0.27], [1.26, 0.28, 0.17]]));
    for lanes in [32, 4, 1] {
        print_models::<Rans32x16>(machine, lanes);
        print_models::<Rans64>(machine, lanes);
    }
}

/// The launches that a coder makes stay within what `scripts/gpu-counts budgets` last printed, and
/// every kernel is among them.
pub fn check_launches() {
    let mut budgets: BTreeMap<&str, [f64; 3]> = include_str!("budgets.txt")
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let numbers: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
            (name, numbers.try_into().unwrap())
        })
        .collect();
    let mut counted = BTreeSet::new();
    let mut exceeded = Vec::new();
    counts::count_all(|count| {
        let got = [count.instructions, count.sectors, count.wavefronts];
        let budget = budgets.remove(&*count.name());
        if budget.is_none_or(|most| got.iter().zip(most).any(|(got, most)| *got > most)) {
            exceeded.push(format!("{}: {got:?}, at most {budget:?}", count.name()));
        }
        counted.insert(count.kernel);
    });
    frame_counts::count_frames(|count| {
        let got = [count.instructions, count.sectors, count.wavefronts];
        let line = count.budget();
        let name = line.split(' ').next().expect("a name");
        let budget = budgets.remove(name);
        if budget.is_none_or(|most| got.iter().zip(most).any(|(got, most)| *got > most)) {
            exceeded.push(format!("{name}: {got:?}, at most {budget:?}"));
        }
    });
    assert!(exceeded.is_empty(), "scripts/gpu-counts budgets prints new ones: {exceeded:#?}");
    assert!(budgets.is_empty(), "not counted any more: {budgets:?}");
    let missing: Vec<_> = KERNELS.iter().filter(|k| !counted.contains(k.name)).collect();
    assert!(missing.is_empty(), "no launch of {missing:?}");
}
