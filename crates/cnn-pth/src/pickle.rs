//! The stack machine of pickles, as far as tensors need it: protocol 2 and the later ones' shorter forms.
//!
//! All containers lie in one list, and values are small and copied. So nothing is nested in memory, no value can be copied to many
//! times its size, and each instruction adds a bounded amount to memory.
//!
//! Source: the comments of CPython's `Lib/pickletools.py`, which are the format's documentation.

use crate::call::Global;
use crate::{Element, PthError};
use std::collections::HashMap;

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, or a number with a fraction: neither is ever looked at.
    Number,
    Text(&'a str),
    Bytes,
    /// The place of a container in [`Heap::nodes`].
    Node(usize),
    Global(Global),
    /// The place of a storage in [`Heap::storages`].
    Storage(usize),
    /// The place of a tensor in [`Heap::tensors`].
    Tensor(usize),
}

/// A container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
}

/// Elements in the file, of which tensors are parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StorageRef<'a> {
    /// Its name.
    pub key: &'a str,
    /// `None`: of bytes.
    pub element: Option<Element>,
    /// The number of its elements.
    pub elements: u64,
}

/// A tensor: part of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorRef {
    pub storage: usize,
    /// In place of the storage's, if it is of bytes.
    pub element: Option<Element>,
    /// The place of the first element, in elements.
    pub offset: u64,
    pub shape: Vec<u64>,
    /// The steps from element to element along each axis.
    pub strides: Vec<u64>,
}

/// All that a pickle made.
#[derive(Debug, Default)]
pub(crate) struct Heap<'a> {
    pub nodes: Vec<Node<'a>>,
    pub storages: Vec<StorageRef<'a>>,
    pub tensors: Vec<TensorRef>,
}

/// A pickle's result: its value, what it refers to, and the number of bytes that were read.
pub(crate) struct Pickled<'a> {
    pub value: Value<'a>,
    pub heap: Heap<'a>,
    pub length: usize,
}

/// A tensor of more axes would be nobody's.
const MOST_AXES: usize = 64;

