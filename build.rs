//! Gives the library its PTX as `OUT_DIR/parans.ptx`. The environment variable `PARANS_PTX` says where from:
//!
//! - `prebuilt` (the default): the committed kernels/ptx/parans.ptx, so that stable Rust and no CUDA at all are enough;
//! - `rustc`: compiled now by scripts/build-ptx, which needs a rustc with the NVPTX back end and the library's source;
//! - `rust-cuda`: compiled now by the program in kernels/rust-cuda, which needs Rust-CUDA's toolchain (LLVM 7, libnvvm);
//! - anything else: the path of a PTX file.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=PARANS_PTX");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("parans.ptx");
    let result = match env::var("PARANS_PTX").as_deref() {
        Ok("prebuilt") | Err(env::VarError::NotPresent) => {
            copy(Path::new("kernels/ptx/parans.ptx"), &out)
        }
        Ok("rustc") => {
            watch_kernels();
            // A target folder of its own: cargo holds the lock of the outer one.
            let mut build = Command::new("scripts/build-ptx");
            build.arg(&out).env("PARANS_PTX_TARGET_DIR", out.with_file_name("ptx-target"));
            run(build)
        }
        Ok("rust-cuda") => {
            watch_kernels();
            println!("cargo::rerun-if-changed=kernels/rust-cuda");
            // Not through the outer cargo: rust-cuda's own toolchain file has to take effect.
            let mut build = Command::new("cargo");
            build
                .current_dir("kernels/rust-cuda")
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("CARGO")
                .args(["run", "--release", "--package", "parans-cuda-builder", "--"])
                .arg(&out);
            run(build)
        }
        Ok(path) => copy(Path::new(path), &out),
        Err(error) => Err(format!("{error}")),
    };
    if let Err(message) = result.and_then(|()| check(&out)) {
        println!("cargo::error=PARANS_PTX: {message}");
        exit(1);
    }
}

fn watch_kernels() {
    println!("cargo::rerun-if-changed=kernels/src");
    println!("cargo::rerun-if-changed=kernels/Cargo.toml");
    println!("cargo::rerun-if-changed=scripts/build-ptx");
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", from.display());
    match fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "{}: {error}; expected `prebuilt`, `rustc`, `rust-cuda` or the path of a PTX file",
            from.display()
        )),
    }
}

fn run(mut command: Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// What a driver would only say at run time, with less words.
fn check(ptx: &Path) -> Result<(), String> {
    let text = fs::read_to_string(ptx).map_err(|e| format!("{}: {e}", ptx.display()))?;
    if !text.contains(".visible .entry") {
        return Err(format!("{}: no kernel in it", ptx.display()));
    }
    Ok(())
}
