//! The command line: the parser, the help, the man pages and the shell completions all come from
//! these types.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command as Parsed, FromArgMatches, Parser};
use clap::{Subcommand, ValueHint, builder::PossibleValuesParser};

use parans::Device;

use crate::{bench::args::BenchArgs, devices::DeviceParser, pool::THREADS};

/// How the names of compressed files end, unless `-S` says otherwise.
pub(crate) const SUFFIX: &str = ".parans";

/// Compress files and tensors with ANS entropy coding.
///
/// Without a command, parans compresses FILE to FILE.parans, or does what -d, -t or -l say, as gzip
/// and zstd do. Model files (safetensors, torch.save's, GGUF, npy, npz) are recognised by their
/// content, from a pipe too, and every tensor is coded by its type. Input is kept unless --rm is
/// given. No FILE, or `-`, is standard input; its output goes to standard output.
///
/// Exit status: 0 success; 1 a file cannot be read or written; 2 wrong usage; 3 not a parans file,
/// or one of another version; 4 a damaged file.
#[derive(Debug, Parser)]
#[command(
    name = "parans",
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) mode: ModeArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

/// What to do with the files when there is no command. The last of these flags counts, as in zstd
/// and xz: `-dt` tests.
#[derive(Args, Debug)]
pub(crate) struct ModeArgs {
    /// Compress, which is the default. The last of -z, -d, -t and -l counts.
    #[arg(short = 'z', long, overrides_with_all = ["decompress", "test", "list"])]
    pub(crate) compress: bool,
    /// Decompress.
    #[arg(short, long, alias = "uncompress", overrides_with_all = ["compress", "test", "list"])]
    pub(crate) decompress: bool,
    /// Check that the files decode and match their checksums; write nothing.
    #[arg(short, long, overrides_with_all = ["compress", "decompress", "list"])]
    pub(crate) test: bool,
    /// List sizes, one line per file.
    #[arg(short, long, overrides_with_all = ["compress", "decompress", "test"])]
    pub(crate) list: bool,
}

/// The commands that have a man page, in the order of the help.
pub(crate) const COMMANDS: [&str; 11] = [
    "compress",
    "decompress",
    "test",
    "list",
    "inspect",
    "extract",
    "rebase",
    "bench",
    "devices",
    "completions",
    "man",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compress each FILE to FILE.parans.
    Compress(FileArgs),
    /// Decompress each FILE.parans to FILE.
    Decompress {
        #[command(flatten)]
        files: FileArgs,
        /// Save what is whole in damaged files: zeros stand for what is lost, and one line per loss
        /// says what was lost.
        #[arg(long)]
        keep_going: bool,
    },
    /// Check that files decode and match their checksums; write nothing.
    Test(TestArgs),
    /// List the sizes of compressed files, one line per file.
    List(ListArgs),
    /// Show what is in compressed files: sizes, coders, tensors with their types, shapes and
    /// ratios.
    Inspect(InspectArgs),
    /// Decode one tensor, or a range of bytes, without decoding the rest.
    Extract(ExtractArgs),
    /// Write the content of a compressed file anew, coded against nothing or against another base:
    /// what was the end of a chain of bases stands alone then.
    Rebase(RebaseArgs),
    /// Measure the coders on this machine.
    Bench(BenchArgs),
    /// List the devices that coders can run on, as `--device` names them.
    Devices,
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a man page (roff): the program's own, or a command's.
    Man {
        /// The command whose page to print.
        #[arg(value_name = "COMMAND", value_parser = PossibleValuesParser::new(COMMANDS))]
        command: Option<String>,
        /// Write all pages into DIR, which is made where it is missing.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath,
            conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
}

/// The files to read.
#[derive(Args, Clone, Debug)]
pub(crate) struct InputArgs {
    /// Input files; `-` is standard input.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// For each FILE that is a directory: work on the files in it and below. Symbolic links are not
    /// followed. Compressing skips what is named .parans, and the indexes that it writes for models
    /// in several files; everything else takes only what is named .parans.
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// The ending of compressed files' names, instead of .parans.
    #[arg(short = 'S', long, value_name = "SUFFIX", default_value = SUFFIX,
        hide_default_value = true, value_parser = suffix)]
    pub(crate) suffix: String,
}

