//! Just enough of pickle to read checkpoints. Values are data in an arena: classes stay names, calls stay descriptions,
//! nothing is imported and nothing runs. Opcodes: CPython's `Lib/pickle.py`, protocols 0 to 5.

use std::collections::HashMap;

/// Place of a value in the arena. An arena has no recursion, so a hostile file cannot overflow the stack.
pub(super) type Id = usize;

#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Str(String),
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// "module.name" of a class or function.
    Global(String),
    /// The persistent id of something outside of the pickle: a storage.
    Persistent(Id),
    /// A call that was asked for and not made.
    Call {
        callable: Id,
        arguments: Id,
    },
}

/// A pickle, read.
pub(super) struct Pickle {
    pub(super) values: Vec<Value>,
    pub(super) root: Id,
    /// Bytes read.
    pub(super) length: usize,
}

/// Longest line of the text opcodes: names and decimal numbers.
const MAX_LINE: usize = 4096;
/// Values, marks and memos beyond any checkpoint's: one byte of a file makes 40 in memory, and an optimiser's state of
/// thousands of tensors is some hundred thousand values.
const MAX_VALUES: usize = 1 << 22;

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Stack heights at MARKs.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

/// Reads one pickle from the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut machine =
        Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while !machine.step()? {
        if [machine.values.len(), machine.stack.len(), machine.marks.len(), machine.memo.len()]
            .iter()
            .any(|held| *held > MAX_VALUES)
        {
            return Err(format!("it holds more than {MAX_VALUES} values, which no checkpoint does"));
        }
    }
    let root = machine.pop()?;
    Ok(Pickle { values: machine.values, root, length: machine.at })
}

