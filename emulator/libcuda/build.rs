//! Gives the library the soname of NVIDIA's driver, so that a program linked against either runs on both.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    println!("cargo::rerun-if-changed=build.rs");
}
