//! Files in object stores, read at random: an archive fetches its index and the chunks that it is
//! asked for, and nothing else.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, GetResult, ObjectStore, path::Path};
use tokio::runtime::{Builder, Runtime};

use crate::Result;

/// Bytes at the end of a file that the first request brings: the footer and the index of most.
const TAIL: u64 = 64 << 10;
/// The least that a request asks for: small parts that are read one after another lie together.
const LEAST: u64 = 16 << 10;
/// Bytes of a request, where more are wanted: several run at a time.
const PART: u64 = 2 << 20;
/// Requests that run at a time.
const TOGETHER: usize = 8;
/// How often a request that failed is made again, and how long it waits at first.
const RETRIES: u32 = 4;
const WAIT: Duration = Duration::from_millis(50);

/// A file in an object store: S3, Google Cloud Storage, Azure, HTTP, a folder or memory, whatever
/// [`object_store`] reads. [`FrameArchive`](super::FrameArchive) reads it as any other file.
///
/// One request finds the file's length and brings its end, where most frames have their whole
/// index; a tensor takes requests of up to 2 MiB, eight at a time. A request that fails is made
/// again, up to four times, besides what the store does itself. A file that changes meanwhile is an
/// error, where the store gives its versions tags.
///
/// The calls block: asynchronous code makes them where it may, for instance in
/// `tokio::task::spawn_blocking`.
///
/// ```
/// use std::sync::Arc;
/// use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
/// use parans::frame::{FrameArchive, FrameWriter, RemoteFile, WriteOptions};
///
/// let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default())?;
/// writer.write_tensor("bias", parans::Dtype::F32, &[2], &[0; 8])?;
/// let (frame, _) = writer.finish()?;
/// let (store, path) = (Arc::new(InMemory::new()), Path::from("model.parans"));
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(store.put(&path, frame.into())).unwrap();
///
/// let mut archive = FrameArchive::open(RemoteFile::open(store, path)?)?;
/// let mut bias = Vec::new();
/// archive.extract("bias", &mut bias)?;
/// assert_eq!(bias, [0; 8]);
/// # Ok::<(), parans::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoteFile {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    path: Path,
    length: u64,
    tag: Option<String>,
    at: u64,
    /// The end of the file, and what was fetched last: where each begins.
    held: [(u64, Vec<u8>); 2],
}

impl RemoteFile {
    /// Finds the file and fetches its end.
    ///
    /// # Errors
    /// `Io` where the store has no such file or cannot be reached.
    pub fn open(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let found = runtime.block_on(async {
            let tail = GetOptions { range: Some(GetRange::Suffix(TAIL)), ..GetOptions::default() };
            match retry(&*store, &path, tail).await {
                // Azure gives no ends, and some stores none of files that are shorter.
                Err(error) if !is_final(&error) || is_range(&error) => {
                    let head = GetOptions { head: true, ..GetOptions::default() };
                    Ok((retry(&*store, &path, head).await?.0, Vec::new()))
                }
                found => found,
            }
        });
        let (meta, tail) = found.map_err(|error| named(error, &path))?;
        let length = meta.size;
        let held = [(length - tail.len() as u64, tail), (0, Vec::new())];
        Ok(Self { runtime, store, path, length, tag: meta.e_tag, at: 0, held })
    }

    /// Bytes of the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fetches a range, several parts of it at a time.
    fn fetch(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let parts: Vec<Range<u64>> = (range.start..range.end)
            .step_by(PART as usize)
            .map(|start| start..range.end.min(start + PART))
            .collect();
        let fetched = self.runtime.block_on(async {
            let requests = parts.into_iter().map(|part| {
                let options = GetOptions {
                    range: Some(GetRange::Bounded(part.clone())),
                    if_match: self.tag.clone(),
                    ..GetOptions::default()
                };
                async move {
                    let (_, bytes) = retry(&*self.store, &self.path, options).await?;
                    match bytes.len() as u64 == part.end - part.start {
                        true => Ok(bytes),
                        false => Err(object_store::Error::Generic {
                            store: "parans",
                            source: format!("{} bytes for {part:?}", bytes.len()).into(),
                        }),
                    }
                }
            });
            stream::iter(requests).buffered(TOGETHER).try_collect::<Vec<_>>().await
        });
        Ok(fetched.map_err(|error| named(error, &self.path))?.concat())
    }
}

type Found = (object_store::ObjectMeta, Vec<u8>);

/// Makes a request until it succeeds or has failed too often.
async fn retry(
    store: &dyn ObjectStore,
    path: &Path,
    options: GetOptions,
) -> object_store::Result<Found> {
    let mut wait = WAIT;
    for _ in 0..RETRIES {
        match get(store, path, options.clone()).await {
            Err(error) if !is_final(&error) => tokio::time::sleep(wait).await,
            done => return done,
        }
        wait *= 2;
    }
    get(store, path, options).await
}

async fn get(
    store: &dyn ObjectStore,
    path: &Path,
    options: GetOptions,
) -> object_store::Result<Found> {
    let head = options.head;
    let result: GetResult = store.get_opts(path, options).await?;
    let meta = result.meta.clone();
    // A head has no bytes to wait for.
    let bytes = if head { Vec::new() } else { result.bytes().await?.into() };
    Ok((meta, bytes))
}

/// Whether a request would fail again.
fn is_final(error: &object_store::Error) -> bool {
    !matches!(error, object_store::Error::Generic { .. })
}

/// Whether a store refuses to give the end of a file.
fn is_range(error: &object_store::Error) -> bool {
    use object_store::Error::{NotImplemented, NotSupported};
    matches!(error, NotSupported { .. } | NotImplemented { .. })
}

fn named(error: object_store::Error, path: &Path) -> io::Error {
    use object_store::Error::{NotFound, PermissionDenied, Precondition, Unauthenticated};
    let kind = match &error {
        NotFound { .. } => io::ErrorKind::NotFound,
        PermissionDenied { .. } | Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    match error {
        Precondition { .. } => io::Error::other(format!("{path} changed while it was read")),
        error => io::Error::new(kind, format!("{path}: {error}")),
    }
}

impl Read for RemoteFile {
    /// Fills `out` but at the end of the file, with as many requests as that takes.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let n = left.min(out.len() as u64) as usize;
        let end = self.at + n as u64;
        let holds = |(begin, bytes): &&(u64, Vec<u8>)| {
            *begin <= self.at && end <= begin + bytes.len() as u64
        };
        let held = self.held.iter().position(|held| holds(&held));
        let held = match held {
            _ if n == 0 => return Ok(0),
            Some(held) => held,
            None => {
                let end = end.max(self.length.min(self.at + LEAST));
                self.held[1] = (self.at, self.fetch(self.at..end)?);
                1
            }
        };
        let (begin, bytes) = &self.held[held];
        out[..n].copy_from_slice(&bytes[(self.at - begin) as usize..][..n]);
        self.at = end;
        Ok(n)
    }
}

impl Seek for RemoteFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(n) => self.length.checked_add_signed(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
