//! Gives the library the soname of NVIDIA's driver, so that a program linked against either runs on
//! both, and makes a call of the macro `unsupported!` of the names in unsupported.txt.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=unsupported.txt");
    let names = fs::read_to_string("unsupported.txt").expect("the list of names");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let call = format!("unsupported! {{\n{names}}}\n");
    fs::write(Path::new(&out).join("unsupported.rs"), call).expect("OUT_DIR can be written");
}
