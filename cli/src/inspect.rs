//! `parans inspect` and `parans --list`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Seek, Write},
    ops::Range,
    path::Path,
};

use anyhow::{Context, Result};
use parans::frame::{BaseName, Entry, EntryKind, FrameArchive, Index, VERSION};
use serde_json::{Value, json};

use crate::{decompress::indexes, escape, failure::named, input::Input, process, remote};

/// How to show a file.
pub(crate) enum Form<'a> {
    /// Sizes in one line of a list.
    Line(&'a mut Listing),
    /// Everything, to be read.
    Table,
    /// Everything, to be parsed.
    Json,
}

/// Shows one file.
pub(crate) fn inspect(path: &Path, form: Form<'_>) -> Result<()> {
    if remote::is_url(path) {
        let name = || path.display().to_string();
        let file = remote::open(path).with_context(name)?;
        return print(&show_archive(path, &FrameArchive::open(file).with_context(name)?, form));
    }
    let input = Input::open(path)?;
    input.refuse_terminal()?;
    let name = input.path.display().to_string();
    let text = match input.file().filter(|_| input.length().is_some()) {
        Some(file) => {
            let archive = FrameArchive::open(file).with_context(|| name.clone())?;
            show_archive(&input.path, &archive, form)
        }
        None => {
            let (summary, indexes) = input.read_ahead(indexes).with_context(|| name.clone())?;
            let indexes: Vec<&Index> = indexes.iter().collect();
            show(&input.path, (summary.frame, indexes.len()), &indexes, form, |_| f64::NAN)
        }
    };
    print(&text)
}

fn print(text: &str) -> Result<()> {
    let written = process::stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes()));
    Ok(written.map_err(|error| named(error, "cannot write standard output"))?)
}

fn show_archive<R: Read + Seek>(path: &Path, archive: &FrameArchive<R>, form: Form<'_>) -> String {
    let coded = |content| archive.coded_bytes(content);
    show(path, (archive.frame_length(), archive.frames()), &[archive.index()], form, coded)
}

/// The list that `-l` prints: a heading, one line per file, and the total of several files.
pub(crate) struct Listing {
    quiet: bool,
    files: u64,
    frames: u64,
    content: u64,
}

impl Listing {
    /// An empty list; with `quiet` it has neither heading nor total.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, files: 0, frames: 0, content: 0 }
    }

    fn row(frame: u64, content: u64, container: &str, name: &str) -> String {
        let ratio = percent(frame as f64, content);
        format!("{frame:>15} {content:>15} {ratio:>8} {container:<11} {name}\n")
    }

    /// The line of one file, below the heading if it is the first.
    fn line(&mut self, frame: u64, content: u64, container: &str, path: &Path) -> String {
        let mut line = String::new();
        if self.files == 0 && !self.quiet {
            line += &format!(
                "{:>15} {:>15} {:>8} {:<11} name\n",
                "compressed", "uncompressed", "ratio", "content"
            );
        }
        self.files += 1;
        self.frames = self.frames.saturating_add(frame);
        self.content = self.content.saturating_add(content);
        line + &Self::row(frame, content, container, &escape::path(path))
    }

    /// The last line.
    pub(crate) fn total(&self) -> String {
        if self.quiet || self.files < 2 {
            return String::new();
        }
        Self::row(self.frames, self.content, "total", &format!("{} files", self.files))
    }
}

fn percent(coded: f64, content: u64) -> String {
    if content == 0 || coded.is_nan() {
        "-".into()
    } else {
        format!("{:.1} %", 100.0 * coded / content as f64)
    }
}

/// Chunks, content bytes and coded bytes by codec.
type Codecs<'a> = BTreeMap<&'a str, (u64, u64, u64)>;

