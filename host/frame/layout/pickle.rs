//! The pickle of a `torch.save` archive, read and never executed: which storages there are, and
//! which tensors lie in them under which names.
//!
//! A pickle is a program for a stack machine. Its opcodes are followed with a stack of strings,
//! numbers, tuples, lists and dictionaries; a call gives a tensor where it is one of PyTorch's own
//! for that, and else an object of which only the attributes are kept. No crate does this: those
//! for pickles know no persistent identifiers, which storages are.

use std::collections::HashMap;

use super::{
    opcode::{Argument, Reader},
    types::Type,
};

/// The most bytes of a pickle that is read.
pub(super) const MAX_PICKLE: u64 = 64 << 20;
/// The most values that a pickle may make: one for each opcode that makes one.
const MAX_VALUES: usize = 1 << 21;

/// The number of a value.
pub(super) type Id = u32;
/// What is of no interest: None, truth values, floats, bytes, sets.
const OPAQUE: Id = 0;
/// The key of an object's attributes.
const ATTRIBUTES: Id = 1;

/// A value on the stack or inside another.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Opaque,
    /// The key of an object's attributes, among the pairs of the object.
    Attributes,
    Int(i64),
    Text(&'a str),
    /// A class or a function: module and name.
    Global(&'a str, &'a str),
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    /// A dictionary, or an object with its attributes: keys and values, one after another.
    Dict(Vec<Id>),
    /// The number of a storage.
    Storage(u32),
    Tensor(Box<Tensor>),
}

/// A storage: bytes that tensors lie in.
#[derive(Debug)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) bytes: u64,
    /// None where it is unknown.
    pub(super) kind: Option<&'static Type>,
}

/// A view of a storage.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) storage: u32,
    pub(super) kind: Option<&'static Type>,
    /// Elements of the storage before the first one.
    pub(super) offset: u64,
    /// Tuples of as many numbers, at most [`DIMENSIONS`].
    pub(super) shape: Id,
    pub(super) strides: Id,
}

/// The most dimensions that PyTorch has.
const DIMENSIONS: usize = 64;

