//! Reads the command line: what is wrong with it is reported in one line, like every other error.

use std::{env, ffi::OsStr, io::IsTerminal};

use anyhow::Result;
use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::{
    cli::{COMMANDS, Cli},
    escape,
    failure::Usage,
};

/// Parses the program's arguments. None where they ask for the help or the version, which is
/// printed.
pub(crate) fn parse() -> Result<Option<Cli>> {
    match Cli::try_parse() {
        Ok(cli) => {
            check_first_word(&cli)?;
            Ok(Some(cli))
        }
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                print_help(&error.render())?;
                Ok(None)
            }
            _ => Err(Usage(one_line(&error.render().to_string())).into()),
        },
    }
}

/// Prints the help that is shown where nothing else was asked for.
pub(crate) fn help() -> Result<()> {
    print_help(&Cli::command().render_help())
}

fn print_help(text: &clap::builder::StyledStr) -> Result<()> {
    let styled = std::io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
    let text = if styled { text.ansi().to_string() } else { text.to_string() };
    crate::print(|out| std::io::Write::write_all(out, text.as_bytes()))
}

/// The parser's message without its usage. Its advice is kept, except where it is to delete files.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !(line.starts_with("tip:") && line.contains("--rm")))
        .collect();
    let said = said.join(" ").replace(" tip:", "; tip:");
    format!("{} (see --help)", said.strip_prefix("error: ").unwrap_or(&said))
}

/// Refuses a first word that is nearly a command, is no file and is followed by files: it would be
/// taken for a file to compress, and so would what follows. A command behind a flag is such a word,
/// too.
fn check_first_word(cli: &Cli) -> Result<()> {
    let [word, others @ ..] = &cli.files.input.files[..] else { return Ok(()) };
    // What follows `--` are files.
    let escaped = env::args_os().any(|argument| argument == OsStr::new("--"));
    if cli.command.is_some() || escaped || word.symlink_metadata().is_ok() {
        return Ok(());
    }
    match word.to_str().map(|word| (word, nearest_command(word))) {
        Some((word, Some(command))) if word == command => Err(Usage(format!(
            "{word} is no file, and as a command it stands before all flags: parans {word} ..."
        ))
        .into()),
        Some((word, Some(command))) if !others.is_empty() => Err(Usage(format!(
            "{} is no command and no file; did you mean \"{command}\"?",
            escape::text(word)
        ))
        .into()),
        _ => Ok(()),
    }
}

/// The command that a word is close to: a letter or two are wrong, missing, added or swapped.
fn nearest_command(word: &str) -> Option<&'static str> {
    let distance = |command: &str| strsim::damerau_levenshtein(word, command);
    let nearest = COMMANDS.into_iter().min_by_key(|command| distance(command))?;
    (distance(nearest) <= nearest.len().div_ceil(4)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_nearly_commands() {
        for (word, command) in [
            ("decompres", "decompress"),
            ("decomrpess", "decompress"),
            ("uncompress", "compress"),
            ("inpsect", "inspect"),
            ("lst", "list"),
            ("tests", "test"),
            ("extrat", "extract"),
        ] {
            assert_eq!(nearest_command(word), Some(command));
        }
        for word in ["x", "data", "a.txt", "weights", "compress.txt", "text.txt"] {
            assert_eq!(nearest_command(word), None, "{word}");
        }
    }
}
