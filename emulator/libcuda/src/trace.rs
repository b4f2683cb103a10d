//! `PARANS_CUDA_TRACE`: one line for each call, to see what a host library really asks of the
//! driver.

use crate::errors::Status;
use std::sync::OnceLock;

/// Whether an environment variable switches something on.
pub(crate) fn switched_on(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Prints a call and its result, when asked to.
pub(crate) fn call(name: &str, status: &Status) {
    static ON: OnceLock<bool> = OnceLock::new();
    if *ON.get_or_init(|| switched_on("PARANS_CUDA_TRACE")) {
        match status {
            Ok(()) => eprintln!("parans libcuda: {name}"),
            Err(error) => eprintln!("parans libcuda: {name} -> {error:?}"),
        }
    }
}
