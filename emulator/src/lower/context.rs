//! What a module's names mean.

use std::collections::HashMap;

use crate::ParseError;
use crate::parse::ast::{Ast, Func, Var};

/// What names of module scope mean.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) ast: &'a Ast<'a>,
    /// Addresses of the `.global` and `.const` variables.
    pub(crate) addresses: HashMap<&'a str, u64>,
    /// Index in `ast.functions`, of definitions where there is one.
    pub(crate) functions: HashMap<&'a str, usize>,
}

/// Where an entry's shared variables lie: offset by declaration. Two variables never begin at one
/// place in the text.
pub(crate) type SharedLayout = HashMap<(u32, u32), u32>;

impl<'a> Context<'a> {
    pub(crate) fn new(ast: &'a Ast<'a>, addresses: HashMap<&'a str, u64>) -> Self {
        let mut functions = HashMap::new();
        for (index, func) in ast.functions.iter().enumerate() {
            // A declaration may stand before or after the definition.
            let index_of_body = functions.entry(func.name).or_insert(index);
            if func.body.is_some() {
                *index_of_body = index;
            }
        }
        Self { ast, addresses, functions }
    }
}

/// Offset and size of each parameter of a list.
pub(crate) fn place_params(params: &[Var<'_>]) -> Vec<(u32, u32)> {
    let mut at = 0;
    params
        .iter()
        .map(|param| {
            let offset = u32::next_multiple_of(at, param.align.max(1));
            at = offset + param.bytes() as u32;
            (offset, param.bytes() as u32)
        })
        .collect()
}

/// A function that is declared and defined nowhere, as an error.
pub(crate) fn undefined(func: &Func<'_>) -> ParseError {
    func.pos.error(format!("function `{}` is declared but not defined", func.name))
}
