//! PTX text to a syntax tree.
//!
//! The grammar of PTX is small: directives, labels, and instructions of one shape. What an opcode
//! means, and whether the device supports it, is decided in `lower`, not here.

pub(crate) mod ast;
mod body;
mod lexer;
mod parser;

pub(crate) use parser::parse;
