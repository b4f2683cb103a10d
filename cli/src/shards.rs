//! Models in several files, with an index that says which file has which tensor
//! (`model.safetensors.index.json`).

use std::{
    fs,
    io::Write,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    cli::FileArgs,
    failure::{Usage, named},
    input::Input,
    output::{Output, Wish},
};

/// How the names of indexes end.
pub(crate) const INDEX: &str = ".index.json";
/// The longest index that is read.
const MAX_INDEX: u64 = 64 << 20;

/// Writes the index of a model whose index was compressed, `target` being the output of that: the
/// same with the names of the compressed files, for those who read tensors from them.
pub(crate) fn write_index(input: &Input, target: &Path, args: &FileArgs) -> Result<()> {
    let suffix = &args.input.suffix;
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let stem = name(target).and_then(|name| Some(name.strip_suffix(suffix)?.to_owned()));
    let Some(stem) = stem.as_deref().and_then(|name| name.strip_suffix(INDEX)) else {
        return Ok(());
    };
    let Some(mut index) = read(&input.path)? else { return Ok(()) };
    if let Some(files) = index["weight_map"].as_object_mut() {
        for file in files.values_mut() {
            if let Value::String(name) = file {
                name.push_str(suffix);
            }
        }
    }
    let path = target.with_file_name(format!("{stem}{suffix}{INDEX}"));
    let mut output = Output::file(&path, Wish::new(input, args))?;
    serde_json::to_writer_pretty(&mut output, &index)?;
    writeln!(output)?;
    output.commit()
}

/// An index; none where a file is no such.
fn read(path: &Path) -> Result<Option<Value>> {
    let fail = |error| named(error, path.display());
    if fs::metadata(path).map_err(fail)?.len() > MAX_INDEX {
        return Ok(None);
    }
    let index: Option<Value> = serde_json::from_slice(&fs::read(path).map_err(fail)?).ok();
    Ok(index.filter(|index| index["weight_map"].is_object()))
}

/// The file that has a tensor of the model whose index is at `path`; `path` itself for anything
/// that is no index.
pub(crate) fn file_of(path: &Path, tensor: Option<&str>) -> Result<PathBuf> {
    if !path.to_str().is_some_and(|name| name.ends_with(INDEX)) {
        return Ok(path.to_owned());
    }
    let name = || path.display().to_string();
    let index =
        read(path)?.ok_or_else(|| Usage("no index of a model".into())).with_context(name)?;
    let Some(tensor) = tensor else {
        return Err(Usage("say which tensor of the model".into())).with_context(name);
    };
    let file = index["weight_map"][tensor]
        .as_str()
        .ok_or_else(|| Usage(format!("no tensor of the model is named {tensor:?}")));
    let file = Path::new(file.with_context(name)?);
    // Whoever made the index does not say which other files are read.
    let mut parts = file.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(file)), None) => Ok(path.with_file_name(file)),
        _ => {
            Err(Usage(format!("{} is no file beside the index", file.display()))).with_context(name)
        }
    }
}
