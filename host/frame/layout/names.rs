//! The tensors of a pickle under the names that a user of `torch.load` would give them:
//! `model.layer.weight` for `loaded["model"]["layer.weight"]`, `state.0.exp_avg`.

use std::collections::HashMap;

use super::{
    pickle::{Id, Machine, Tensor, Value},
    types::{Type, count},
};
use crate::frame::index::MAX_NAME;

/// Dictionaries, lists and objects inside one another.
const MAX_DEPTH: usize = 64;
/// Attributes of modules that are in no name: `net.weight`, not `_modules.net._parameters.weight`.
const HIDDEN: [&str; 3] = ["_modules", "_parameters", "_buffers"];

/// What an archive of `torch.save` holds.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Bytes and type of each storage.
    pub(super) storages: HashMap<String, (u64, Option<&'static Type>)>,
    pub(super) views: Vec<View>,
}

/// A tensor in its storage.
#[derive(Debug)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) key: String,
    /// Where it begins in the storage, and its bytes, with those between its elements.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// The type and the shape of elements that lie one after another; none of others, which no
    /// reader could take for a tensor without their strides.
    pub(super) tensor: Option<(&'static Type, Vec<u64>)>,
}

/// The storages and tensors of a pickle; none where it is no pickle that is read.
pub(super) fn read(pickle: &[u8]) -> Option<Model> {
    let (machine, root) = Machine::run(pickle)?;
    Some(names(&machine, root, pickle.len()))
}

/// What a pickle of so many bytes holds, whose last value is `root`.
fn names(machine: &Machine<'_>, root: Id, pickle: usize) -> Model {
    let storages = machine.storages.iter();
    let storages = storages.map(|storage| (storage.key.into(), (storage.bytes, storage.kind)));
    let mut walk = Walk {
        machine,
        path: String::new(),
        views: Vec::new(),
        // A value may lie in many others, and those in many again: what a pickle makes of a few
        // bytes grows without end. Each may be seen twice, and names may take 16 times its bytes.
        steps: 2 * machine.values.len() + (1 << 16),
        names: 16 * pickle + (1 << 20),
    };
    walk.visit(root, MAX_DEPTH);
    Model { storages: storages.collect(), views: walk.views }
}

struct Walk<'m, 'a> {
    machine: &'m Machine<'a>,
    path: String,
    views: Vec<View>,
    steps: usize,
    names: usize,
}

impl Walk<'_, '_> {
    fn visit(&mut self, id: Id, depth: usize) {
        // What is too deep is a step as well: a list may hold itself any number of times.
        let Some(steps) = self.steps.checked_sub(1) else { return };
        self.steps = steps;
        let Some(depth) = depth.checked_sub(1) else { return };
        let machine = self.machine;
        match &machine.values[id as usize] {
            Value::Tensor(tensor) => self.tensor(tensor),
            Value::Tuple(items) => self.items(items, depth),
            Value::List(items) => self.items(items, depth),
            Value::Dict(pairs) => {
                for (at, pair) in pairs.chunks_exact(2).enumerate() {
                    if self.steps == 0 {
                        return;
                    }
                    match &machine.values[pair[0] as usize] {
                        Value::Attributes => self.visit(pair[1], depth),
                        Value::Text(name) if HIDDEN.contains(name) => self.visit(pair[1], depth),
                        Value::Text(name) => self.inside(name, pair[1], depth),
                        Value::Int(number) => self.inside(&number.to_string(), pair[1], depth),
                        _ => self.inside(&at.to_string(), pair[1], depth),
                    }
                }
            }
            _ => {}
        }
    }

    fn items(&mut self, items: &[Id], depth: usize) {
        for (at, &item) in items.iter().enumerate() {
            if self.steps == 0 {
                return;
            }
            // Most are numbers, which have no names.
            if matches!(
                self.machine.values[item as usize],
                Value::Tensor(_) | Value::Tuple(_) | Value::List(_) | Value::Dict(_)
            ) {
                self.inside(&at.to_string(), item, depth);
            }
        }
    }

    fn inside(&mut self, name: &str, id: Id, depth: usize) {
        let length = self.path.len();
        if length + name.len() >= MAX_NAME || self.steps == 0 {
            return;
        }
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.visit(id, depth);
        self.path.truncate(length);
    }

    fn tensor(&mut self, tensor: &Tensor) {
        let storage = &self.machine.storages[tensor.storage as usize];
        let dimensions = self.machine.dimensions(tensor.shape).unwrap_or_default();
        let cost = self.path.len() + storage.key.len() + dimensions * size_of::<u64>();
        let Some(names) = self.names.checked_sub(cost) else {
            self.steps = 0;
            return;
        };
        self.names = names;
        let shape = self.machine.numbers(tensor.shape);
        let strides = self.machine.numbers(tensor.strides);
        let Some((shape, strides)) = shape.zip(strides) else { return };
        let found = place(tensor, &shape, &strides, storage.bytes);
        let Some((offset, length, plain)) = found else { return };
        self.views.push(View {
            name: self.path.clone(),
            key: storage.key.into(),
            offset,
            length,
            tensor: tensor.kind.filter(|_| plain).map(|kind| (kind, shape)),
        });
    }
}

