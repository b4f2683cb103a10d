//! `parans inspect` and `parans --list`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result};
use parans::frame::{EntryKind, FrameArchive, Index, VERSION};
use serde_json::{Value, json};

use crate::{decompress::indexes, failure::named, input::Input};

/// How to show a file.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Sizes in one line.
    Line,
    /// Everything, to be read.
    Table,
    /// Everything, to be parsed.
    Json,
}

/// Shows one file.
pub(crate) fn inspect(path: &Path, form: Form) -> Result<()> {
    let mut input = Input::open(path)?;
    input.refuse_terminal()?;
    let name = input.path.display().to_string();
    let text = match input.file().filter(|_| input.length().is_some()) {
        Some(file) => {
            let archive = FrameArchive::open(file).with_context(|| name.clone())?;
            let coded = |content| archive.coded_bytes(content);
            show(&name, archive.frame_length(), archive.frames(), &[archive.index()], form, coded)
        }
        None => {
            let (summary, indexes) = input.read_ahead(indexes).with_context(|| name.clone())?;
            let indexes: Vec<&Index> = indexes.iter().collect();
            show(&name, summary.frame, indexes.len(), &indexes, form, |_| f64::NAN)
        }
    };
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    Ok(written.map_err(|error| named(error, "cannot write standard output"))?)
}

fn percent(coded: f64, content: u64) -> String {
    if content == 0 || coded.is_nan() {
        "-".into()
    } else {
        format!("{:.1} %", 100.0 * coded / content as f64)
    }
}

fn show(
    name: &str,
    frame: u64,
    frames: usize,
    indexes: &[&Index],
    form: Form,
    coded: impl Fn(std::ops::Range<u64>) -> f64,
) -> String {
    let content: u64 = indexes.iter().map(|index| index.content_length()).sum();
    let ratio = percent(frame as f64, content);
    let mut codecs: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for chunk in indexes.iter().flat_map(|index| &index.chunks) {
        let (count, raw, coded) = codecs.entry(chunk.codec.name()).or_default();
        (*count, *raw, *coded) =
            (*count + 1, *raw + u64::from(chunk.raw), *coded + u64::from(chunk.coded));
    }
    // The contents of several frames make no container together.
    let container = if let [index] = indexes { index.container.name() } else { "bytes" };
    match form {
        Form::Line => format!("{frame:>15} {content:>15} {ratio:>8} {container:<11} {name}\n"),
        Form::Json => {
            let entries: Vec<Value> = indexes
                .iter()
                .flat_map(|index| &index.entries)
                .map(|entry| {
                    let coded = coded(entry.offset..entry.end());
                    let mut value =
                        json!({"name": entry.name, "offset": entry.offset, "bytes": entry.length});
                    value["coded"] =
                        if coded.is_nan() { Value::Null } else { json!(coded.round() as u64) };
                    if let EntryKind::Tensor { dtype, shape } = &entry.kind {
                        value["dtype"] = json!(dtype);
                        value["shape"] = json!(shape);
                    }
                    value
                })
                .collect();
            let codecs: Value = codecs
                .iter()
                .map(|(name, (count, raw, coded))| {
                    ((*name).to_owned(), json!({"chunks": count, "bytes": raw, "coded": coded}))
                })
                .collect::<serde_json::Map<_, _>>()
                .into();
            let value = json!({"file": name, "version": VERSION, "frames": frames, "container": container,
                "bytes": content, "compressed": frame, "codecs": codecs, "entries": entries});
            format!("{value}\n")
        }
        Form::Table => {
            let mut out = String::new();
            // Writing to a string does not fail.
            let _ = writeln!(out, "{name}: parans frame, version {VERSION}, {container}");
            let _ = writeln!(out, "  {content} bytes in {frame} ({ratio})");
            for (name, (count, raw, coded)) in &codecs {
                let _ = writeln!(
                    out,
                    "  {name:<9} {count:>8} chunks {raw:>15} -> {coded:>13} bytes ({})",
                    percent(*coded as f64, *raw)
                );
            }
            let entries: Vec<_> = indexes.iter().flat_map(|index| &index.entries).collect();
            let width =
                entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0).min(60);
            for entry in entries {
                let (dtype, shape) = match &entry.kind {
                    EntryKind::Tensor { dtype, shape } => (dtype.as_str(), format!("{shape:?}")),
                    EntryKind::Rows => ("rows", String::new()),
                    _ => ("bytes", String::new()),
                };
                let coded = coded(entry.offset..entry.end());
                let size = if coded.is_nan() { "-".into() } else { format!("{coded:.0}") };
                let _ = writeln!(
                    out,
                    "  {:<width$} {dtype:<8} {shape:<20} {:>12} -> {size:>12} bytes ({})",
                    // A name can hold anything; a terminal must not.
                    entry.name.escape_debug(),
                    entry.length,
                    percent(coded, entry.length)
                );
            }
            out
        }
    }
}