/// Runs the pickle at the beginning of `bytes`, which errors call `part`.
pub(crate) fn run<'a>(bytes: &'a [u8], part: &'static str) -> Result<Pickled<'a>, PthError> {
    let mut machine = Machine {
        bytes,
        part,
        at: 0,
        instruction: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        heap: Heap::default(),
    };
    loop {
        if let Some(value) = machine.step()? {
            return Ok(Pickled { value, heap: machine.heap, length: machine.at });
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    part: &'static str,
    /// The next byte.
    at: usize,
    /// The place of the instruction under way.
    instruction: usize,
    stack: Vec<Value<'a>>,
    /// Lengths of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    heap: Heap<'a>,
}

impl<'a> Machine<'a> {
    /// Takes one instruction; the last one gives the result.
    fn step(&mut self) -> Result<Option<Value<'a>>, PthError> {
        self.instruction = self.at;
        match self.byte()? {
            // PROTO and FRAME say what follows anyway.
            b'\x80' => match self.byte()? {
                2..=5 => {}
                version => {
                    return Err(self.fault("a pickle of protocol 2 to 5", format!("protocol {version}")));
                }
            },
            b'\x95' => _ = self.take(8)?,
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.since_mark()?,
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }
            b'N' => self.stack.push(Value::None),
            b'\x88' => self.stack.push(Value::Bool(true)),
            b'\x89' => self.stack.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => {
                let number = self.byte()?;
                self.stack.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'\x8a' => {
                let length = self.byte()?.into();
                self.long(length)?;
            }
            b'\x8b' => {
                let length = self.length4()?;
                self.long(length)?;
            }
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Number);
            }
            // T and U: texts of Python 2.
            b'X' | b'T' => {
                let length = self.length4()?;
                self.text(length)?;
            }
            b'\x8c' | b'U' => {
                let length = self.byte()?.into();
                self.text(length)?;
            }
            b'\x8d' => {
                let length = self.length8()?;
                self.text(length)?;
            }
            b'B' => {
                let length = self.length4()?;
                self.skip(length)?;
            }
            b'C' => {
                let length = self.byte()?.into();
                self.skip(length)?;
            }
            b'\x8e' => {
                let length = self.length8()?;
                self.skip(length)?;
            }
            b')' => self.node(Node::Tuple(Vec::new())),
            b']' => self.node(Node::List(Vec::new())),
            b'}' => self.node(Node::Dict(Vec::new())),
            b'\x85' => self.tuple(1)?,
            b'\x86' => self.tuple(2)?,
            b'\x87' => self.tuple(3)?,
            b't' => {
                let items = self.since_mark()?;
                self.node(Node::Tuple(items));
            }
            b'l' => {
                let items = self.since_mark()?;
                self.node(Node::List(items));
            }
            b'd' => {
                let items = self.since_mark()?;
                let entries = self.entries(&items)?;
                self.node(Node::Dict(entries));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                let entries = self.entries(&items)?;
                self.set(entries)?;
            }
            b'q' => {
                let place = self.byte()?.into();
                self.remember(place)?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)?;
            }
            b'\x94' => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let place = self.byte()?.into();
                self.recall(place)?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            b'\x93' => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err(self.fault("the names of a function", format!("{module:?}, {name:?}")));
                };
                self.global(module, name)?;
            }
            b'Q' => self.storage()?,
            b'R' | b'\x81' => self.reduce()?,
            b'b' => self.build()?,
            other => {
                let name = if other.is_ascii_graphic() {
                    char::from(other).to_string()
                } else {
                    format!("{other:#04x}")
                };
                return Err(self.fault("an instruction that tensors need", format!("instruction {name}")));
            }
        }
        Ok(None)
    }

    fn fault(&self, expected: &'static str, got: impl Into<String>) -> PthError {
        PthError::Pickle { part: self.part, offset: self.instruction, expected, got: got.into() }
    }

    // The bytes that follow an instruction.

    fn take(&mut self, length: usize) -> Result<&'a [u8], PthError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..length) else {
            return Err(self.fault(
                "more bytes",
                format!("the end, where {length} bytes are due and {} left", rest.len()),
            ));
        };
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, PthError> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PthError> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("as many as were taken"))
    }

    fn length4(&mut self) -> Result<usize, PthError> {
        let length = u32::from_le_bytes(self.array()?);
        Ok(length as usize)
    }

    fn length8(&mut self) -> Result<usize, PthError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.fault("more bytes", format!("a length of {length}")))
    }

    fn line(&mut self) -> Result<&'a str, PthError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(self.fault("a line", "no end of it"));
        };
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.fault("text in UTF-8", "other bytes"))
    }

    fn text(&mut self, length: usize) -> Result<(), PthError> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.fault("text in UTF-8", "other bytes"))?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn skip(&mut self, length: usize) -> Result<(), PthError> {
        self.take(length)?;
        self.stack.push(Value::Bytes);
        Ok(())
    }

    /// A whole number in two's complement, little-endian.
    fn long(&mut self, length: usize) -> Result<(), PthError> {
        let bytes = self.take(length)?;
        self.stack.push(if bytes.len() > 8 {
            Value::Number
        } else {
            let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let mut number = [fill; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(number))
        });
        Ok(())
    }

    // The stack.

    fn pop(&mut self) -> Result<Value<'a>, PthError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => Ok(self.stack.pop().expect("more than a mark's")),
            false => Err(self.fault("a value on the stack", "none")),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, PthError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.fault("a mark on the stack", "none")),
        }
    }

    fn node(&mut self, node: Node<'a>) {
        self.stack.push(Value::Node(self.heap.nodes.len()));
        self.heap.nodes.push(node);
    }

    fn tuple(&mut self, length: usize) -> Result<(), PthError> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.node(Node::Tuple(items));
        Ok(())
    }

    fn entries(&self, items: &[Value<'a>]) -> Result<Vec<(Value<'a>, Value<'a>)>, PthError> {
        let (pairs, rest) = items.as_chunks::<2>();
        match rest {
            [] => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.fault("a value for each key", format!("{} keys and values", items.len()))),
        }
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), PthError> {
        match self.stack.last() {
            Some(&Value::Node(place)) if let Node::List(list) = &mut self.heap.nodes[place] => {
                list.extend(items);
                Ok(())
            }
            other => Err(self.fault("a list to append to", format!("{other:?}"))),
        }
    }

    fn set(&mut self, entries: Vec<(Value<'a>, Value<'a>)>) -> Result<(), PthError> {
        match self.stack.last() {
            Some(&Value::Node(place)) if let Node::Dict(dict) = &mut self.heap.nodes[place] => {
                dict.extend(entries);
                Ok(())
            }
            other => Err(self.fault("a dict to add to", format!("{other:?}"))),
        }
    }

    fn remember(&mut self, place: u32) -> Result<(), PthError> {
        let Some(&top) = self.stack.last() else { return Err(self.fault("a value on the stack", "none")) };
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), PthError> {
        let Some(&value) = self.memo.get(&place) else {
            return Err(self.fault("a remembered value", format!("none at place {place}")));
        };
        self.stack.push(value);
        Ok(())
    }

    // What would be calls.

    fn global(&mut self, module: &str, name: &str) -> Result<(), PthError> {
        match Global::named(module, name) {
            Some(global) => self.stack.push(Value::Global(global)),
            None => {
                return Err(self.fault(
                    "only tensors, numbers and texts (what model.state_dict() gives)",
                    format!("{module}.{name}, which is not called"),
                ));
            }
        }
        Ok(())
    }

    /// The items of a tuple.
    fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Node(place) => match &self.heap.nodes[place] {
                Node::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// `('storage', type, key, device, elements)`, with the view that older files have in the end.
    fn storage(&mut self) -> Result<(), PthError> {
        let id = self.pop()?;
        let storage = match self.items(id) {
            Some(
                [
                    Value::Text("storage"),
                    Value::Global(Global::Storage(element)),
                    Value::Text(key),
                    _,
                    Value::Int(elements),
                ]
                | [
                    Value::Text("storage"),
                    Value::Global(Global::Storage(element)),
                    Value::Text(key),
                    _,
                    Value::Int(elements),
                    Value::None,
                ],
            ) if *elements >= 0 => StorageRef { key, element: *element, elements: *elements as u64 },
            other => return Err(self.fault("the place of a storage", format!("{other:?}"))),
        };
        self.stack.push(Value::Storage(self.heap.storages.len()));
        self.heap.storages.push(storage);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), PthError> {
        let arguments = self.pop()?;
        let Value::Global(function) = self.pop()? else {
            return Err(self.fault("the name of a function", "another value"));
        };
        let Some(items) = self.items(arguments) else {
            return Err(self.fault("a tuple of arguments", format!("{arguments:?}")));
        };
        let value = match (function, items) {
            (Global::OrderedDict, []) => {
                self.node(Node::Dict(Vec::new()));
                return Ok(());
            }
            // As Python 2 pickles it: a list of pairs.
            (Global::OrderedDict, &[Value::Node(list)]) => {
                let pairs = match &self.heap.nodes[list] {
                    Node::List(pairs) => {
                        pairs.iter().map(|&pair| self.pair(pair)).collect::<Option<Vec<_>>>()
                    }
                    _ => None,
                };
                let Some(pairs) = pairs else {
                    return Err(self.fault("a list of keys and values", "another value"));
                };
                self.node(Node::Dict(pairs));
                return Ok(());
            }
            (Global::Size, &[size @ Value::Node(_)]) => size,
            (Global::Device, [Value::Text(_), ..]) => Value::None,
            (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => tensor,
            (Global::RebuildTensor, &[storage, offset, size, stride]) => {
                self.tensor([storage, offset, size, stride], None)?
            }
            (Global::RebuildTensorV2, &[storage, offset, size, stride, _, _, ref metadata @ ..]) => {
                self.no_metadata(metadata)?;
                self.tensor([storage, offset, size, stride], None)?
            }
            (
                Global::RebuildTensorV3,
                &[
                    storage,
                    offset,
                    size,
                    stride,
                    _,
                    _,
                    Value::Global(Global::Element(element)),
                    ref metadata @ ..,
                ],
            ) => {
                self.no_metadata(metadata)?;
                self.tensor([storage, offset, size, stride], Some(element))?
            }
            (function, items) => {
                let got = format!("{} arguments of {function:?}", items.len());
                return Err(self.fault("a known function with its arguments", got));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// Checks that a tensor's numbers are those of its storage: metadata say of some that they stand for their negatives.
    fn no_metadata(&self, metadata: &[Value<'a>]) -> Result<(), PthError> {
        let is_empty = match metadata {
            [] | [Value::None] => true,
            &[Value::Node(place)] => {
                matches!(&self.heap.nodes[place], Node::Dict(entries) if entries.is_empty())
            }
            _ => false,
        };
        match is_empty {
            true => Ok(()),
            false => Err(self.fault(
                "a tensor whose numbers are those of its storage",
                "one with metadata, such as a negative view",
            )),
        }
    }

    fn pair(&self, value: Value<'a>) -> Option<(Value<'a>, Value<'a>)> {
        let Value::Node(place) = value else { return None };
        match &self.heap.nodes[place] {
            Node::Tuple(items) | Node::List(items) => match items[..] {
                [key, value] => Some((key, value)),
                _ => None,
            },
            Node::Dict(_) => None,
        }
    }

    fn tensor(
        &mut self,
        [storage, offset, size, stride]: [Value<'a>; 4],
        element: Option<Element>,
    ) -> Result<Value<'a>, PthError> {
        let extents = |value| -> Option<Vec<u64>> {
            let items = self.items(value).filter(|items| items.len() <= MOST_AXES)?;
            let extent = |item: &Value<'a>| match item {
                Value::Int(extent) => u64::try_from(*extent).ok(),
                _ => None,
            };
            items.iter().map(extent).collect()
        };
        let (Value::Storage(storage), Value::Int(offset @ 0..), Some(shape), Some(strides)) =
            (storage, offset, extents(size), extents(stride))
        else {
            return Err(
                self.fault("a storage, an offset, extents and strides", "other arguments of a tensor")
            );
        };
        if shape.len() != strides.len() {
            let got = format!("{} extents and {} strides", shape.len(), strides.len());
            return Err(self.fault("a stride for each extent", got));
        }
        self.heap.tensors.push(TensorRef { storage, element, offset: offset as u64, shape, strides });
        Ok(Value::Tensor(self.heap.tensors.len() - 1))
    }

    /// Attributes of an object: those of a state_dict are versions of its layers, which decide nothing here.
    fn build(&mut self) -> Result<(), PthError> {
        self.pop()?;
        match self.stack.last() {
            Some(&Value::Node(place)) if matches!(self.heap.nodes[place], Node::Dict(_)) => Ok(()),
            Some(Value::Tensor(_)) => Ok(()),
            other => Err(self.fault("a state_dict with attributes", format!("{other:?}"))),
        }
    }
}
