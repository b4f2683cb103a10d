//! Loading: variables into device memory, entry points into programs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ir::Program;
use crate::lower::{self, Context};
use crate::memory::FUNCTION_WINDOW;
use crate::memory::global::Memory;
use crate::parse::ast::{Ast, Func, Imm, Init, Var, VarSpace};
use crate::parse::parse;
use crate::{Entry, Param, ParseError, Range};

/// A loaded module. Its variables are freed with it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) entries: Vec<Entry>,
    /// In the order of the entries.
    pub(crate) programs: Vec<Program>,
    pub(crate) globals: HashMap<String, Range>,
    memory: Arc<Memory>,
}

impl Loaded {
    /// Frees the variables, if they have not been freed yet.
    pub(crate) fn free(&self) {
        for range in self.globals.values() {
            // Addresses are never reused, so a second time finds nothing.
            let _ = self.memory.free(range.address);
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.free();
    }
}

/// Parses PTX, places its variables and lowers its entries.
pub(crate) fn load(ptx: &str, memory: &Arc<Memory>) -> Result<Loaded, ParseError> {
    let ast = parse(ptx)?;
    let mut loaded = Loaded {
        entries: Vec::new(),
        programs: Vec::new(),
        globals: HashMap::new(),
        memory: Arc::clone(memory),
    };
    let mut addresses = HashMap::new();
    let is_data = |v: &&Var<'_>| matches!(v.space, VarSpace::Global | VarSpace::Const);
    for var in ast.globals.iter().filter(is_data) {
        if var.is_extern {
            return Err(var.pos.error(format!("`{}` is defined in another module", var.name)));
        }
        let address = memory
            .alloc(var.bytes(), var.name, var.space == VarSpace::Const)
            .map_err(|fault| var.pos.error(fault.to_string()))?;
        let range = Range { address, bytes: var.bytes() };
        loaded.globals.insert(var.name.to_owned(), range);
        addresses.insert(var.name, address);
    }
    let context = Context::new(&ast, addresses);
    for var in ast.globals.iter().filter(is_data) {
        let bytes = initial(var, &context)?;
        memory
            .write(context.addresses[var.name], &bytes)
            .map_err(|fault| var.pos.error(fault.to_string()))?;
    }
    for (index, func) in ast.functions.iter().enumerate() {
        if func.entry && func.body.is_some() {
            let program = context.program(index)?;
            loaded.entries.push(describe(func, &program));
            loaded.programs.push(program);
        }
    }
    unreached_functions(&ast, &context)?;
    Ok(loaded)
}

/// Functions that no entry calls are lowered all the same, for their errors.
fn unreached_functions(ast: &Ast<'_>, context: &Context<'_>) -> Result<(), ParseError> {
    for (index, func) in ast.functions.iter().enumerate() {
        if !func.entry && func.body.is_some() {
            context.program(index)?;
        }
    }
    Ok(())
}

/// A variable's bytes: PTX initialises with zero what it does not initialise otherwise.
fn initial(var: &Var<'_>, context: &Context<'_>) -> Result<Vec<u8>, ParseError> {
    let element = var.element as usize;
    let mut bytes = vec![0; var.bytes() as usize];
    for (at, init) in var.init.iter().enumerate() {
        let value = match *init {
            Init::Bits(Imm::Int(v) | Imm::F64(v)) => match (*init, element) {
                (Init::Bits(Imm::F64(v)), 4) => (f64::from_bits(v) as f32).to_bits().into(),
                _ => v,
            },
            Init::Bits(Imm::F32(v)) => match element {
                8 => f64::from(f32::from_bits(v)).to_bits(),
                _ => v.into(),
            },
            Init::Address(name, offset, shift) => {
                let variable = context.addresses.get(name).copied();
                let function = || context.functions.get(name).map(|&f| FUNCTION_WINDOW + f as u64);
                let address = variable
                    .or_else(function)
                    .ok_or_else(|| var.pos.error(format!("`{name}` has no address")))?
                    .wrapping_add_signed(offset);
                shift.map_or(address, |shift| address >> shift & 0xff)
            }
        };
        let word = u128::from(value).to_le_bytes();
        bytes[at * element..][..element].copy_from_slice(&word[..element]);
    }
    Ok(bytes)
}

fn describe(func: &Func<'_>, program: &Program) -> Entry {
    let places = lower::place_params(&func.params);
    let params = places.iter().zip(&func.params).map(|(&(offset, size), var)| Param {
        offset,
        size,
        align: var.align,
    });
    let entry = &program.functions[0];
    Entry {
        name: func.name.to_owned(),
        params: params.collect(),
        param_bytes: program.param_bytes,
        static_shared: program.static_shared,
        local_bytes: entry.local_bytes,
        registers: (entry.regs32 + 2 * entry.regs64) as u32,
        max_threads: func.max_threads,
        required_threads: func.required_threads,
    }
}
