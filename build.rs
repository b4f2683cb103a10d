//! Where the kernels' PTX comes from, by the environment variable `PARANS_PTX`:
//!
//! - `prebuilt` (the default): the package parans-kernels, which has it as text. Stable Rust and no
//!   CUDA at all are enough, and this program has nothing to do;
//! - `rustc`: compiled now by scripts/build-ptx, which needs a rustc with the NVPTX back end and
//!   the library's source;
//! - `rust-cuda`: compiled now by the program in kernels/rust-cuda, which needs Rust-CUDA's
//!   toolchain (LLVM 7, libnvvm);
//! - anything else: the path of a folder with a module KERNEL.ptx per kernel, as scripts/build-ptx
//!   writes it, or of one PTX file with all kernels.
//!
//! `rustc` and `rust-cuda` work in a checkout of the repository. In all cases but the first, the
//! list of modules is written to `OUT_DIR/modules.rs`, and the cfg `parans_ptx` has host/gpu/ptx.rs
//! take it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=PARANS_PTX");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(parans_ptx)");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let ptx = match env::var("PARANS_PTX").as_deref() {
        Ok("prebuilt") | Err(env::VarError::NotPresent) => return,
        Ok("rustc") => rustc(&out),
        Ok("rust-cuda") => rust_cuda(&out),
        Ok(path) => Ok(PathBuf::from(path)),
        Err(error) => Err(format!("{error}")),
    };
    let modules = ptx.and_then(|ptx| modules(&ptx));
    match modules.and_then(|text| {
        fs::write(out.join("modules.rs"), text).map_err(|error| format!("{error}"))
    }) {
        Ok(()) => println!("cargo::rustc-cfg=parans_ptx"),
        Err(message) => {
            println!("cargo::error=PARANS_PTX: {message}");
            exit(1);
        }
    }
}

fn rustc(out: &Path) -> Result<PathBuf, String> {
    watch_kernels();
    let folder = out.join("ptx");
    // A target folder of its own: cargo holds the lock of the outer one.
    let mut build = Command::new("scripts/build-ptx");
    build.arg(&folder).env("PARANS_PTX_TARGET_DIR", out.join("ptx-target"));
    run(build).map(|()| folder)
}

fn rust_cuda(out: &Path) -> Result<PathBuf, String> {
    watch_kernels();
    println!("cargo::rerun-if-changed=kernels/rust-cuda");
    let file = out.join("rust-cuda.ptx");
    // Not through the outer cargo: rust-cuda's own toolchain file has to take effect.
    let mut build = Command::new("cargo");
    build
        .current_dir("kernels/rust-cuda")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .args(["run", "--release", "--package", "parans-cuda-builder", "--"])
        .arg(&file);
    run(build).map(|()| file)
}

fn watch_kernels() {
    println!("cargo::rerun-if-changed=kernels/src");
    println!("cargo::rerun-if-changed=kernels/Cargo.toml");
    println!("cargo::rerun-if-changed=scripts/build-ptx");
    println!("cargo::rerun-if-changed=scripts/split-ptx");
}

fn run(mut command: Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Rust source of the list of kernels and their modules.
fn modules(ptx: &Path) -> Result<String, String> {
    println!("cargo::rerun-if-changed={}", ptx.display());
    let failed = |error| {
        format!(
            "{}: {error}; expected `prebuilt`, `rustc`, `rust-cuda`, or the path of a folder of PTX \
             modules or of a PTX file",
            ptx.display()
        )
    };
    let ptx = ptx.canonicalize().map_err(failed)?;
    let mut files = vec![ptx.clone()];
    if ptx.is_dir() {
        let entries = fs::read_dir(&ptx).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let paths = entries.map_err(failed)?.into_iter().map(|entry| entry.path());
        files = paths.filter(|path| path.extension().is_some_and(|e| e == "ptx")).collect();
        files.sort();
    }
    let mut texts = String::new();
    let mut kernels = String::new();
    for (number, file) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", file.display());
        let text = fs::read_to_string(file).map_err(failed)?;
        let _ = writeln!(texts, "static TEXT_{number}: &str = include_str!({file:?});");
        for entry in text.split(".visible .entry").skip(1) {
            let name = entry.split('(').next().unwrap_or_default().trim();
            let _ = writeln!(kernels, "    ({name:?}, TEXT_{number}),");
        }
    }
    if kernels.is_empty() {
        return Err(format!("{}: no kernel in it", ptx.display()));
    }
    Ok(format!("{texts}static MODULES: [&[(&str, &str)]; 1] = [&[\n{kernels}]];\n"))
}
