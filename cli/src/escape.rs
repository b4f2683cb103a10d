//! Names as a terminal may show them. A file name, a tensor's name and the name of its type can
//! hold line ends and escape sequences; what is printed shows them escaped.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

/// `text` with control characters, and other characters that show nothing, as `\n`, `\u{1b}`.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push(&mut out, text);
    out
}

/// A path, with bytes that are not UTF-8 as `\xff`.
pub(crate) fn path(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        push(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn push(out: &mut String, text: &str) {
    // `escape_debug` escapes these three as well, though a terminal shows them as they are.
    let plain = ['\'', '"', '\\'];
    for part in text.split_inclusive(plain) {
        let visible = part.strip_suffix(plain).unwrap_or(part);
        out.extend(visible.escape_debug());
        out.push_str(&part[visible.len()..]);
    }
}

/// JSON text in ASCII where a character shows nothing: JSON itself escapes only some of them.
pub(crate) struct Json<'a>(pub(crate) &'a serde_json::Value);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            // Such characters stand in strings only.
            if c == '\u{7f}' || !c.is_ascii() && c.escape_debug().len() > 1 {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(f, "\\u{unit:04x}")?;
                }
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_stays_and_the_rest_is_escaped() {
        for plain in ["it's", "a \"b\" c:\\d", "größe", "e\u{301}t\u{e9}", "日本"] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(text("a\nb\u{1b}[31m\u{9b}\u{202e}"), "a\\nb\\u{1b}[31m\\u{9b}\\u{202e}");
        let value = serde_json::json!({"a": "\u{1b}\u{9b}\u{7f}\u{202e}é\u{e0001}"});
        let shown = Json(&value).to_string();
        assert!(shown.chars().all(|c| c == 'é' || (' '..='~').contains(&c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