/// `frame` and `frames` are the bytes of all frames and their number.
fn show(
    path: &Path,
    (frame, frames): (u64, usize),
    indexes: &[&Index],
    form: Form<'_>,
    coded: impl Fn(Range<u64>) -> f64,
) -> String {
    let content: u64 = indexes.iter().map(|index| index.content_length()).sum();
    // The contents of several frames make no container together.
    let container = if let [index] = indexes { index.container.name() } else { "bytes" };
    if let Form::Line(listing) = form {
        return listing.line(frame, content, container, path);
    }
    let mut codecs = Codecs::new();
    for chunk in indexes.iter().flat_map(|index| &index.chunks) {
        let (count, raw, coded) = codecs.entry(chunk.codec.name()).or_default();
        (*count, *raw, *coded) =
            (*count + 1, *raw + u64::from(chunk.raw), *coded + u64::from(chunk.coded));
    }
    let entries = indexes.iter().flat_map(|index| &index.entries);
    if let Form::Json = form {
        let mut value = json!({
            "file": path.to_string_lossy(), "version": VERSION, "frames": frames,
            "container": container, "bytes": content, "compressed": frame,
            "codecs": codecs_json(&codecs), "bases": bases_json(indexes),
            "entries": entries.map(|entry| entry_json(entry, &coded)).collect::<Vec<_>>(),
        });
        if path.to_str().is_none() {
            let bytes = path.as_os_str().as_encoded_bytes();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            value["file_hex"] = json!(hex);
        }
        return format!("{}\n", escape::Json(&value));
    }
    let mut out = format!(
        "{}: parans frame, version {VERSION}, {container}\n  {content} bytes in {frame} ({})\n",
        escape::path(path),
        percent(frame as f64, content)
    );
    for base in indexes.iter().flat_map(|index| &index.bases) {
        let name = escape::text(&base.name);
        // Writing to a string does not fail.
        let _ = writeln!(out, "  base {name}, {} bytes, {:016x}", base.length, base.check);
    }
    table(&mut out, &codecs, &entries.collect::<Vec<_>>(), coded);
    out
}

fn bases_json(indexes: &[&Index]) -> Vec<Value> {
    let bases = indexes.iter().flat_map(|index| &index.bases);
    let object = |base: &BaseName| {
        let check = format!("{:016x}", base.check);
        json!({"name": base.name, "bytes": base.length, "xxh3": check})
    };
    bases.map(object).collect()
}

fn codecs_json(codecs: &Codecs<'_>) -> serde_json::Map<String, Value> {
    let objects = codecs.iter().map(|(name, (count, raw, coded))| {
        ((*name).to_owned(), json!({"chunks": count, "bytes": raw, "coded": coded}))
    });
    objects.collect()
}

fn entry_json(entry: &Entry, coded: impl Fn(Range<u64>) -> f64) -> Value {
    let coded = coded(entry.offset..entry.end());
    let coded = if coded.is_nan() { Value::Null } else { json!(coded.round() as u64) };
    let mut value = json!({
        "name": entry.name, "offset": entry.offset, "bytes": entry.length, "coded": coded,
    });
    if let EntryKind::Tensor { dtype, shape } = &entry.kind {
        value["dtype"] = json!(dtype);
        value["shape"] = json!(shape);
    }
    value
}

fn table(
    out: &mut String,
    codecs: &Codecs<'_>,
    entries: &[&Entry],
    coded: impl Fn(Range<u64>) -> f64,
) {
    // Writing to a string does not fail.
    for (name, (count, raw, coded)) in codecs {
        let _ = writeln!(
            out,
            "  {name:<9} {count:>8} chunks {raw:>15} -> {coded:>13} bytes ({})",
            percent(*coded as f64, *raw)
        );
    }
    let names: Vec<String> = entries.iter().map(|entry| escape::text(&entry.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(60);
    for (entry, name) in entries.iter().zip(names) {
        let (dtype, shape) = match &entry.kind {
            EntryKind::Tensor { dtype, shape } => (escape::text(dtype), format!("{shape:?}")),
            EntryKind::Rows => ("rows".into(), String::new()),
            _ => ("bytes".into(), String::new()),
        };
        let coded = coded(entry.offset..entry.end());
        let size = if coded.is_nan() { "-".into() } else { format!("{coded:.0}") };
        let _ = writeln!(
            out,
            "  {name:<width$} {dtype:<8} {shape:<20} {:>12} -> {size:>12} bytes ({})",
            entry.length,
            percent(coded, entry.length)
        );
    }
}
