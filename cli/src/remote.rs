//! Files at URLs, in builds with the feature `remote`.

use std::{
    io::{Read, Seek},
    path::Path,
};

use anyhow::Result;

/// What an archive can be read from.
pub(crate) trait Source: Read + Seek {}
impl<R: Read + Seek> Source for R {}

/// Whether a name is a URL and not a path.
pub(crate) fn is_url(path: &Path) -> bool {
    path.to_str().and_then(|name| name.split_once("://")).is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Opens the file at a URL. Credentials and regions come from the environment variables that the
/// providers' own programs read.
#[cfg(feature = "remote")]
pub(crate) fn open(url: &Path) -> Result<parans::frame::RemoteFile> {
    use crate::failure::Usage;
    let usage = |error: &dyn std::fmt::Display| Usage(error.to_string());
    let url = url::Url::parse(url.to_str().unwrap_or_default()).map_err(|error| usage(&error))?;
    let mut options: Vec<(String, String)> =
        std::env::vars().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect();
    if url.scheme() == "http" {
        options.push(("allow_http".into(), "true".into()));
    }
    let (store, path) =
        object_store::parse_url_opts(&url, options).map_err(|error| usage(&error))?;
    Ok(parans::frame::RemoteFile::open(store.into(), path)?)
}

/// Says how files at URLs can be read.
#[cfg(not(feature = "remote"))]
pub(crate) fn open(_: &Path) -> Result<std::fs::File> {
    let text = "this program was built without reading URLs: install it with --features remote";
    Err(crate::failure::Usage(text.into()).into())
}