impl Machine<'_> {
    /// One opcode; true at STOP.
    fn step(&mut self) -> Result<bool, String> {
        let op = self.take(1)?[0];
        match op {
            b'.' => return Ok(true),
            0x80 => _ = self.take(1)?, // PROTO
            0x95 => _ = self.take(8)?, // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.pop_mark()?,
            b'2' => {
                let top = *self.stack.last().ok_or("an empty stack")?;
                self.stack.push(top);
            }
            b'N' | 0x88 | 0x89 | b'I' | b'L' | b'J' | b'K' | b'M' | 0x8a | 0x8b | b'F' | b'G' => self.number(op)?,
            b'S' | b'V' | b'U' | b'T' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => self.text(op)?,
            b')' | 0x85 | 0x86 | 0x87 | b't' | b']' | b'l' | b'a' | b'e' | b'}' | b'd' | b's' | b'u' | 0x8f | 0x90
            | 0x91 => self.container(op)?,
            b'p' | b'q' | b'r' | b'g' | b'h' | b'j' | 0x94 => self.memory(op)?,
            b'c' | 0x93 | b'i' | b'o' | b'R' | 0x81 | 0x92 | b'b' | b'P' | b'Q' | 0x82..=0x84 => self.object(op)?,
            0x97 | 0x98 => return Err("out-of-band buffers".to_owned()),
            other => return Err(format!("unknown opcode {other:#04x} at byte {}", self.at - 1)),
        }
        Ok(false)
    }

    fn number(&mut self, op: u8) -> Result<(), String> {
        let value = match op {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(i64::from(self.take(1)?[0])),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'I' => match self.line()? {
                "00" | "01" => Value::Bool,
                digits => Value::Int(digits.parse().map_err(|_bad| format!("{digits:?} is no number"))?),
            },
            b'L' => {
                let line = self.line()?;
                Value::Int(line.trim_end_matches('L').parse().map_err(|_bad| format!("{line:?} is no number"))?)
            }
            0x8a | 0x8b => {
                let length = if op == 0x8a { usize::from(self.take(1)?[0]) } else { self.length4()? };
                let digits = self.take(length)?;
                match long(digits) {
                    Some(value) => Value::Int(value),
                    None => Value::Bytes, // beyond 64 bits: torch's magic number; nothing that sizes a tensor
                }
            }
            b'F' => {
                self.line()?;
                Value::Float
            }
            _ => {
                self.take(8)?;
                Value::Float
            }
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, op: u8) -> Result<(), String> {
        let length = match op {
            b'S' | b'V' => {
                let line = self.line()?.trim_matches(['\'', '"']).to_owned();
                self.push(Value::Str(line));
                return Ok(());
            }
            b'U' | 0x8c | b'C' => usize::from(self.take(1)?[0]),
            b'T' | b'X' | b'B' => self.length4()?,
            _ => usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_bad| "a text too long")?,
        };
        let bytes = self.take(length)?;
        let value = match op {
            b'B' | b'C' | 0x8e | 0x96 => Value::Bytes,
            _ => Value::Str(String::from_utf8_lossy(bytes).into_owned()),
        };
        self.push(value);
        Ok(())
    }

    fn container(&mut self, op: u8) -> Result<(), String> {
        match op {
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(op - 0x84)).ok_or("an empty stack")?;
                let items = self.stack.split_off(from);
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items));
            }
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Value::List(items));
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => {
                let items = pairs(&self.pop_mark()?)?;
                self.push(Value::Dict(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(vec![(key, value)])?;
            }
            _ => {
                let items = pairs(&self.pop_mark()?)?;
                self.extend_dict(items)?;
            }
        }
        Ok(())
    }

    fn memory(&mut self, op: u8) -> Result<(), String> {
        let key = match op {
            b'p' | b'g' => self.line()?.parse().map_err(|_bad| "a memo key that is no number")?,
            b'q' | b'h' => u64::from(self.take(1)?[0]),
            b'r' | b'j' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => self.memo.len() as u64,
        };
        if matches!(op, b'g' | b'h' | b'j') {
            let id = *self.memo.get(&key).ok_or("a memo key that was never set")?;
            self.stack.push(id);
        } else {
            let top = *self.stack.last().ok_or("an empty stack")?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    /// Classes, calls and what lies outside: described, never done.
    fn object(&mut self, op: u8) -> Result<(), String> {
        match op {
            b'c' => {
                let name = format!("{}.{}", self.line()?.to_owned(), self.line()?);
                self.push(Value::Global(name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Str(name), Value::Str(module)) = (&self.values[name], &self.values[module]) else {
                    return Err("a class whose name is no text".to_owned());
                };
                let global = format!("{module}.{name}");
                self.push(Value::Global(global));
            }
            b'i' => {
                let name = format!("{}.{}", self.line()?.to_owned(), self.line()?);
                let arguments = self.pop_mark()?;
                self.push(Value::Global(name));
                self.push(Value::Tuple(arguments));
                self.call()?;
            }
            b'o' => {
                let mut arguments = self.pop_mark()?;
                if arguments.is_empty() {
                    return Err("an object of no class".to_owned());
                }
                let class = arguments.remove(0);
                self.stack.push(class);
                self.push(Value::Tuple(arguments));
                self.call()?;
            }
            0x92 => {
                self.pop()?; // keyword arguments
                self.call()?;
            }
            b'R' | 0x81 => self.call()?,
            b'b' => _ = self.pop()?, // the state of an object: attributes no tensor depends on
            b'P' => {
                let name = self.line()?.to_owned();
                self.push(Value::Str(name));
                let id = self.pop()?;
                self.push(Value::Persistent(id));
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id));
            }
            _ => return Err("a class by registry number".to_owned()),
        }
        Ok(())
    }

    /// An ordered dict becomes a dict; every other call stays a description.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let value = match &self.values[callable] {
            Value::Global(name) if name == "collections.OrderedDict" || name == "collections.defaultdict" => {
                Value::Dict(Vec::new())
            }
            _ => Value::Call { callable, arguments },
        };
        self.push(value);
        Ok(())
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Result<(), String> {
        let top = *self.stack.last().ok_or("an empty stack")?;
        if let Value::List(list) = &mut self.values[top] {
            list.extend(items);
        } // a list-like object of a foreign class: its items matter to no tensor
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<(Id, Id)>) -> Result<(), String> {
        let top = *self.stack.last().ok_or("an empty stack")?;
        if let Value::Dict(dict) = &mut self.values[top] {
            dict.extend(items);
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.marks.last().is_some_and(|mark| *mark >= self.stack.len()) {
            return Err("a mark where a value should be".to_owned());
        }
        self.stack.pop().ok_or_else(|| "an empty stack".to_owned())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("no mark")?;
        if mark > self.stack.len() {
            return Err("a mark beyond the stack".to_owned());
        }
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or("it ends too early")?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn length4(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn line(&mut self) -> Result<&str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(MAX_LINE).position(|b| *b == b'\n').ok_or("a line without end")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_bad| "a line that is no text".to_owned())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    if items.len() % 2 == 1 {
        return Err("a key without its value".to_owned());
    }
    Ok(items.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)).collect())
}

/// A two's complement little-endian number of at most 8 bytes.
fn long(digits: &[u8]) -> Option<i64> {
    if digits.len() > 8 {
        return None;
    }
    let fill = if digits.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut bytes = [fill; 8];
    bytes[..digits.len()].copy_from_slice(digits);
    Some(i64::from_le_bytes(bytes))
}
