//! Remote files: what the library fetches of them, and the program over HTTP and file URLs.

use std::{
    fmt, fs,
    io::{BufRead, BufReader, Cursor, Write},
    net::TcpListener,
    ops::Range,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    local::LocalFileSystem, memory::InMemory, path::Path,
};
use parans::frame::{FrameArchive, FrameWriter, Layout, RemoteFile, WriteOptions, recognise};

use crate::common::*;

/// Counts the requests to a store and the bytes that they bring, and lets the first ones fail.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn ObjectStore>,
    requests: AtomicUsize,
    bytes: AtomicU64,
    failures: AtomicUsize,
    ranges: Mutex<Vec<Range<u64>>>,
    /// Whether the store gives the ends of files.
    ends: bool,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counted")
    }
}

impl Counted {
    fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let (requests, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (bytes, ranges) = (AtomicU64::new(0), Mutex::default());
        Self { inner, requests, bytes, failures, ranges, ends: true }
    }

    fn counts(&self) -> (usize, u64) {
        (self.requests.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counted {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Generic { store: "counted", source: "busy".into() });
        }
        if !self.ends && matches!(options.range, Some(GetRange::Suffix(_))) {
            return Err(Error::NotSupported { source: "no ends".into() });
        }
        let head = options.head;
        let result = self.inner.get_opts(location, options).await?;
        if !head {
            self.bytes.fetch_add(result.range.end - result.range.start, Ordering::Relaxed);
            self.ranges.lock().unwrap().push(result.range.clone());
        }
        Ok(result)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        unreachable!()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unreachable!()
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        unreachable!()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        unreachable!()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        unreachable!()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!()
    }
}

/// A model of 20 tensors of a megabyte of noise, and its frame.
fn model() -> (Vec<u8>, Vec<u8>) {
    use safetensors::{Dtype, tensor::TensorView};
    let bytes: Vec<Vec<u8>> =
        (0..20).map(|i| noise(1_000_000).iter().map(|byte| byte ^ i).collect()).collect();
    let views = bytes.iter().enumerate().map(|(i, bytes)| {
        (format!("layer{i:02}"), TensorView::new(Dtype::U8, vec![1_000_000], bytes).unwrap())
    });
    let content = safetensors::serialize(views, None).unwrap();
    let layout: Layout = recognise(&content).unwrap();
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(&content).unwrap();
    (content, writer.finish().unwrap().0)
}

/// Puts bytes into a store in memory.
fn in_memory(name: &str, bytes: &[u8]) -> Arc<dyn ObjectStore> {
    let (store, path) = (InMemory::new(), Path::from(name));
    {
        let mut put = pin!(store.put(&path, bytes.to_vec().into()));
        let Poll::Ready(put) = put.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a store in memory waits for nothing");
        };
        put.unwrap();
    }
    Arc::new(store)
}

fn extract(archive: &mut FrameArchive<RemoteFile>, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    archive.extract(name, &mut out).unwrap();
    out
}

/// Of 20 MB, one tensor takes as many bytes as it has and a few requests.
#[test]
fn only_what_is_asked_for_is_fetched() {
    let (content, frame) = model();
    let local = place(&[("m.parans", &frame)]);
    let local: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(local.path()).unwrap());
    for inner in [in_memory("m.parans", &frame), local] {
        let store = Arc::new(Counted::new(inner));
        let open = || RemoteFile::open(store.clone(), Path::from("m.parans")).unwrap();
        let mut archive = FrameArchive::open(open()).unwrap();
        let (requests, bytes) = store.counts();
        assert!(requests == 2 && bytes <= 80 << 10, "{requests} {bytes}");
        assert_eq!(archive.index().entries.len(), 20);
        let whole = FrameArchive::open(Cursor::new(&frame)).unwrap();
        let entry = whole.entry("layer07").unwrap().clone();
        let tensor = &content[entry.offset as usize..entry.end() as usize];
        assert_eq!(extract(&mut archive, "layer07"), tensor);
        let (requests, bytes) = store.counts();
        assert!(requests <= 2 && bytes < 2_110_000, "{requests} {bytes}");
        // All of it: in parts, several at a time.
        assert_eq!(archive.read_range(0..content.len() as u64).unwrap(), content);
        let (requests, bytes) = store.counts();
        assert!(requests < 16 && bytes < frame.len() as u64 + 100_000, "{requests} {bytes}");
        let longest = store.ranges.lock().unwrap().iter().map(|r| r.end - r.start).max();
        assert_eq!(longest, Some(2 << 20));
    }
}

