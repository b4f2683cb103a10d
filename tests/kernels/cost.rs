//! What a symbol costs on the software device: `cargo test --test kernels cost -- --nocapture` prints it.

use parans_kernels::abi::ModelForm;
use parans_kernels::codec::{Family, Rans32, Rans32x16, Rans64};
use parans_kernels::model::Kind;

use crate::case::{Case, IndexForm, Lookup, SymbolType};
use crate::models::ModelCase;
use crate::software::Software;

/// Most warp instructions of PTX a symbol that a 32-lane kernel may take: a change that costs more is meant, or a mistake.
const BUDGET: f64 = 8.0;

fn print<F: Family>(machine: &Software, lanes: u32, lookup: Lookup, index: IndexForm) {
    let case = Case { lanes, lookup, index, rows: 2, count: 2048, seed: 5, ..Case::default() };
    for (what, report) in ["push", "pop"].into_iter().zip(case.cost::<F>(machine)) {
        let cost = report.per_symbol(u64::from(case.rows * case.count));
        println!("{:9} x{lanes:<2} {what:4} {lookup:?} {index:?}: {cost}", F::NAME);
        if lanes == 32 {
            assert!(cost.warp_instructions < BUDGET, "{what} {case:?}: {cost}");
        }
    }
}

/// The same for models, for a push and a pop, with 32 lanes. Distributions have scales of 1/64 to 4, mixtures up to eight components, CDFs up to 59
/// values.
const MODEL_BUDGETS: [(ModelForm, [f64; 2]); 4] = [
    (ModelForm::Uniform, [6.0, 6.0]),
    (ModelForm::Parametric, [16.0, 60.0]),
    (ModelForm::Mixture, [100.0, 500.0]),
    (ModelForm::Cdf, [12.0, 20.0]),
];

fn print_models<F: Family>(machine: &Software, lanes: u32) {
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
    for index in [IndexForm::Each, IndexForm::One] {
        for lookup in [Lookup::Search, Lookup::Dense, Lookup::Alias] {
            print::<Rans32x16>(machine, 32, lookup, index);
        }
    }
    print::<Rans64>(machine, 32, Lookup::Dense, IndexForm::Each);
    print::<Rans32>(machine, 32, Lookup::Dense, IndexForm::Each);
    print::<Rans32x16>(machine, 4, Lookup::Dense, IndexForm::Each);
    print::<Rans32x16>(machine, 1, Lookup::Dense, IndexForm::Each);
    for lanes in [32, 4, 1] {
        print_models::<Rans32x16>(machine, lanes);
        print_models::<Rans64>(machine, lanes);
    }
}
