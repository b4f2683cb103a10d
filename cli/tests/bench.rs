//! `parans bench`, `parans devices` and `parans compress --check` through the program's own binary.

use std::process::Command;

use serde_json::Value;

fn parans(arguments: &str) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_parans"))
        .args(arguments.split_whitespace())
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// The keys that scripts which compare coders read, in their order.
const ROW_KEYS: [&str; 14] = [
    "family",
    "lanes",
    "lookup",
    "device",
    "rows",
    "symbols",
    "alphabet",
    "tables",
    "precision",
    "bypass",
    "threads",
    "push_msym_s",
    "pop_msym_s",
    "bytes_per_symbol",
];

#[test]
fn bench_prints_a_json_object_a_line() {
    for (family, more) in [
        ("rans64", "--lanes 4 --dist gauss --tables 64 --precision 15"),
        ("rans32", "--lookup alias"),
        ("rans32_16", "--lanes 32 --bypass --threads 2"),
        ("tans32", "--precision 12 --lanes 8"),
    ] {
        let (ok, out, err) = parans(&format!(
            "bench --json --family {family} --rows 16 --symbols 16384 --repeat 1 {more}"
        ));
        assert!(ok, "{err}");
        assert_eq!(out.lines().count(), 1, "{out}");
        let object: serde_json::Map<String, Value> = serde_json::from_str(&out).unwrap();
        assert!(object.keys().eq(ROW_KEYS), "{out}");
        assert_eq!(object["family"], family);
        assert_eq!(object["symbols"], 16384);
        assert_eq!(object["bypass"], more.contains("--bypass"));
        assert!(object["push_msym_s"].as_f64().unwrap() > 0.0);
        assert!(object["pop_msym_s"].as_f64().unwrap() > 0.0);
        // 8 bits of entropy at most, and states a row.
        let bytes = object["bytes_per_symbol"].as_f64().unwrap();
        assert!(bytes > 0.3 && bytes < 1.2, "{out}");
    }
}

#[test]
fn bench_without_json_is_a_table_over_row_counts() {
    let (ok, out, err) = parans("bench --symbols 8192 --repeat 1");
    assert!(ok, "{err}");
    // Two lines of heading, then 1, 4, 16, ... 4096 rows.
    assert_eq!(out.lines().count(), 9, "{out}");
    assert!(out.lines().nth(1).unwrap().contains("push Msym/s"), "{out}");
    // Beside each speed, its share of a copy's.
    for line in out.lines().skip(2) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let figure = |at: usize| fields[at].trim_end_matches('%').parse::<f64>().unwrap();
        assert_eq!(fields.len(), 7, "{out}");
        for (speed, share) in [(1, 5), (2, 6)] {
            assert!((100.0 * figure(speed) / figure(4) - figure(share)).abs() < 0.2, "{line}");
        }
    }
}

#[test]
fn bench_of_bytes_counts_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    std::fs::write(&file, "entropy codes what it can expect ".repeat(10_000)).unwrap();
    let (ok, out, err) = parans(&format!("bench --json --repeat 1 --bytes {}", file.display()));
    assert!(ok, "{err}");
    let object: serde_json::Map<String, Value> = serde_json::from_str(&out).unwrap();
    let keys = ["file", "enc_mb_s", "dec_mb_s", "compressed", "entropy_bytes"];
    assert!(object.keys().eq(keys), "{out}");
    let (compressed, entropy) =
        (object["compressed"].as_f64().unwrap(), object["entropy_bytes"].as_f64().unwrap());
    assert!(compressed > 0.95 * entropy && compressed < 1.02 * entropy, "{out}");
    let (ok, _, err) = parans("bench --bytes /no/such/file");
    assert!(!ok && err.lines().count() == 1, "{err}");
}

#[test]
fn wrong_settings_are_one_line() {
    for (arguments, word) in [
        ("bench --family rans32_16 --precision 16", "15"),
        ("bench --lanes 3", "lanes"),
        ("bench --device cuda:99 --symbols 100", "cuda"),
        ("bench --rows 0", "row"),
    ] {
        let (ok, _, err) = parans(arguments);
        assert!(!ok, "{arguments}");
        assert!(err.contains(word) && err.lines().count() == 1, "{arguments}: {err}");
    }
}

#[test]
fn devices_lists_the_cpu_and_why_there_is_no_gpu() {
    let (ok, out, err) = parans("devices");
    assert!(ok, "{err}");
    assert!(out.starts_with("cpu "), "{out}");
    assert!(out.lines().any(|line| line.starts_with("cuda")), "{out}");
}

#[test]
fn check_reads_the_output_back() {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in"), directory.path().join("out"));
    std::fs::write(&input, vec![7u8; 100_000]).unwrap();
    let (ok, _, err) =
        parans(&format!("compress --check {} -o {}", input.display(), output.display()));
    assert!(ok, "{err}");
    // One line for the file, one for the check.
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(err.lines().all(|line| line.contains("MB/s")), "{err}");
    let (ok, _, err) = parans(&format!("compress --check -c {}", input.display()));
    assert!(!ok && err.contains("--check"), "{err}");
}