#[test]
fn requests_that_fail_are_made_again() {
    let (content, frame) = model();
    let mut store = Counted::new(in_memory("m", &frame));
    store.ends = false;
    store.failures = AtomicUsize::new(3);
    let store = Arc::new(store);
    let file = RemoteFile::open(store.clone(), Path::from("m")).unwrap();
    assert_eq!(file.length(), frame.len() as u64);
    let mut archive = FrameArchive::open(file).unwrap();
    store.failures.store(4, Ordering::Relaxed);
    assert_eq!(
        extract(&mut archive, "layer00"),
        content[content.len() - 20_000_000..][..1_000_000]
    );
    store.failures.store(1000, Ordering::Relaxed);
    let error = archive.read_range(5_000_000..9_000_000).unwrap_err();
    assert!(error.to_string().contains("busy"), "{error}");
    let missing = RemoteFile::open(in_memory("m", &frame), Path::from("other")).unwrap_err();
    let parans::Error::Io(missing) = missing else { panic!("{missing}") };
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    for bytes in [&b""[..], b"x", &frame[..100]] {
        let file = RemoteFile::open(in_memory("m", bytes), Path::from("m")).unwrap();
        assert_eq!(file.length(), bytes.len() as u64);
        assert!(FrameArchive::open(file).is_err());
    }
}

#[test]
fn a_file_that_changes_is_an_error() {
    let (_, frame) = model();
    let folder = place(&[("m", &frame)]);
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let mut archive =
        FrameArchive::open(RemoteFile::open(store, Path::from("m")).unwrap()).unwrap();
    let mut other = frame.clone();
    other.push(0);
    fs::write(folder.path().join("m"), other).unwrap();
    let error = archive.extract("layer03", &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("changed"), "{error}");
}

/// A server of one file that knows ranges.
fn serve(bytes: Vec<u8>) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, bytes, count) = (stream.unwrap(), bytes.clone(), count.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                loop {
                    let mut range = 0..bytes.len();
                    let mut head = false;
                    loop {
                        let Some(Ok(line)) = lines.next() else { return };
                        head |= line.starts_with("HEAD ");
                        let line = line.to_ascii_lowercase();
                        if let Some(asked) = line.strip_prefix("range: bytes=") {
                            let (from, to) = asked.split_once('-').unwrap();
                            range = match (from.parse::<usize>(), to.parse::<usize>()) {
                                (Ok(from), Ok(to)) => from..bytes.len().min(to + 1),
                                (Err(_), Ok(n)) => bytes.len().saturating_sub(n)..bytes.len(),
                                (Ok(from), _) => from..bytes.len(),
                                _ => panic!("{line}"),
                            };
                        }
                        if line.is_empty() {
                            break;
                        }
                    }
                    let (length, last) = (range.len(), range.end - 1);
                    write!(
                        stream,
                        "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\n\
                         Content-Range: bytes {}-{last}/{}\r\nETag: \"one\"\r\n\
                         Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n",
                        range.start,
                        bytes.len()
                    )
                    .unwrap();
                    if !head {
                        stream.write_all(&bytes[range]).unwrap();
                        count.fetch_add(length as u64, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    (format!("http://{address}/folder/m.parans"), sent)
}

#[test]
fn the_program_reads_urls() {
    let (content, frame) = model();
    let directory = place(&[("m.parans", &frame)]);
    let path = directory.path();
    let (url, sent) = serve(frame.clone());
    let file = format!("file://{}", path.join("m.parans").display());
    for url in [&url, &file] {
        let listed = succeed(path, &format!("list {url}")).stdout;
        assert!(String::from_utf8(listed).unwrap().contains("safetensors"));
        let shown = succeed(path, &format!("inspect --json {url}")).stdout;
        let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown["entries"][3]["name"], "layer03");
        let tensor = succeed(path, &format!("extract {url} layer19")).stdout;
        assert_eq!(tensor, content[content.len() - 1_000_000..]);
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 2_300_000, "{sent} bytes of {}", frame.len());
    fail(path, &format!("extract {url} nothing"), USAGE, "nothing");
    fail(path, "extract file:///nothing/at/all x", IO, "/nothing");
    fail(path, "extract gopher://host/x y", USAGE, "gopher");
}
