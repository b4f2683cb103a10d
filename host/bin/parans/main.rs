//! The `parans` program.

fn main() {}
