//! Man pages and completions.

use std::fs;

use crate::common::*;

const COMMANDS: [&str; 11] = [
    "bench",
    "completions",
    "compress",
    "decompress",
    "devices",
    "extract",
    "inspect",
    "list",
    "man",
    "rebase",
    "test",
];

fn page(words: &str) -> String {
    let directory = place(&[]);
    String::from_utf8(succeed(directory.path(), words).stdout).unwrap()
}

#[test]
fn every_command_has_a_page() {
    let directory = place(&[("file", b"")]);
    let at = directory.path();
    succeed(at, "man --dir new/pages");
    let mut files: Vec<String> = COMMANDS.map(|command| format!("parans-{command}.1")).into();
    files.push("parans.1".into());
    files.sort();
    assert_eq!(names(&at.join("new/pages")), files);
    for file in &files {
        let text = fs::read_to_string(at.join("new/pages").join(file)).unwrap();
        let command = file.trim_end_matches(".1");
        assert!(text.contains(&format!(".TH {command} 1")), "{text}");
        for section in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"] {
            let heading = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
            assert!(heading.iter().any(|heading| text.contains(heading)), "{file}: {section}");
        }
        let examples = text.split_once("EXAMPLES").unwrap().1;
        assert!(examples.contains("parans "), "{file}");
        // The page that is printed is the one in the file.
        let words =
            command.strip_prefix("parans-").map_or("man".into(), |name| format!("man {name}"));
        assert_eq!(page(&words), text);
    }
    fail(at, "man --dir file", IO, "cannot write file");
    fail(at, "man --dir /proc/none", IO, "cannot write /proc/none");
}

#[test]
fn pages_have_the_flags_of_their_commands() {
    for (words, flags) in [
        ("man", &["\\-\\-decompress", "\\-\\-sparse", "PARANS_SIMD", "parans\\-extract"][..]),
        ("man decompress", &["\\-\\-keep\\-going", "\\-\\-output\\-dir\\-flat"]),
        ("man extract", &["\\-\\-npy", "\\-\\-bytes", "BF16"]),
        ("man bench", &["\\-\\-family", "tans8", "\\-\\-repeat"]),
        ("man inspect", &["\\-\\-json"]),
        ("man man", &["\\-\\-dir"]),
    ] {
        let text = page(words);
        assert!(text.is_ascii(), "{words}: {text}");
        for flag in flags {
            assert!(text.contains(flag), "{words}: {flag}: {text}");
        }
    }
    assert!(!page("man list").contains("\\-\\-rm"));
}

/// groff, where it is installed, finds nothing to complain about.
#[test]
fn groff_reads_the_pages() {
    let directory = place(&[]);
    let at = directory.path();
    succeed(at, "man --dir .");
    for name in names(at) {
        let mut groff = std::process::Command::new("groff");
        groff.current_dir(at).args(["-man", "-ww", "-Tutf8", "-z"]).arg(&name);
        let Ok(output) = groff.output() else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

#[test]
fn completions_offer_values_and_files() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = page(&format!("completions {shell}")).replace("\\:", ":");
        for word in COMMANDS {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // elvish's and powershell's scripts list flags only.
        if ["bash", "zsh", "fish"].contains(&shell) {
            for word in ["rans32_16", "tans8", "invcdf", "alias", "cuda:0", "32 all", "gauss"] {
                let in_lines = word.replace(' ', "\n");
                let found = script.contains(word) || script.contains(&word.replace(' ', "\\t''\n"));
                assert!(found || script.contains(&in_lines), "{shell}: {word}: {script}");
            }
        }
    }
}

/// What bash offers at the end of a line.
#[cfg(unix)]
fn offered(words: &[&str]) -> Option<Vec<String>> {
    let directory = place(&[("file.parans", b""), ("other", b"")]);
    let script = page("completions bash");
    fs::write(directory.path().join("script"), script).unwrap();
    // `compopt` works only where readline completes.
    let line = format!(
        "compopt() {{ :; }}; . ./script; COMP_WORDS=({}); COMP_CWORD={}; _parans parans '{}' '{}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let mut bash = std::process::Command::new("bash");
    let output = bash.current_dir(directory.path()).args(["-c", &line]).output().ok()?;
    let offered = String::from_utf8(output.stdout).unwrap();
    Some(offered.split_whitespace().map(str::to_owned).collect())
}

#[cfg(unix)]
#[test]
fn bash_completes() {
    for (words, expected) in [
        (&["parans", "bench", "--family", "rans32"][..], &["rans32", "rans32_16"][..]),
        (&["parans", "bench", "--lanes", ""], &["1", "2", "4", "8", "32", "all"]),
        (&["parans", "bench", "--lookup", "a"], &["auto", "alias"]),
        (&["parans", "bench", "--device", "c"], &["cpu", "cuda:0", "cuda:1"]),
        (&["parans", "man", "de"], &["decompress", "devices"]),
    ] {
        let Some(offered) = offered(words) else { return };
        assert_eq!(offered, expected, "{words:?}");
    }
    // Files are offered where files are meant.
    for words in [
        &["parans", "list", "fi"][..],
        &["parans", "extract", "fi"],
        &["parans", "compress", "--output", "fi"],
        &["parans", "bench", "--bytes", "fi"],
        &["parans", "fi"],
    ] {
        let Some(offered) = offered(words) else { return };
        assert!(offered.contains(&"file.parans".to_owned()), "{words:?}: {offered:?}");
    }
    // An empty word can be a command or a file, and no flag.
    let Some(offered) = offered(&["parans", ""]) else { return };
    for word in ["compress", "list", "file.parans", "other"] {
        assert!(offered.contains(&word.to_owned()), "{word}: {offered:?}");
    }
    assert!(!offered.iter().any(|word| word.starts_with('-')), "{offered:?}");
}
