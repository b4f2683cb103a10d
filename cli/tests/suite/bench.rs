//! `parans bench`, `parans devices` and `parans compress --check` through the program's own binary.

use std::process::Command;

use serde_json::Value;

use crate::common::{IO, fail, place, succeed};

fn parans(arguments: &str) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_parans"))
        .args(arguments.split_whitespace())
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn status(arguments: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parans"));
    let output = command.args(arguments.split_whitespace()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
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
        // 8 bits of entropy at most, and states per row.
        let bytes = object["bytes_per_symbol"].as_f64().unwrap();
        assert!(bytes > 0.3 && bytes < 1.2, "{out}");
    }
}

/// The table's lines: what was measured, what columns mean, columns, and figures by column.
struct Table {
    heading: String,
    legend: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    best: String,
}

fn table(arguments: &str) -> Table {
    let (ok, out, err) = parans(arguments);
    assert!(ok, "{err}");
    let mut lines = out.lines();
    let heading = lines.next().unwrap().to_owned();
    let (legend, rest): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with("  ") && line.contains(", "));
    let words = |line: &&str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (columns, rest) = rest.split_first().unwrap();
    let (best, rows) = rest.split_last().unwrap();
    let table = Table {
        heading,
        legend: legend.iter().map(|line| line.trim().to_owned()).collect(),
        columns: words(columns),
        rows: rows.iter().map(words).collect(),
        best: (*best).to_owned(),
    };
    for row in &table.rows {
        assert_eq!(row.len(), table.columns.len(), "{out}");
    }
    // Every column but those that the settings name is explained.
    for column in table
        .columns
        .iter()
        .filter(|name| !["family", "lanes", "lookup", "rows"].contains(&name.as_str()))
    {
        let explained = table
            .legend
            .iter()
            .any(|line| line.split("  ").next().unwrap().split(", ").any(|name| name == column));
        assert!(explained, "{column}: {out}");
    }
    table
}

impl Table {
    fn figures(&self, column: &str) -> Vec<f64> {
        let at = self.columns.iter().position(|name| name == column).unwrap();
        self.rows.iter().map(|row| row[at].trim_end_matches('%').parse().unwrap()).collect()
    }
}

#[test]
fn bench_without_json_is_a_table_over_row_counts() {
    let table = table("bench --symbols 8192 --repeat 2 --threads 2");
    assert!(
        table.heading.starts_with("rans64 x1 invcdf, 8192 symbols per call"),
        "{}",
        table.heading
    );
    assert!(table.heading.ends_with("on cpu, 2 threads"), "{}", table.heading);
    assert_eq!(table.figures("rows"), [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0]);
    let [push, pop, copy] = ["push", "pop", "copy"].map(|name| table.figures(name));
    for (row, &rows) in table.figures("rows").iter().enumerate() {
        // The fastest call is no slower than the median, and its time is its speed.
        for (name, speed) in [("push", push[row]), ("pop", pop[row])] {
            assert!(table.figures(&format!("{name}-med"))[row] <= speed);
            assert!(table.figures(&format!("{name}-1thr"))[row] > 0.0);
            let time = table.figures(&format!("{name}-us"))[row];
            assert!(
                (8192.0 / time / speed - 1.0).abs() < 0.01 + 0.1 / speed,
                "{name}, {rows} rows"
            );
            let share = table.figures(&format!("{name}/copy"))[row];
            assert!((100.0 * speed / copy[row] - share).abs() < 0.2, "{name}, {rows} rows");
        }
    }
    let most = |figures: &[f64]| figures.iter().copied().fold(0.0, f64::max);
    let best = format!("best: push {:.1} Msym/s (rans64 x1 invcdf, ", most(&push));
    assert!(table.best.starts_with(&best), "{}", table.best);
    assert!(table.best.contains(&format!(", pop {:.1} Msym/s (", most(&pop))), "{}", table.best);
}

#[test]
fn bench_uses_all_threads_unless_told_otherwise() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let all = table("bench --symbols 8192 --rows 16 --repeat 1");
    assert!(all.heading.contains(&format!("{cores} thread")), "{}", all.heading);
    assert_eq!(all.columns.contains(&"push-1thr".to_owned()), cores > 1);
    let one = table("bench --symbols 8192 --rows 16 --repeat 1 -T1");
    assert!(one.heading.ends_with("1 thread"), "{}", one.heading);
    assert!(!one.columns.contains(&"push-1thr".to_owned()));
    // Calls that take long have no microseconds.
    assert!(one.columns.contains(&"push-us".to_owned()));
    let long = table("bench --symbols 200000 --rows 16 --repeat 1");
    assert!(!long.columns.contains(&"push-us".to_owned()));
}

