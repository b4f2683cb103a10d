//! The man pages: the parser's own descriptions, with the sections that a parser does not have.

use std::{fs, io, io::Write, path::Path};

use anyhow::Result;
use clap::CommandFactory;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{
    cli::{COMMANDS, Cli},
    failure::named,
};

/// Writes the page of a command, or the program's own.
pub(crate) fn page(command: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let chosen = command.and_then(|name| program.find_subcommand(name));
    let man = Man::new(chosen.unwrap_or(&program).clone())
        .source(concat!("parans ", env!("CARGO_PKG_VERSION")))
        .manual("parans");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.is_none() {
        man.render_subcommands_section(out)?;
    }
    let mut more = Roff::new();
    entries(&mut more, "EXIT STATUS", EXIT_STATUS);
    entries(&mut more, "ENVIRONMENT", ENVIRONMENT);
    more.control("SH", ["EXAMPLES"]);
    for (line, does) in examples(command) {
        more.control("TP", []);
        more.text([bold(*line)]);
        more.text([roman(*does)]);
    }
    more.control("SH", ["SEE ALSO"]);
    let others = std::iter::once(None).chain(COMMANDS.map(Some)).filter(|&other| other != command);
    let others: Vec<String> = others.map(file_stem).collect();
    for (i, name) in others.iter().enumerate() {
        let end = if i + 1 < others.len() { "(1)," } else { "(1)" };
        more.text([bold(name), roman(end)]);
    }
    more.to_writer(out)
}

/// Writes all pages into a directory, which is made where it is missing.
pub(crate) fn write_all(directory: &Path) -> Result<()> {
    let fail = |error| named(error, format_args!("cannot write {}", directory.display()));
    fs::create_dir_all(directory).map_err(fail)?;
    for command in std::iter::once(None).chain(COMMANDS.map(Some)) {
        let mut text = Vec::new();
        page(command, &mut text)?;
        fs::write(directory.join(file_stem(command) + ".1"), text).map_err(fail)?;
    }
    Ok(())
}

/// What a page is called.
fn file_stem(command: Option<&str>) -> String {
    command.map_or("parans".into(), |command| format!("parans-{command}"))
}

fn entries(roff: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (term, text) in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
}

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success."),
    ("1", "A file cannot be read or written."),
    ("2", "Wrong usage."),
    ("3", "Not a parans file, or one of another version."),
    ("4", "A damaged file."),
    ("", "Of several files that fail, the highest status counts."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "PARANS_SIMD",
        "The instruction set to use: scalar, neon, avx2, avx512, avx512-gather or avx512-permute. \
         By default the best that the processor has. All write the same bytes.",
    ),
    ("NO_COLOR", "If set, the help is printed without colours."),
];

/// Command lines of a command, each with what it does.
fn examples(command: Option<&str>) -> &'static [(&'static str, &'static str)] {
    match command {
        None => &[
            ("parans model.safetensors", "Compress to model.safetensors.parans; keep the input."),
            ("parans -d model.safetensors.parans", "Decompress to model.safetensors."),
            ("parans -l *.parans", "List the sizes of compressed files."),
            ("tar -I parans -cf data.tar.parans data", "Compress a directory as one file."),
            ("cat x | parans | parans -d", "Compress and decompress in pipes."),
        ],
        Some("compress") => &[
            ("parans compress --check --rm x", "Compress x, check the output, then delete x."),
            (
                "parans compress -r --output-dir-mirror small model",
                "Compress the files below model to small/model.",
            ),
            (
                "parans compress step2000.safetensors --base step1000.safetensors.parans",
                "Compress a checkpoint as its difference to the one before.",
            ),
        ],
        Some("decompress") => &[
            ("parans decompress x.parans -o y", "Decompress x.parans to y."),
            ("parans decompress --keep-going x.parans", "Save what is whole in a damaged file."),
        ],
        Some("test") => &[("parans test -r data", "Check the files below data named .parans.")],
        Some("list") => &[("parans list *.parans", "List sizes, with their total.")],
        Some("inspect") => &[
            ("parans inspect model.safetensors.parans", "Show the tensors in a compressed file."),
            ("parans inspect --json x.parans | jq .entries", "The same for other programs."),
        ],
        Some("extract") => &[
            ("parans extract --npy m.npz.parans weights -o w.npy", "Extract a tensor for numpy."),
            ("parans extract x.parans --bytes 100..", "Extract all bytes from offset 100 on."),
        ],
        Some("rebase") => &[(
            "parans rebase step2000.safetensors.parans -o alone.parans",
            "Write a checkpoint so that it needs no other file.",
        )],
        Some("bench") => &[
            ("parans bench", "Measure rans64 on tensors of 1 to 4096 rows."),
            ("parans bench --family all --lanes 1,8,32 --rows 256", "Compare families."),
            ("parans bench --symbols 1000 --rows 1", "Measure the time of small calls."),
            ("parans bench --plot speeds.svg", "Draw speeds over numbers of rows."),
        ],
        Some("devices") => &[("parans devices", "List devices, for bench --device.")],
        Some("completions") => &[(
            "parans completions bash > /etc/bash_completion.d/parans",
            "Install the completions for bash.",
        )],
        Some("man") => &[("parans man --dir /usr/local/share/man/man1", "Install the man pages.")],
        Some(_) => &[],
    }
}
