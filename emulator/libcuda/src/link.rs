//! The linker, `cuLink*`: several PTX texts made into one.

use crate::abi::{Handle, Host, In, Out, Status, Text, exports};
use crate::context::{Context, working};
use crate::errors::{CudaError, diagnose};
use crate::image;
use crate::jit::Options;
use crate::module;
use crate::sync::lock;
use crate::table::Table;
use std::sync::{Arc, Mutex};

/// All linkers.
static LINKERS: Table<Linker> = Table::new(0x18);

/// A link under way.
pub(crate) struct Linker {
    context: Arc<Context>,
    options: Options,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pieces: Vec<String>,
    /// What the program reads until it destroys the linker.
    linked: Option<Vec<u8>>,
}

/// `CUjitInputType`.
const CUBIN: u32 = 0;
const PTX: u32 = 1;
const FAT_BINARY: u32 = 2;
const LAST_INPUT: u32 = 5;

/// Joins PTX texts: the newest version and target first, then each text without its own.
///
/// A function that one text declares `.extern` and another defines is declared as the definition
/// is, which is what PTX asks inside one module; an `.extern` variable that another text defines is
/// dropped with its declaration.
fn join(pieces: &[String]) -> String {
    let version = pieces.iter().filter_map(|piece| module::version(piece)).max().unwrap_or((6, 3));
    let target = pieces.iter().filter_map(|piece| module::target(piece)).max().unwrap_or(75);
    let mut text =
        format!(".version {}.{}\n.target sm_{target}\n.address_size 64\n", version.0, version.1);
    for (index, piece) in pieces.iter().enumerate() {
        let defined_elsewhere = |name: &str| {
            pieces.iter().enumerate().any(|(other, piece)| other != index && defines(piece, name))
        };
        text.push_str(&format!("\n// linked text {index}\n"));
        for statement in statements(piece) {
            let bare = without_comments(statement);
            let is_header =
                [".version", ".target", ".address_size"].iter().any(|d| bare.starts_with(d));
            let external = bare.strip_prefix(".extern").map(str::trim_start);
            match external {
                _ if is_header => {}
                Some(declared) if declared_name(declared).is_some_and(&defined_elsewhere) => {
                    if declared.starts_with(".func") {
                        text.push_str(&format!(".visible {declared}\n"));
                    }
                }
                _ => text.push_str(statement),
            }
        }
    }
    text
}

/// Splits PTX into its statements at module scope: a header line, a declaration up to its `;`, a
/// body up to its `}`.
fn statements(ptx: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    let bytes = ptx.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += ptx[at..].find('\n').unwrap_or(ptx.len() - at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at += ptx[at..].find("*/").map_or(ptx.len() - at, |end| end + 2);
                continue;
            }
            b'"' => at += ptx[at + 1..].find('"').map_or(0, |end| end + 1),
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let bare = || without_comments(&ptx[start..at]);
        let ends = match bytes[at] {
            b';' => depth == 0,
            // An initialiser's brace is followed by a `;`, a body's by nothing.
            b'}' => depth == 0 && !bare().contains('='),
            b'\n' => {
                depth == 0
                    && [".version", ".target", ".address_size", ".file"]
                        .iter()
                        .any(|d| bare().starts_with(d))
            }
            _ => false,
        };
        at += 1;
        if ends {
            found.push(&ptx[start..at]);
            start = at;
        }
    }
    if start < ptx.len() {
        found.push(&ptx[start..]);
    }
    found
}

/// A statement without the comments and blanks before it.
fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        let end = if rest.starts_with("//") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else {
            return rest;
        };
        match end {
            Some(end) => rest = rest[end..].trim_start(),
            None => return "",
        }
    }
}

