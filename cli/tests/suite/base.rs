//! `--base` and `rebase`: files coded against other files; and tensors that are stored once.

use std::fs;

use crate::common::*;

/// A safetensors file of float32 tensors.
fn model(tensors: &[(&str, &[f32])]) -> Vec<u8> {
    use safetensors::{Dtype, tensor::TensorView};
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|(&(name, values), bytes)| {
        (name, TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// Weights after so many steps of training.
fn weights(step: usize) -> Vec<f32> {
    let random = |i: usize| {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32
    };
    let moved = |i| (0..step).map(|step| 1e-5 * (random(7 * i + step) - 0.5)).sum::<f32>();
    (0..200_000).map(|i| 0.1 * (random(i) - 0.5) + moved(i)).collect()
}

#[test]
fn a_chain_of_checkpoints() {
    let steps: Vec<Vec<u8>> = (0..4).map(|step| model(&[("w", &weights(step))])).collect();
    let files = [("step0.st", &steps[0][..]), ("step1.st", &steps[1]), ("step2.st", &steps[2])];
    let directory = place(&files);
    let path = directory.path();
    fs::create_dir(path.join("out")).unwrap();
    succeed(path, "compress step0.st");
    succeed(path, "compress step1.st --base step0.st.parans --check");
    succeed(path, "compress step2.st --base step1.st.parans -o out/2.parans");
    let length = |name: &str| fs::metadata(path.join(name)).unwrap().len();
    assert!(length("step1.st.parans") < length("step0.st.parans") * 7 / 10);
    for name in ["step0.st", "step1.st", "step2.st"] {
        fs::remove_file(path.join(name)).unwrap();
    }
    // Each is found by its path from the one that is coded against it.
    assert_eq!(succeed(path, "decompress out/2.parans -c").stdout, steps[2]);
    succeed(path, "test out/2.parans step1.st.parans");
    let shown = succeed(path, "inspect out/2.parans").stdout;
    assert!(String::from_utf8(shown).unwrap().contains("base ../step1.st.parans, "));
    let tensor = &steps[2][steps[2].len() - 800_000..];
    assert_eq!(succeed(path, "extract out/2.parans w").stdout, tensor);

    succeed(path, "rebase out/2.parans -o alone.parans");
    succeed(path, "rebase out/2.parans --base step0.st.parans -o near.parans");
    fs::rename(path.join("step1.st.parans"), path.join("moved")).unwrap();
    assert_eq!(succeed(path, "-d alone.parans -c").stdout, steps[2]);
    assert_eq!(succeed(path, "-d near.parans -c").stdout, steps[2]);
    fail(path, "-d out/2.parans -c", USAGE, "step1.st.parans");
    fail(path, "extract out/2.parans w", USAGE, "step1.st.parans");
    fail(path, "test out/2.parans", USAGE, "step1.st.parans");
    assert_eq!(succeed(path, "-d out/2.parans -c --base moved").stdout, steps[2]);
    assert_eq!(succeed(path, "extract out/2.parans w --base moved").stdout, tensor);
    // Another base, and none for a pipe.
    fail(path, "-d out/2.parans -c --base step0.st.parans", USAGE, "is not the base");
    let frame = fs::read(path.join("out/2.parans")).unwrap();
    check_failure(&pipe("-d", &frame), "pipe", USAGE, "none was given");
    let base = path.join("moved").display().to_string();
    assert_eq!(pipe(&format!("-d --base {base}"), &frame).stdout, steps[2]);
    let wrong = path.join("step0.st.parans").display().to_string();
    check_failure(&pipe(&format!("-d --base {wrong}"), &frame), "pipe", USAGE, "not those");
}

#[test]
fn a_base_that_is_damaged_or_leads_to_itself() {
    let (old, new) = (model(&[("w", &weights(0))]), model(&[("w", &weights(1))]));
    let directory = place(&[("old", &old), ("new", &new)]);
    let path = directory.path();
    succeed(path, "compress old");
    succeed(path, "compress new --base old.parans");
    fs::remove_file(path.join("old")).unwrap();
    let mut frame = fs::read(path.join("old.parans")).unwrap();
    frame[200_000] ^= 1;
    fs::write(path.join("old.parans"), frame).unwrap();
    fail(path, "-d new.parans -c", DAMAGED, "chunk");
    fs::copy(path.join("new.parans"), path.join("old.parans")).unwrap();
    fail(path, "-d new.parans -c", USAGE, "cycle");
    fs::remove_file(path.join("old.parans")).unwrap();
    fail(path, "-d new.parans -c", USAGE, "old.parans");
    fail(path, "compress new --base nothing -o x", IO, "nothing");
    assert!(!path.join("x").exists());
}

#[test]
fn tied_tensors_are_stored_once() {
    let (embedding, other) = (weights(0), weights(2));
    let content = model(&[("a", &embedding), ("b", &other), ("c", &embedding)]);
    let directory = place(&[("model", &content)]);
    let path = directory.path();
    succeed(path, "compress model");
    let frame = fs::read(path.join("model.parans")).unwrap();
    let piped = pipe("-z -c", &content).stdout;
    assert!(frame.len() < piped.len() * 7 / 10, "{} {}", frame.len(), piped.len());
    assert_eq!(pipe("-d", &frame).stdout, content);
    assert_eq!(succeed(path, "-d -c model.parans").stdout, content);
    assert_eq!(succeed(path, "extract model.parans c").stdout.len(), 800_000);
    let shown = succeed(path, "inspect --json model.parans").stdout;
    let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["codecs"]["repeat"]["chunks"], 1);
}

/// Tensors under other names and in another order are found by their bytes.
#[test]
fn renamed_tensors_are_found() {
    let (one, two, near) = (weights(0), weights(1), weights(2));
    let other: Vec<f32> = one.iter().rev().copied().collect();
    let old = model(&[("a", &one), ("b", &two), ("c", &other)]);
    let new = model(&[("p.c", &one), ("p.a", &other), ("b", &near)]);
    let directory = place(&[("old", &old), ("new", &new)]);
    let path = directory.path();
    succeed(path, "compress new --base old");
    let length = fs::metadata(path.join("new.parans")).unwrap().len();
    assert!(length < 600_000, "{length}");
    assert_eq!(succeed(path, "-d -c new.parans").stdout, new);
}

/// No base is overwritten, deleted or coded against itself.
#[test]
fn bases_are_kept() {
    let steps: Vec<Vec<u8>> = (0..3).map(|step| model(&[("w", &weights(step))])).collect();
    let directory = place(&[("s0", &steps[0]), ("s1", &steps[1]), ("s2", &steps[2])]);
    let path = directory.path();
    succeed(path, "compress s1 --base s0");
    fail(path, "compress -f s2 --base s1.parans -o s1.parans", USAGE, "is a base");
    // Neither is one that the base needs.
    fail(path, "compress -f s2 --base s1.parans -o s0", USAGE, "is a base");
    fail(path, "compress s0 --base s1.parans --rm", USAGE, "its own base");
    let output = run(path, "compress s0 s2 --base s0 --rm");
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(path.join("s0").exists() && !path.join("s2").exists());
    fail(path, "-df s2.parans -o s0", USAGE, "is a base");
    fail(path, "rebase -f s1.parans -o s0", USAGE, "is a base");
    fail(path, "extract -f s1.parans w -o s0", USAGE, "is a base");
    assert_eq!(succeed(path, "-dc s2.parans").stdout, steps[2]);
    assert_eq!(succeed(path, "-dc s1.parans").stdout, steps[1]);
}