#[test]
fn bench_sweeps_over_families_and_lanes() {
    let settings = |table: &Table| {
        let column = |name: &str| table.columns.iter().position(|other| other == name).unwrap();
        let (family, lanes) = (column("family"), column("lanes"));
        let rows = table.rows.iter();
        rows.map(|row| format!("{} {}", row[family], row[lanes])).collect::<Vec<_>>()
    };
    let all =
        table("bench --family all --lanes all --alphabet 64 --symbols 1000 --rows 2 --repeat 1");
    assert_eq!(all.rows.len(), 6 * 5);
    assert_eq!(
        all.rows.len(),
        settings(&all).iter().collect::<std::collections::HashSet<_>>().len()
    );
    let some = table("bench --family tans16,rans64,tans16 --lanes 8,1 --symbols 1000 --rows 2,4");
    let expected = ["tans16 8", "tans16 1", "rans64 8", "rans64 1"];
    assert_eq!(settings(&some), expected.map(|name| [name, name]).as_flattened());
    assert_eq!(some.figures("rows"), [2.0, 4.0].repeat(4));
    // As JSON, it is as many objects.
    let (ok, out, err) = parans(
        "bench --json --family all --lanes 1,2 --alphabet 64 --symbols 1000 --rows 2,4 --repeat 1",
    );
    assert!(ok, "{err}");
    assert_eq!(out.lines().count(), 6 * 2 * 2);
    for line in out.lines() {
        let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        assert!(object.keys().eq(ROW_KEYS), "{line}");
        assert_eq!(object["threads"], 1);
    }
    // What cannot be coded so is left out, and said.
    let (ok, out, err) = parans(
        "bench --family all --lookup alias --alphabet 64 --symbols 1000 --rows 2 --repeat 1",
    );
    assert!(ok, "{err}");
    assert_eq!(err.lines().count(), 3, "{err}");
    assert!(err.lines().all(|line| line.starts_with("parans: tans") && line.contains("left out")));
    assert!(out.contains("rans32_16") && !out.contains("tans8"), "{out}");
    let (ok, _, err) =
        parans("bench --family tans8,tans16 --lookup alias --alphabet 64 --symbols 1000");
    assert!(!ok && err.lines().count() == 3 && err.ends_with("nothing to measure\n"), "{err}");
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
    let (ok, out, err) = parans(&format!("bench --repeat 2 --bytes {}", file.display()));
    assert!(ok, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains("on one thread, the fastest of 2 calls"), "{out}");
    assert!(lines[1].starts_with("encoding ") && lines[2].starts_with("decoding "), "{out}");
    assert!(lines[1..].iter().all(|line| line.contains("median")) && lines.len() == 3, "{out}");
    let (ok, _, err) = parans("bench --bytes /no/such/file");
    assert!(!ok && err == "parans: /no/such/file: No such file or directory\n", "{err}");
    std::fs::write(&file, "").unwrap();
    assert!(parans(&format!("bench --bytes {}", file.display())).0);
}

#[test]
fn wrong_settings_are_one_line() {
    for (arguments, word) in [
        ("bench --family rans32_16 --precision 16", "15"),
        ("bench --family rans", "possible values: rans64"),
        ("bench --family rans64,", "family"),
        ("bench --lanes 3", "possible values: 1, 2, 4, 8, 32, all"),
        ("bench --lookup hash", "possible values: auto"),
        ("bench --device gpu", "devices are cpu, cuda:0"),
        ("bench --precision 0", "precision"),
        ("bench --precision 99", "precision"),
        ("bench --rows 0", "row"),
        ("bench --rows 100 --symbols 10", "one per row"),
        ("bench --symbols 0", "one per row"),
        ("bench --repeat 0", "repeat"),
        ("bench --alphabet 0", "table"),
        ("bench --tables 0", "table"),
        ("bench --alphabet 99999999999 --tables 99999999999", "2^28"),
        ("bench --alphabet 100000 --precision 10 --symbols 100", "table"),
        ("bench --family tans8 --lookup alias --alphabet 64", "alias"),
    ] {
        let (status, err) = status(arguments);
        assert_eq!(status, Some(2), "{arguments}: {err}");
        assert!(err.contains(word) && err.lines().count() == 1, "{arguments}: {err}");
    }
    for (arguments, word) in [
        ("bench --device cuda:99 --symbols 100", "cuda"),
        ("bench --symbols 99999999999999", "no memory for 99999999999999 symbols"),
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

#[test]
fn a_picture_of_speeds() {
    let directory = place(&[]);
    let path = directory.path();
    succeed(path, "bench --symbols 20000 --rows 1,4,16 --repeat 1 --lanes 1,4 --plot speeds.svg");
    let svg = std::fs::read_to_string(path.join("speeds.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for words in
        ["rans64 x1 invcdf push", "rans64 x4 invcdf pop", "rows", "million symbols per second"]
    {
        assert!(svg.contains(words), "{words}");
    }
    fail(path, "bench --symbols 100 --rows 1 --plot speeds.svg", IO, "exists already");
    fail(path, "bench --symbols 100 --rows 1 --plot no/speeds.svg", IO, "no/speeds.svg");
}