/// Files to work on, where the output goes, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct FileArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Write to OUT; `-` is standard output. Only for a single input.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath,
        conflicts_with = "stdout")]
    pub(crate) output: Option<PathBuf>,
    /// Write to standard output.
    #[arg(short = 'c', long, alias = "to-stdout")]
    pub(crate) stdout: bool,
    /// Write the outputs into DIR, under their files' names alone. DIR is made where it is missing.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath,
        conflicts_with_all = ["stdout", "output"])]
    pub(crate) output_dir_flat: Option<PathBuf>,
    /// Write the outputs into DIR, under their files' paths as they were given: -r keeps a tree.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath,
        conflicts_with_all = ["stdout", "output", "output_dir_flat"])]
    pub(crate) output_dir_mirror: Option<PathBuf>,
    /// Overwrite existing files; write compressed bytes to a terminal; compress files that are
    /// named .parans; read devices.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Keep the input files, which is the default. Takes an earlier --rm back.
    #[arg(short, long, overrides_with = "rm")]
    pub(crate) keep: bool,
    /// Delete each input that is a regular file, once its output is a complete file on the disk.
    /// Not for standard output. A symbolic link is deleted only with --force, its target never.
    #[arg(long, overrides_with = "keep")]
    pub(crate) rm: bool,
    /// When compressing: read the output back and check that it decodes to the input's checksum,
    /// before --rm deletes anything.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// When compressing several files: store tensors that several have once, in the first of them,
    /// whose output is needed to read the others.
    #[arg(long)]
    pub(crate) dedup: bool,
    #[command(flatten)]
    pub(crate) limit: LimitArgs,
    #[command(flatten)]
    pub(crate) sparse: SparseArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    _ignored: IgnoredArgs,
}

/// What content is coded against.
#[derive(Args, Clone, Debug)]
pub(crate) struct BaseArgs {
    /// Code the content against OLD, a file that resembles it: the checkpoint before, or the model
    /// that was fine-tuned; of any kind or compressed. It is needed to read the output, which names
    /// it by its path from there: when decompressing, --base is needed where OLD has moved, and for
    /// a pipe.
    #[arg(long, value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub(crate) base: Vec<PathBuf>,
}

/// Where content is decoded.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct DeviceArgs {
    /// When decompressing or testing: decode on DEVICE, an NVIDIA GPU: cuda:0, cuda:1 and so on
    /// (`parans devices` lists them). The input is a file then. The default is cpu.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", hide_default_value = true,
        value_parser = DeviceParser)]
    pub(crate) device: Device,
}

/// Whether decoded zeros become holes in the output.
#[derive(Args, Clone, Debug)]
pub(crate) struct SparseArgs {
    /// When decompressing: leave holes for runs of zeros, also where standard output is a regular
    /// file. By default only files that parans makes get holes.
    #[arg(long, overrides_with = "no_sparse")]
    sparse: bool,
    /// Write all zeros.
    #[arg(long, overrides_with = "sparse")]
    no_sparse: bool,
}

impl SparseArgs {
    /// Whether to leave holes, where `default` says what is done unasked.
    pub(crate) fn holes(&self, default: bool) -> bool {
        self.sparse || default && !self.no_sparse
    }
}

/// What every command that works on files takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// Use N threads. 0, the default, is one per core; more than there are cores are not started.
    #[arg(short = 'T', long, value_name = "N", default_value_t = 0, hide_default_value = true,
        value_parser = clap::value_parser!(u32).range(THREADS))]
    pub(crate) threads: u32,
    /// Print nothing but errors.
    #[arg(short, long, alias = "silent", overrides_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print sizes and speed also when the output goes to standard output.
    #[arg(short, long, overrides_with = "quiet")]
    pub(crate) verbose: bool,
    /// Show no progress bar.
    #[arg(long)]
    pub(crate) no_progress: bool,
}