/// The name that a declaration or definition without its linking directive introduces.
fn declared_name(declared: &str) -> Option<&str> {
    let rest = match declared.strip_prefix(".func") {
        // A function: its return parameter stands in brackets before the name.
        Some(rest) => {
            let rest = rest.trim_start();
            if rest.starts_with('(') { rest[rest.find(')')? + 1..].trim_start() } else { rest }
        }
        // A variable: the name is the first word that is no directive and no number.
        None => {
            let is_name = |word: &str| {
                !word.starts_with('.') && !word.starts_with(|c: char| c.is_ascii_digit())
            };
            let word = declared.split_whitespace().find(|word| is_name(word))?;
            &declared[word.as_ptr() as usize - declared.as_ptr() as usize..]
        }
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '%');
    let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

/// Whether a text defines a name for others to use.
fn defines(piece: &str, name: &str) -> bool {
    statements(piece).into_iter().any(|statement| {
        let bare = without_comments(statement);
        let rest = [".visible", ".weak"].iter().find_map(|linking| bare.strip_prefix(linking));
        rest.map(str::trim_start).and_then(declared_name) == Some(name)
    })
}

/// Takes in one input.
fn add(linker: &Linker, kind: u32, bytes: &[u8]) -> Status {
    let ptx = match kind {
        PTX | FAT_BINARY => image::from_bytes(bytes),
        CUBIN => Err(CudaError::NoBinaryForGpu),
        3..=LAST_INPUT => Err(CudaError::NotSupported),
        _ => Err(CudaError::InvalidValue),
    }?;
    if module::version(&ptx).is_none() {
        let text = "linker input is no PTX: it has no .version";
        diagnose(text);
        linker.options.finish(text, "")?;
        return Err(CudaError::InvalidPtx);
    }
    lock(&linker.state).pieces.push(ptx);
    Ok(())
}

exports! {
    fn cuLinkCreate_v2(count: u32, options: In<u32>, values: Out<usize>, out: Out<Handle<Linker>>) {
        let context = working()?;
        out.required()?;
        let options = Options::read(count, options, values)?;
        out.set(LINKERS.insert(Linker { context, options, state: Mutex::default() }))
    }

    fn cuLinkAddData_v2(
        handle: Handle<Linker>,
        kind: u32,
        data: Host,
        bytes: usize,
        _name: Host,
        _count: u32,
        _options: Host,
        _values: Host,
    ) {
        let linker = LINKERS.get(handle)?;
        linker.context.healthy()?;
        add(&linker, kind, data.bytes(bytes)?)
    }

    fn cuLinkAddFile_v2(
        handle: Handle<Linker>,
        kind: u32,
        path: Text,
        _count: u32,
        _options: Host,
        _values: Host,
    ) {
        let linker = LINKERS.get(handle)?;
        linker.context.healthy()?;
        add(&linker, kind, &std::fs::read(path.get()?).map_err(|_| CudaError::FileNotFound)?)
    }

    /// The result is PTX with a terminating zero, which the module calls take; it lives as long as
    /// the linker.
    fn cuLinkComplete(handle: Handle<Linker>, image: Out<Host>, bytes: Out<usize>) {
        let linker = LINKERS.get(handle)?;
        linker.context.healthy()?;
        image.required()?;
        let mut state = lock(&linker.state);
        if state.linked.is_none() {
            let text = join(&state.pieces);
            if let Err(error) = linker.context.device.machine.load(&text) {
                let message = format!("linking failed, line {error} of:\n{text}");
                diagnose(&message);
                linker.options.finish(&message, "")?;
                return Err(CudaError::InvalidPtx);
            }
            linker.options.finish("", "linked\n")?;
            let mut text = text.into_bytes();
            text.push(0);
            state.linked = Some(text);
        }
        let linked = state.linked.as_mut().ok_or(CudaError::Unknown)?;
        bytes.set_if_asked(linked.len());
        image.set(Host::new(linked.as_mut_ptr().cast()))
    }

    fn cuLinkDestroy(handle: Handle<Linker>) {
        LINKERS.remove(handle).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{declared_name, join, statements};

    const CALLER: &str = ".version 7.0\n.target sm_75\n.address_size 64\n\
        .extern .func (.param .b32 r) twice(.param .b32 x); // from elsewhere\n\
        .extern .global .align 4 .b32 table[4];\n\
        .visible .entry main() { { ret; } }\n";
    const CALLEE: &str = ".version 8.1\n.target sm_80\n.address_size 64\n/* } */\n\
        .visible .global .align 4 .b32 table[4] = {1, 2, 3, 4};\n\
        .visible .func (.param .b32 r) twice(.param .b32 x) { ret; }\n";

    #[test]
    fn texts_split_at_module_scope() {
        assert_eq!(statements(CALLER).len(), 7); // the last is the line's end
        assert_eq!(statements(CALLEE).len(), 6);
        assert_eq!(declared_name(".func (.param .b32 r) twice(.param .b32 x);"), Some("twice"));
        assert_eq!(declared_name(".global .align 4 .b32 table[4];"), Some("table"));
    }

    #[test]
    fn declarations_meet_their_definitions() {
        let text = join(&[CALLER.to_owned(), CALLEE.to_owned()]);
        assert!(text.starts_with(".version 8.1\n.target sm_80\n.address_size 64\n"), "{text}");
        assert!(!text.contains(".extern"), "{text}");
        assert_eq!(text.matches(".version").count(), 1);
        assert!(text.contains(".visible .func (.param .b32 r) twice(.param .b32 x);"), "{text}");
        assert_eq!(text.matches("table[4]").count(), 1);
        // What nobody defines stays external, for the loader to refuse.
        assert!(join(&[CALLER.to_owned()]).contains(".extern .func"));
    }
}