/// Where a tensor lies in a storage of so many bytes: offset, length, and whether its elements lie
/// one after another. None where it is not inside. A tensor of an unknown type is all of its
/// storage.
fn place(
    tensor: &Tensor,
    shape: &[u64],
    strides: &[u64],
    storage: u64,
) -> Option<(u64, u64, bool)> {
    let Some(kind) = tensor.kind else { return Some((0, storage, false)) };
    let elements = count(shape)?;
    let (mut plain, mut expected, mut span) = (true, 1u64, u64::from(elements > 0));
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size != 1 && elements > 0 {
            plain &= stride == expected;
            span = span.checked_add((size - 1).checked_mul(stride)?)?;
            expected = expected.saturating_mul(size);
        }
    }
    let (offset, length) = (kind.bytes(tensor.offset)?, kind.bytes(span)?);
    (offset.checked_add(length)? <= storage).then_some((offset, length, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pickle of these opcodes behind a storage of 4 floats in memo 0 and the function that makes
    /// tensors of it in memo 1; protocol 2.
    fn pickle(opcodes: &[u8]) -> Vec<u8> {
        let storage = b"\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x007\
            X\x03\0\0\0cpuK\x04tQq\0ctorch._utils\n_rebuild_tensor_v2\nq\x0100";
        [storage, opcodes, b"."].concat()
    }

    fn tensor(offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
        let tuple = |numbers: &[u8]| {
            let numbers: Vec<u8> = numbers.iter().flat_map(|&n| [b'K', n]).collect();
            [b"(", &numbers[..], b"t"].concat()
        };
        [b"h\x01(h\0K", &[offset][..], &tuple(shape), &tuple(strides), b"tR"].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
    }

    #[test]
    fn views() {
        for (offset, shape, strides, place) in [
            (0, &[4][..], &[1][..], Some((0, 16, true))),
            (1, &[3], &[1], Some((4, 12, true))),
            (1, &[4], &[1], None),
            (0, &[2, 2], &[2, 1], Some((0, 16, true))),
            (0, &[2, 2], &[1, 2], Some((0, 16, false))),
            (0, &[2, 1], &[2, 7], Some((0, 12, false))),
            (0, &[1, 4], &[9, 1], Some((0, 16, true))),
            (3, &[], &[], Some((12, 4, true))),
            (2, &[200, 200], &[0, 0], Some((8, 4, false))),
            (4, &[0, 9], &[9, 1], Some((16, 0, true))),
            (5, &[0], &[1], None),
        ] {
            let model = read(&pickle(&tensor(offset, shape, strides))).unwrap();
            let found = model.views.first().map(|view| {
                assert_eq!((view.name.as_str(), view.key.as_str()), ("", "7"));
                (view.offset, view.length, view.tensor.is_some())
            });
            assert_eq!(found, place, "{offset} {shape:?} {strides:?}");
            assert_eq!(model.storages["7"].0, 16);
        }
    }

    #[test]
    fn names_of_nested_values() {
        let one = tensor(0, &[4], &[1]);
        // {"a": [1, t], 3: {"_modules": {"b.c": t}}, (): (t,)}
        let opcodes = [
            b"}(",
            &*text("a"),
            b"](K\x01",
            &one,
            b"eK\x03}(",
            &text("_modules"),
            b"}(",
            &text("b.c"),
            &one,
            b"uu)",
            &one,
            b"\x85u",
        ]
        .concat();
        let model = read(&pickle(&opcodes)).unwrap();
        let names: Vec<&str> = model.views.iter().map(|view| view.name.as_str()).collect();
        assert_eq!(names, ["a.1", "3.b.c", "2.0"]);
        // An object made by a function that is not known, with attributes; a list in itself.
        let object = [b"cmy\nmodel\n)R}(", &*text("w"), &one, b"ub"].concat();
        let model = read(&pickle(&object)).unwrap();
        assert_eq!(model.views[0].name, "w");
        let endless = [b"]q\x05(h\x05", &*one, b"e"].concat();
        assert_eq!(read(&pickle(&endless)).unwrap().views.len(), MAX_DEPTH - 1);
    }

    /// Lists that hold the one before twice would be 2^60 tensors.
    #[test]
    fn what_grows_without_end_is_cut() {
        let mut opcodes = tensor(0, &[4], &[1]);
        for _ in 0..60 {
            opcodes.extend(b"q\x050](h\x05h\x05e");
        }
        let model = read(&pickle(&opcodes)).unwrap();
        assert!(model.views.len() < 1 << 17, "{}", model.views.len());
        for hostile in [&b"Q"[..], b"t", b"(0", b"0", b"h\x09", b"R", b"\x93", b"\xff", b"(b", b"s"]
        {
            assert!(read(&pickle(hostile)).is_none(), "{hostile:?}");
            assert!(read(hostile).is_none(), "{hostile:?}");
        }
        let sound = pickle(&tensor(0, &[4], &[1]));
        for cut in 0..sound.len() {
            assert!(read(&sound[..cut]).is_none());
        }
    }
}