/// Flags that scripts written for gzip, zstd and xz pass. They are accepted and change nothing:
/// there is one level, and files keep no name.
#[derive(Clone, Debug)]
struct IgnoredArgs;

impl Args for IgnoredArgs {
    fn augment_args(command: Parsed) -> Parsed {
        let ignored = |id: &'static str, help: &'static str| {
            Arg::new(id)
                .action(ArgAction::SetTrue)
                .help(help)
                .help_heading("Accepted, without effect")
        };
        const LEVELS: [&str; 10] = ["-0", "-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"];
        let command = LEVELS.into_iter().zip('0'..='9').fold(command, |command, (id, digit)| {
            let help = "Levels, -1 to -9: they change nothing, there is one level";
            command.arg(ignored(id, help).short(digit).hide(digit != '1'))
        });
        command
            .arg(
                ignored("fast", "A level: it changes nothing")
                    .long("fast")
                    .action(ArgAction::Set)
                    .value_name("N")
                    .num_args(0..=1)
                    .require_equals(true),
            )
            .arg(ignored("best", "A level: it changes nothing").long("best"))
            .arg(ignored("no-name", "Names are never stored").short('n').long("no-name"))
            .arg(
                ignored("name", "No name is stored that could be restored").short('N').long("name"),
            )
    }

    fn augment_args_for_update(command: Parsed) -> Parsed {
        Self::augment_args(command)
    }
}

impl FromArgMatches for IgnoredArgs {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

/// How much content is too much.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// When decompressing or testing: fail on a file of more than SIZE bytes of content. K, M, G
    /// and T count in powers of 1024.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_output: Option<u64>,
}

/// Options of `list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Options of `test`.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// How a file is read from first to last.
#[derive(Args, Debug)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    #[command(flatten)]
    pub(crate) limit: LimitArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Options of `inspect`.
#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Print one JSON object per file. A file name that is not UTF-8 is also given as bytes in
    /// hexadecimal, `file_hex`.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Options of `extract`.
#[derive(Args, Debug)]
pub(crate) struct ExtractArgs {
    /// A compressed file; the index of a model in several (*.parans.index.json); or, where the
    /// program was built with its feature `remote`, a URL: s3, gs, az, https or file. Of a remote
    /// file only what it takes is fetched.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The tensor, as `inspect` names it, with or without .npy. Not needed where there is only one.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Bytes START up to and without END of the content, instead of a tensor. START is 0 where it
    /// is left out, END the content's end.
    #[arg(long, value_name = "START..END", value_parser = byte_range, conflicts_with = "name")]
    pub(crate) bytes: Option<ByteRange>,
    /// Write an npy file, which numpy loads with the tensor's type, shape and order. numpy has no
    /// BF16 and F8: they become raw elements (V2, V1) to be viewed as ml_dtypes' types.
    #[arg(long, conflicts_with = "bytes")]
    pub(crate) npy: bool,
    /// Write to OUT; `-` and none are standard output.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite an existing OUT; write to a terminal.
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    #[command(flatten)]
    pub(crate) sparse: SparseArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Options of `rebase`.
#[derive(Args, Debug)]
pub(crate) struct RebaseArgs {
    /// A compressed file.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// Write to OUT; `-` and none are standard output.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite an existing OUT; write to a terminal.
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// A range of content bytes; without an end, up to the content's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteRange {
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
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
    let number = |text: &str| match text {
        "" => Ok(None),
        text => text.parse::<u64>().map(Some).map_err(|error| format!("{text:?}: {error}")),
    };
    let (start, end) = (number(start)?.unwrap_or(0), number(end)?);
    match end {
        Some(end) if start > end => Err(format!("{start} is after {end}")),
        end => Ok(ByteRange { start, end }),
    }
}

fn suffix(text: &str) -> Result<String, String> {
    match text {
        "" => Err("an empty suffix would make input and output one file".into()),
        _ if text.contains(std::path::is_separator) => Err("a suffix is part of a name".into()),
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn definition_is_sound() {
        super::Cli::command().debug_assert();
        let command = super::Cli::command();
        assert!(command.get_subcommands().map(|command| command.get_name()).eq(super::COMMANDS));
    }
}
