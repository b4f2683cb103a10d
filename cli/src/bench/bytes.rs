//! Timing order-0 coding.

use std::{fs, hint::black_box, io::Write, path::Path, time::Instant};

use anyhow::{Result, ensure};

use super::{
    measure::{Seconds, Speed},
    report::{rounded, share, unwritable},
};
use crate::{escape, failure::named};

/// Times order-0 coding of a file's bytes.
pub(super) fn bench(file: &Path, repeat: usize, json: bool) -> Result<()> {
    let bytes = fs::read(file).map_err(|error| named(error, file.display()))?;
    let mut coded = Vec::new();
    let mut back = vec![0; bytes.len()];
    let (mut encode, mut decode) = (Seconds::default(), Seconds::default());
    let mut copy = Seconds::default();
    for _ in 0..=repeat {
        coded.clear();
        let start = Instant::now();
        parans::order0::encode_all(&bytes, &mut coded);
        encode.since(start);
        let start = Instant::now();
        parans::order0::decode_all(&coded, &mut back)?;
        decode.since(start);
        ensure!(back == bytes, "what was decoded is not what was encoded");
        back.fill(0);
        let start = Instant::now();
        back.copy_from_slice(&bytes);
        copy.since(start);
        black_box(&mut back).fill(0);
    }
    let millions = bytes.len() as f64 / 1e6;
    let (encode, decode) = (encode.speed(millions), decode.speed(millions));
    let copy = copy.speed(millions).best;
    let entropy = parans::order0::entropy_bytes(&bytes);
    let text = if json {
        serde_json::json!({
            "file": file.display().to_string(), "enc_mb_s": rounded(encode.best, 1),
            "dec_mb_s": rounded(decode.best, 1), "compressed": coded.len(),
            "entropy_bytes": entropy.ceil() as u64,
        })
        .to_string()
    } else {
        let name = escape::path(file);
        let (from, to) = (bytes.len(), coded.len());
        let order0 = to as f64 / entropy.max(1.0);
        let line = |what: &str, speed: Speed| {
            let (best, median, share) = (speed.best, speed.median, share(speed.best, copy));
            format!("{what} {best:>9.1} MB/s (median {median:.1}), {share} of a copy's speed")
        };
        let (encode, decode) = (line("encoding", encode), line("decoding", decode));
        format!(
            "{name}: {from} to {to} bytes ({order0:.4} of the order-0 entropy), on one thread, the \
             fastest of {repeat} calls\n{encode}\n{decode}"
        )
    };
    writeln!(std::io::stdout().lock(), "{text}").map_err(unwritable)
}
