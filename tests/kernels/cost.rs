//! What a symbol costs on the software device: `cargo test --test kernels cost -- --nocapture` prints it.

use parans_kernels::codec::packed::PackedFamily;
use parans_kernels::codec::{Rans32, Rans32x16, Rans64};

use crate::case::{Case, IndexForm, Lookup, SymbolType};
use crate::software::Software;

/// The most that a symbol may take of a push and of a pop: warp instructions of PTX, sectors of global memory, wavefronts of shared
/// memory. A change that costs more is meant, or a mistake.
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
    for (lookup, precision, one_budget, many_budget) in
        [(Lookup::Slots, 12, ONE_SLOTS, MANY_SLOTS), (Lookup::Guide, 15, ONE_GUIDE, MANY_GUIDE)]
    {
        let case = Case { precision, lookup, ..one };
        check_one::<Rans32x16>(machine, case, Some(one_budget));
        check_one::<Rans32x16>(machine, Case { staged: false, ..case }, None);
        check_one::<Rans64>(machine, case, Some(WIDE));
        check_one::<Rans32>(machine, case, Some(WIDE));
        // Many tables are not staged: pop's take more than a block's shared memory.
        let case = Case { precision, lookup, staged: false, ..many };
        check_one::<Rans32x16>(machine, case, Some(many_budget));
    }
    let case = Case { precision: 12, lookup: Lookup::Slots, tables: 8, ..many };
    check_one::<Rans32x16>(machine, case, Some(FEW_SLOTS));
    let case = Case { bypass: 4, tables: 8, symbols: SymbolType::I32, alphabet: 64, ..case };
    check_one::<Rans32x16>(machine, case, None);
}

const ONE_SLOTS: Budget = [[9.0; 3]; 2];
const MANY_SLOTS: Budget = [[9.0; 3]; 2];
const ONE_GUIDE: Budget = [[9.0; 3]; 2];
const MANY_GUIDE: Budget = [[9.0; 3]; 2];
const FEW_SLOTS: Budget = [[9.0; 3]; 2];
const WIDE: Budget = [[9.0; 3]; 2];
