//! Gives the library its PTX.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
