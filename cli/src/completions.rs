//! Completions for shells: clap's scripts, which offer files as well where a word can be one.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// What clap's script for bash does with a word that is no option's value: it offers flags and
/// commands, and files only where none of these fit.
const BASH_WORDS: &str = r#"COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )"#;

/// What it does instead: it offers flags where one is begun, else commands and files.
const BASH_FILES: &str = r#"_parans_words() {
    if [[ ${cur} == -* ]]; then
        COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
        return
    fi
    local IFS=$'\n'
    COMPREPLY=( $(compgen -W "${opts// /$'\n'}" -X '-*' -- "${cur}") $(compgen -f -- "${cur}") )
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        compopt -o filenames
    fi
}

"#;

/// Writes the script for a shell.
pub(crate) fn write(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "parans", &mut script);
    let script = String::from_utf8(script).map_err(io::Error::other)?;
    let script = match shell {
        Shell::Bash => BASH_FILES.to_owned() + &script.replace(BASH_WORDS, "_parans_words"),
        _ => script,
    };
    out.write_all(script.as_bytes())
}
