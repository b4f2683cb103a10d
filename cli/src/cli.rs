//! The command line, once: the parser, the help, the man page and the shell completions all come from these types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::bench::BenchArgs;

/// Compress files and tensors with ANS entropy coding.
///
/// Without a command, parans compresses FILE to FILE.parans, or does what -d, -t or -l say: the habits of gzip and zstd. Model
/// files (safetensors, npy, npz) are recognised by their content and every tensor is coded by its type. Input is kept unless --rm
/// is given. No FILE, or `-`, is standard input; its output goes to standard output.
///
/// Exit status: 0 success; 1 a file cannot be read or written; 2 wrong usage; 3 not a parans file, or one of another version;
/// 4 a damaged file.
#[derive(Debug, Parser)]
#[command(name = "parans", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) mode: ModeArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

/// What to do with the files when there is no command.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct ModeArgs {
    /// Decompress.
    #[arg(short, long)]
    pub(crate) decompress: bool,
    /// Check that the files decode and fit their checksums; write nothing.
    #[arg(short, long)]
    pub(crate) test: bool,
    /// List sizes, one line for each file.
    #[arg(short, long)]
    pub(crate) list: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compress each FILE to FILE.parans.
    Compress(FileArgs),
    /// Give each FILE.parans back as FILE.
    Decompress {
        #[command(flatten)]
        files: FileArgs,
        /// Save what is whole in damaged files: zeros stand for what is lost, and a line for each loss tells what it was.
        #[arg(long)]
        keep_going: bool,
    },
    /// Show what is in compressed files: sizes, coders, tensors with their types, shapes and ratios.
    Inspect(InspectArgs),
    /// Decode one tensor, or a range of bytes, without touching the rest.
    Extract(ExtractArgs),
    /// Check that files decode and fit their checksums; write nothing.
    Test(FileArgs),
    /// Measure the coders on this machine.
    Bench(BenchArgs),
    /// List the devices that coders can run on, as `--device` names them.
    Devices,
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// Files to work on, where the output goes, and how.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FileArgs {
    /// Input files; `-` is standard input.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Write to OUT; `-` is standard output. Only for a single input.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath, conflicts_with = "stdout")]
    pub(crate) output: Option<PathBuf>,
    /// Write to standard output.
    #[arg(short = 'c', long)]
    pub(crate) stdout: bool,
    /// Overwrite existing files; write compressed bytes to a terminal; compress files that are named .parans.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Keep the input files. They are kept anyway; this takes --rm back.
    #[arg(short, long, overrides_with = "rm")]
    pub(crate) keep: bool,
    /// Delete each input file once its output is complete.
    #[arg(long, overrides_with = "keep")]
    pub(crate) rm: bool,
    /// When compressing: read the output back and check that it decodes to the input's checksum, before --rm deletes anything.
    #[arg(long)]
    pub(crate) check: bool,
    /// When decompressing or testing: fail on a file of more than SIZE bytes of content; K, M and G count in powers of 1024.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_output: Option<u64>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// What every command that works on files takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CommonArgs {
    /// Use N threads; 0 is one for each core.
    #[arg(short = 'T', long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
    /// Say nothing but errors.
    #[arg(short, long, overrides_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: sizes and speed also when the output goes to standard output.
    #[arg(short, long, overrides_with = "quiet")]
    pub(crate) verbose: bool,
}

/// Options of `inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// Compressed files; `-` is standard input.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Print one JSON object for each file.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Options of `extract`.
#[derive(Args, Debug)]
pub(crate) struct ExtractArgs {
    /// A compressed file.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The tensor, as `inspect` names it.
    #[arg(value_name = "NAME", required_unless_present = "bytes")]
    pub(crate) name: Option<String>,
    /// Bytes START up to and without END of the content, instead of a tensor.
    #[arg(long, value_name = "START..END", value_parser = byte_range, conflicts_with = "name")]
    pub(crate) bytes: Option<ByteRange>,
    /// Write to OUT; `-` and none are standard output.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite an existing OUT; write to a terminal.
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// A range of content bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteRange {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A number of bytes, perhaps with a suffix.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" | "KB" | "KiB" => 10,
        "M" | "MB" | "MiB" => 20,
        "G" | "GB" | "GiB" => 30,
        "T" | "TB" | "TiB" => 40,
        suffix => return Err(format!("{suffix:?} is no suffix of a size: use K, M, G or T")),
    };
    let number = digits.parse::<u64>().map_err(|error| error.to_string())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more than 2^64 bytes".into())
}

fn byte_range(text: &str) -> Result<ByteRange, String> {
    let (start, end) = text.split_once("..").ok_or("write START..END")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let (start, end) = (number(start)?, number(end)?);
    if start > end { Err(format!("{start} is after {end}")) } else { Ok(ByteRange { start, end }) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