/// All that a pickle made.
#[derive(Debug, Default)]
pub(super) struct Machine<'a> {
    pub(super) values: Vec<Value<'a>>,
    pub(super) storages: Vec<Storage<'a>>,
    by_key: HashMap<&'a str, u32>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Follows a pickle to its end; what follows it is not looked at. Gives its last value as well.
    /// None where it is no pickle, or one of more values than are kept.
    pub(super) fn run(pickle: &'a [u8]) -> Option<(Self, Id)> {
        let values = vec![Value::Opaque, Value::Attributes];
        let mut machine = Machine { values, ..Machine::default() };
        let mut reader = Reader(pickle.get(..pickle.len().min(MAX_PICKLE as usize))?);
        loop {
            let (opcode, argument) = reader.next()?;
            if opcode == b'.' {
                let root = machine.pop()?;
                return Some((machine, root));
            }
            machine.step(opcode, argument)?;
            if machine.values.len() > MAX_VALUES {
                return None;
            }
        }
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
    }

    fn pop(&mut self) -> Option<Id> {
        // What lies below a mark is out of reach.
        let floor = self.marks.last().copied().unwrap_or(0);
        (self.stack.len() > floor).then(|| self.stack.pop()).flatten()
    }

    fn pop_mark(&mut self) -> Option<Vec<Id>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }

    fn pop_some<const N: usize>(&mut self) -> Option<[Id; N]> {
        let mut out = [OPAQUE; N];
        for place in out.iter_mut().rev() {
            *place = self.pop()?;
        }
        Some(out)
    }

    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn number(&self, id: Id) -> Option<u64> {
        match *self.value(id) {
            Value::Int(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The items of a tuple that may be a shape.
    pub(super) fn dimensions(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Tuple(items) if items.len() <= DIMENSIONS => Some(items.len()),
            _ => None,
        }
    }

    /// The numbers of a tuple.
    pub(super) fn numbers(&self, id: Id) -> Option<Vec<u64>> {
        match self.value(id) {
            Value::Tuple(items) => items.iter().map(|&item| self.number(item)).collect(),
            _ => None,
        }
    }

    fn top(&mut self) -> Option<&mut Value<'a>> {
        let top = *self.stack.last()?;
        Some(&mut self.values[top as usize])
    }

    /// Adds to the list or the dictionary on top of the stack; other objects keep nothing.
    fn extend(&mut self, items: &[Id], pairs: bool) -> Option<()> {
        match self.top()? {
            Value::List(list) if !pairs => list.extend_from_slice(items),
            Value::Dict(dict) if pairs && items.len().is_multiple_of(2) => {
                dict.extend_from_slice(items);
            }
            _ => {}
        }
        Some(())
    }

    fn step(&mut self, opcode: u8, argument: Argument<'a>) -> Option<()> {
        match (opcode, argument) {
            // Protocol, frame, a buffer made read-only.
            (0x80 | 0x95 | 0x98, _) => {}
            (b'(', _) => self.marks.push(self.stack.len()),
            (b'0', _) => {
                self.pop()?;
            }
            (b'1', _) => {
                self.pop_mark()?;
            }
            (b'2', _) => {
                let top = *self.stack.last()?;
                self.stack.push(top);
            }
            (b'g' | b'h' | b'j', Argument::Int(at)) => {
                let id = *self.memo.get(&u32::try_from(at).ok()?)?;
                self.stack.push(id);
            }
            (b'p' | b'q' | b'r', Argument::Int(at)) => {
                self.memo.insert(u32::try_from(at).ok()?, *self.stack.last()?);
            }
            (0x94, _) => {
                self.memo.insert(self.memo.len() as u32, *self.stack.last()?);
            }
            (b')', _) => self.push(Value::Tuple(Box::default())),
            (b't', _) => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items.into()));
            }
            (0x85, _) => {
                let items = self.pop_some::<1>()?;
                self.push(Value::Tuple(items.into()));
            }
            (0x86, _) => {
                let items = self.pop_some::<2>()?;
                self.push(Value::Tuple(items.into()));
            }
            (0x87, _) => {
                let items = self.pop_some::<3>()?;
                self.push(Value::Tuple(items.into()));
            }
            (b']', _) => self.push(Value::List(Vec::new())),
            (b'l', _) => {
                let items = self.pop_mark()?;
                self.push(Value::List(items));
            }
            (b'}', _) => self.push(Value::Dict(Vec::new())),
            (b'd', _) => {
                let items = self.pop_mark()?;
                self.push(Value::Dict(Vec::new()));
                self.extend(&items, true)?;
            }
            (b'a', _) => {
                let item = self.pop()?;
                self.extend(&[item], false)?;
            }
            (b'e', _) => {
                let items = self.pop_mark()?;
                self.extend(&items, false)?;
            }
            (b's', _) => {
                let pair = self.pop_some::<2>()?;
                self.extend(&pair, true)?;
            }
            (b'u', _) => {
                let items = self.pop_mark()?;
                self.extend(&items, true)?;
            }
            // Sets.
            (0x90, _) => {
                self.pop_mark()?;
            }
            (0x91, _) => {
                self.pop_mark()?;
                self.stack.push(OPAQUE);
            }
            (b'c', Argument::Global(module, name)) => self.push(Value::Global(module, name)),
            (0x93, _) => {
                let [module, name] = self.pop_some()?;
                let global = match (self.value(module), self.value(name)) {
                    (&Value::Text(module), &Value::Text(name)) => Value::Global(module, name),
                    _ => return None,
                };
                self.push(global);
            }
            (b'i', _) => {
                self.pop_mark()?;
                self.push(Value::Dict(Vec::new()));
            }
            (b'o', _) => {
                self.pop_mark()?;
                self.push(Value::Dict(Vec::new()));
            }
            (0x81, _) => {
                self.pop_some::<2>()?;
                self.push(Value::Dict(Vec::new()));
            }
            (0x92, _) => {
                self.pop_some::<3>()?;
                self.push(Value::Dict(Vec::new()));
            }
            (b'R', _) => {
                let [callable, arguments] = self.pop_some()?;
                let made = self.call(callable, arguments, true)?;
                self.stack.push(made);
            }
            (b'b', _) => {
                let state = self.pop()?;
                self.build(state)?;
            }
            (b'P', _) => self.stack.push(OPAQUE),
            (b'Q', _) => {
                let id = self.pop()?;
                let made = self.persistent(id).unwrap_or(Value::Opaque);
                self.push(made);
            }
            (_, Argument::Int(number)) => self.push(Value::Int(number)),
            (_, Argument::Text(text)) => self.push(Value::Text(text)),
            // None, truth values, floats, bytes, empty sets, extensions, buffers.
            _ => self.stack.push(OPAQUE),
        }
        Some(())
    }

    /// Gives the object on top of the stack its attributes, which stay one value of their own.
    fn build(&mut self, state: Id) -> Option<()> {
        match self.value(state) {
            // Attributes, and those in slots.
            Value::Tuple(items) if items.len() == 2 => {
                let pairs = [ATTRIBUTES, items[0], ATTRIBUTES, items[1]];
                self.extend(&pairs, true)
            }
            Value::Dict(_) => self.extend(&[ATTRIBUTES, state], true),
            _ => Some(()),
        }
    }

    /// What a call gives. A function may call another, once.
    fn call(&mut self, callable: Id, arguments: Id, nested: bool) -> Option<Id> {
        let arguments: &[Id] = match self.value(arguments) {
            Value::Tuple(items) => items,
            _ => &[],
        };
        let argument = |at: usize| arguments.get(at).copied().unwrap_or(OPAQUE);
        let made = match *self.value(callable) {
            Value::Global("torch._utils", name) => match name {
                "_rebuild_parameter" | "_rebuild_parameter_with_state" => return Some(argument(0)),
                "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_qtensor" => {
                    self.tensor(arguments, None)
                }
                "_rebuild_tensor_v3" => match *self.value(argument(6)) {
                    Value::Global("torch", dtype) => self.tensor(arguments, Some(dtype)),
                    _ => None,
                },
                _ => None,
            },
            Value::Global("torch._tensor", "_rebuild_from_type_v2") if nested => {
                return self.call(argument(0), argument(2), false);
            }
            Value::Global("torch", "Size") => return Some(argument(0)),
            _ => None,
        };
        if let Some(Tensor { storage, kind, .. }) = made {
            // A storage of bytes gets the type of the first tensor in it.
            let own = &mut self.storages[storage as usize].kind;
            *own = own.or(kind);
        }
        self.values.push(match made {
            Some(tensor) => Value::Tensor(Box::new(tensor)),
            None => Value::Dict(Vec::new()),
        });
        Some(self.values.len() as Id - 1)
    }

    /// A tensor of a storage, an offset, sizes and strides; `dtype` where the storage has none.
    fn tensor(&self, arguments: &[Id], dtype: Option<&str>) -> Option<Tensor> {
        let &[storage, offset, shape, strides, ..] = arguments else { return None };
        let &Value::Storage(storage) = self.value(storage) else { return None };
        let kind = match dtype {
            Some(name) => Type::torch(name),
            None => self.storages[storage as usize].kind,
        };
        let same = self.dimensions(shape)? == self.dimensions(strides)?;
        let offset = self.number(offset)?;
        same.then_some(Tensor { storage, kind, offset, shape, strides })
    }

    /// The storage that a persistent identifier names: `('storage', class, key, device, length)`.
    fn persistent(&mut self, id: Id) -> Option<Value<'a>> {
        let Value::Tuple(items) = self.value(id) else { return None };
        let &[tag, class, key, _, length, ..] = &items[..] else { return None };
        let (Value::Text("storage"), &Value::Text(key)) = (self.value(tag), self.value(key)) else {
            return None;
        };
        let (&Value::Global(_, class), &Value::Int(length)) =
            (self.value(class), self.value(length))
        else {
            return None;
        };
        if let Some(&known) = self.by_key.get(key) {
            return Some(Value::Storage(known));
        }
        let kind = Type::torch(class.strip_suffix("Storage")?);
        // Storages without a type count bytes.
        let length = u64::try_from(length).ok()?;
        let bytes = kind.map_or(Some(length), |kind| kind.bytes(length))?;
        let number = self.storages.len() as u32;
        self.storages.push(Storage { key, bytes, kind });
        self.by_key.insert(key, number);
        Some(Value::Storage(number))
    }
}
