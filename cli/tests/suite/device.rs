//! `--device`: what a device decodes is what the processor does.

use std::fs;

use tempfile::TempDir;

use crate::common::{DAMAGED, IO, USAGE, check_failure, fail, pipe, run, succeed};

/// A file of bfloat16 weights as safetensors, and some text beside it.
fn files() -> TempDir {
    let directory = TempDir::new().unwrap();
    let weights: Vec<u8> = (0..40_000u32)
        .flat_map(|i| {
            let mixed = i.wrapping_mul(0x9e37_79b9) >> 8;
            let bits = 0x3c00 | mixed & 0x01ff | (mixed >> 3 & 0x8000);
            (bits as u16).to_le_bytes()
        })
        .collect();
    let header = format!(
        "{{\"w\":{{\"dtype\":\"BF16\",\"shape\":[40000],\"data_offsets\":[0,{}]}}}}",
        weights.len()
    );
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &weights].concat();
    fs::write(directory.path().join("model"), file).unwrap();
    fs::write(directory.path().join("text"), "to be or not to be. ".repeat(3000)).unwrap();
    directory
}

#[test]
fn device_is_for_reading_files() {
    let directory = files();
    let at = directory.path();
    fail(at, "compress --device cuda:0 text", USAGE, "on the processor only");
    fail(at, "compress --device tpu text", USAGE, "devices are cpu");
    succeed(at, "compress -q text");
    fail(at, "decompress --keep-going --device cuda:0 -c text.parans", USAGE, "--keep-going");
    let back = succeed(at, "decompress --device cpu -c text.parans");
    assert_eq!(back.stdout, fs::read(at.join("text")).unwrap());
    // Without a driver, the reason is said and nothing is written.
    if std::env::var_os("CUDA_LIBRARY_PATH").is_none() {
        fs::remove_file(at.join("text")).unwrap();
        let output = run(at, "decompress --device cuda:9 text.parans");
        assert!(!output.status.success() && !at.join("text").exists());
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
}

#[test]
#[ignore = "needs an NVIDIA driver: scripts/software-cuda cargo test -p parans-cli -- --ignored device::"]
fn device_decodes_what_the_processor_does() {
    let directory = files();
    let at = directory.path();
    for name in ["model", "text"] {
        let original = fs::read(at.join(name)).unwrap();
        succeed(at, &format!("compress -q {name}"));
        succeed(at, &format!("test --device cuda:0 {name}.parans"));
        succeed(at, &format!("-t --device cuda:0 {name}.parans"));
        succeed(at, &format!("-d --device cuda:0 -f {name}.parans"));
        assert!(fs::read(at.join(name)).unwrap() == original);
        fail(
            at,
            &format!("test --device cuda:0 --max-output 100 {name}.parans"),
            IO,
            "more content than the 100 bytes allowed",
        );
        let frame = fs::read(at.join(format!("{name}.parans"))).unwrap();
        check_failure(&pipe("test --device cuda:0 -", &frame), name, USAGE, "needs a file");
        // Every part of the file is checked: header, chunks, index, the footer's checksum of the
        // content.
        for place in [20, 60, frame.len() / 2, frame.len() - 70, frame.len() - 16] {
            let mut damaged = frame.clone();
            damaged[place] ^= 4;
            fs::write(at.join("damaged.parans"), &damaged).unwrap();
            let on_device = run(at, "test --device cuda:0 damaged.parans");
            assert_eq!(on_device.status.code(), Some(DAMAGED), "{name} at {place}");
        }
    }
    fail(at, "test --device cuda:99 text.parans", IO, "device");
}
