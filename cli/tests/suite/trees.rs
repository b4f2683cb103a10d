//! Directories: trees that are kept, models in several files, tensors that several files have.

use std::{fs, path::Path};

use crate::common::*;

/// A safetensors file of bytes.
fn shard(tensors: &[(&str, &[u8])]) -> Vec<u8> {
    use safetensors::{Dtype, tensor::TensorView};
    let views = tensors.iter().map(|&(name, bytes)| {
        (name, TensorView::new(Dtype::U8, vec![bytes.len()], bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn index(files: &[(&str, &str)]) -> String {
    let files: Vec<String> =
        files.iter().map(|(tensor, file)| format!("    \"{tensor}\": \"{file}\"")).collect();
    format!(
        "{{\n  \"metadata\": {{\"total_size\": 8}},\n  \"weight_map\": {{\n{}\n  }}\n}}\n",
        files.join(",\n")
    )
}

/// The files below a directory, by their paths.
fn tree(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_model_in_several_files() {
    let (one, other) = (noise(400_000), text(300_000));
    let directory = place(&[]);
    let path = directory.path();
    fs::create_dir_all(path.join("model/sub")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(path.join(name), bytes).unwrap();
    write("model/a-00001-of-00002.safetensors", &shard(&[("one", &one)]));
    write("model/a-00002-of-00002.safetensors", &shard(&[("other", &other), ("x", b"x")]));
    let files = [
        ("one", "a-00001-of-00002.safetensors"),
        ("other", "a-00002-of-00002.safetensors"),
        ("x", "a-00002-of-00002.safetensors"),
    ];
    write("model/a.safetensors.index.json", index(&files).as_bytes());
    write("model/sub/readme", b"words");
    succeed(path, "compress -r model --output-dir-mirror small");
    let made = tree(&path.join("small"));
    let paths: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        paths,
        [
            "model/a-00001-of-00002.safetensors.parans",
            "model/a-00002-of-00002.safetensors.parans",
            "model/a.safetensors.index.json.parans",
            "model/a.safetensors.parans.index.json",
            "model/sub/readme.parans",
        ]
    );
    let rewritten: serde_json::Value = serde_json::from_slice(&made[3].1).unwrap();
    assert_eq!(rewritten["weight_map"]["x"], "a-00002-of-00002.safetensors.parans");
    assert_eq!(rewritten["metadata"]["total_size"], 8);
    let from_index = succeed(path, "extract small/model/a.safetensors.parans.index.json other");
    assert_eq!(from_index.stdout, other);
    let line = "extract small/model/a.safetensors.parans.index.json";
    fail(path, &format!("{line} nothing"), USAGE, "nothing");
    fail(path, line, USAGE, "which tensor");

    succeed(path, "decompress -r small --output-dir-mirror back");
    assert_eq!(tree(&path.join("back/small/model")), tree(&path.join("model")));
    // A second call in place leaves the written index alone.
    succeed(path, "compress -r small --output-dir-flat twice");
    assert!(names(&path.join("twice")).is_empty());
    fail(path, "compress model/../model/sub/readme --output-dir-mirror x", USAGE, "..");
}

/// An index is no way to files elsewhere.
#[test]
fn an_index_that_leads_away() {
    let directory = place(&[("secret", b"x")]);
    let path = directory.path();
    fs::create_dir(path.join("model")).unwrap();
    for file in ["../secret", "/etc/passwd", "", "a/b"] {
        let text = index(&[("x", file)]);
        fs::write(path.join("model/a.index.json"), text).unwrap();
        fail(path, "extract model/a.index.json x", USAGE, "no file beside");
    }
    fs::write(path.join("model/a.index.json"), "[]").unwrap();
    fail(path, "extract model/a.index.json x", USAGE, "no index");
}

#[test]
fn tensors_of_several_files_are_stored_once() {
    let (shared, own) = (noise(600_000), noise(700_000)[600_000..].to_vec());
    let (a, b) = (shard(&[("w", &shared)]), shard(&[("v", &shared), ("z", &own)]));
    let directory = place(&[("a", &a), ("b", &b), ("c", &b)]);
    let path = directory.path();
    succeed(path, "compress a b c --dedup");
    let length = |name: &str| fs::metadata(path.join(name)).unwrap().len();
    assert!(length("b.parans") < 110_000 && length("c.parans") < 110_000, "{}", length("c.parans"));
    for name in ["a", "b", "c"] {
        fs::remove_file(path.join(name)).unwrap();
    }
    succeed(path, "decompress a.parans b.parans c.parans --rm");
    assert_eq!(fs::read(path.join("b")).unwrap(), b);
    assert_eq!(fs::read(path.join("c")).unwrap(), b);
}
