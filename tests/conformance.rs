//! Runs every conformance case through every back end present, both directions.
//!
//! Cases are the `.safetensors` files of `tests/vectors` (or of `vectors` beside the program) and
//! of the folder that `PARANS_VECTORS` names; `tests/vectors/README.md` describes them. An empty or
//! missing folder is a failure.

mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::backends::{self, Backend};
use common::vectors::{Case, Kind, Outcome};

fn cases_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|e| format!("vectors in {}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("no .safetensors files in {}", folder.display()));
    }
    Ok(files)
}

fn run(files: &[PathBuf], backends: &[Backend]) -> usize {
    let mut failures = 0;
    let mut unsupported = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case = match Case::read(file) {
            Ok(case) => case,
            Err(error) => {
                println!("FAILED {name}: unreadable: {error}");
                failures += 1;
                continue;
            }
        };
        // Quantising does not depend on the back end: once is enough.
        let backends = if case.kind == Kind::Cdf { &backends[..1] } else { backends };
        for backend in backends {
            match case.check(backend) {
                Ok(Outcome::Passed) => {}
                Ok(Outcome::Unsupported(what)) => {
                    unsupported.push(format!("{name} on {}: {what}", backend.name));
                }
                Err(error) => {
                    println!("FAILED {name} on {}: {error}", backend.name);
                    failures += 1;
                }
            }
        }
    }
    if !unsupported.is_empty() {
        println!("not yet supported ({}):", unsupported.len());
        unsupported.iter().for_each(|line| println!("  {line}"));
    }
    failures
}

fn main() -> ExitCode {
    // Beside the program, where it was packed for a machine without the sources.
    let packed = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("vectors")));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut folders = vec![packed.filter(|folder| folder.is_dir()).unwrap_or(sources)];
    folders.extend(std::env::var_os("PARANS_VECTORS").map(PathBuf::from));
    let mut files = Vec::new();
    for folder in &folders {
        match cases_in(folder) {
            Ok(found) => files.extend(found),
            Err(error) => {
                println!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let backends = backends::all();
    let failures = run(&files, &backends);
    let names: Vec<_> = backends.iter().map(|backend| backend.name.as_str()).collect();
    println!("level: {}", parans::simd::Level::current().name());
    println!("vectors: {} files, backends: {}", files.len(), names.join(", "));
    println!("test result: {failures} of {} files failed", files.len());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
