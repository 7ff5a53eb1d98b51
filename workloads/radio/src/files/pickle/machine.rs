//! The stack machine: opcodes that make plain data.

use std::collections::HashMap;
use std::io::BufRead;

use super::calls::Call;
use super::escape::{quoted, raw_unicode};
use super::source::Source;
use super::{Object, Pickle, PickleError, PickleFault, Value};

/// Opcodes in all, which bounds values, marks and what is kept; the real files
/// have some ten thousand, since an array is a handful whatever its size.
const LIMIT: u64 = 4_000_000;

type Step<T = ()> = Result<T, PickleFault>;

pub(super) struct Machine<R> {
    source: Source<R>,
    pub(super) objects: Vec<Object>,
    stack: Vec<Value>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    /// Bytes that calls have made so far.
    made: u64,
}

pub(super) fn damaged(what: impl Into<String>) -> PickleFault {
    PickleFault::Damaged { what: what.into() }
}

impl<R: BufRead> Machine<R> {
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self {
            source: Source::new(reader, length),
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            made: 0,
        }
    }

    /// Runs to the end of the pickle; what follows it is not looked at.
    pub(super) fn run(mut self) -> Result<Pickle, PickleError> {
        for _ in 0..LIMIT {
            let offset = self.source.offset;
            let at = |fault| PickleError { offset, fault };
            if let Some(root) = self.step().map_err(at)? {
                return Ok(Pickle { objects: self.objects, root });
            }
        }
        let fault = PickleFault::TooMany { what: "opcodes", limit: LIMIT };
        Err(PickleError { offset: self.source.offset, fault })
    }

    /// One opcode; the value at the end.
    fn step(&mut self) -> Step<Option<Value>> {
        match self.source.byte()? {
            b'.' => return self.pop().map(Some),
            0x80 => {
                let protocol = self.source.byte()?;
                if protocol > 5 {
                    return Err(PickleFault::Protocol { protocol });
                }
            }
            // A frame only says how far one may read ahead.
            0x95 => {
                let length = self.length::<8>()?;
                self.source.check(length)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                self.take_to_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            opcode => {
                if !(self.scalar(opcode)?
                    || self.string(opcode)?
                    || self.container(opcode)?
                    || self.memory(opcode)?)
                {
                    self.call(opcode)?;
                }
            }
        }
        Ok(None)
    }

    fn scalar(&mut self, opcode: u8) -> Step<bool> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(i64::from(self.source.byte()?)),
            b'M' => {
                Value::Int(i64::from(u16::from_le_bytes(self.source.take()?)))
            }
            b'J' => {
                Value::Int(i64::from(i32::from_le_bytes(self.source.take()?)))
            }
            b'G' => Value::Float(f64::from_be_bytes(self.source.take()?)),
            b'I' => match self.source.line()?.as_slice() {
                b"00" => Value::Bool(false),
                b"01" => Value::Bool(true),
                line => Value::Int(number(line)?),
            },
            b'L' => {
                let line = self.source.line()?;
                Value::Int(number(line.strip_suffix(b"L").unwrap_or(&line))?)
            }
            b'F' => Value::Float(number(&self.source.line()?)?),
            0x8a => {
                let count = u64::from(self.source.byte()?);
                self.long(count)?
            }
            0x8b => {
                let count = self.length::<4>()?;
                self.long(count)?
            }
            _ => return Ok(false),
        };
        self.stack.push(value);
        Ok(true)
    }

    /// A little-endian two's complement of any length; eight bytes are read.
    fn long(&mut self, count: u64) -> Step<Value> {
        if count > 8 {
            return Err(damaged(format!("a whole number of {count} bytes")));
        }
        let bytes = self.source.bytes(count)?;
        let negative = bytes.last().is_some_and(|&b| b >= 0x80);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        word[..bytes.len()].copy_from_slice(&bytes);
        Ok(Value::Int(i64::from_le_bytes(word)))
    }

    fn string(&mut self, opcode: u8) -> Step<bool> {
        let object = match opcode {
            b'S' => Object::Bytes(quoted(&self.source.line()?)?),
            b'V' => Object::Text(raw_unicode(&self.source.line()?)?),
            b'U' | b'C' => Object::Bytes(self.counted::<1>()?),
            b'T' | b'B' => Object::Bytes(self.counted::<4>()?),
            0x8e | 0x96 => Object::Bytes(self.counted::<8>()?),
            0x8c => Object::Text(utf8(self.counted::<1>()?)?),
            b'X' => Object::Text(utf8(self.counted::<4>()?)?),
            0x8d => Object::Text(utf8(self.counted::<8>()?)?),
            _ => return Ok(false),
        };
        self.push(object);
        Ok(true)
    }

    fn container(&mut self, opcode: u8) -> Step<bool> {
        let object = match opcode {
            b']' => Object::List(Vec::new()),
            b')' => Object::Tuple(Vec::new()),
            b'}' => Object::Dict(Vec::new()),
            b'l' => Object::List(self.take_to_mark()?),
            b't' => Object::Tuple(self.take_to_mark()?),
            b'd' => Object::Dict(pairs(&self.take_to_mark()?)?),
            0x85..=0x87 => {
                let mut values = Vec::new();
                for _ in 0x85..=opcode {
                    values.insert(0, self.pop()?);
                }
                Object::Tuple(values)
            }
            b'a' => {
                let value = self.pop()?;
                self.list()?.push(value);
                return Ok(true);
            }
            b'e' => {
                let values = self.take_to_mark()?;
                self.list()?.extend(values);
                return Ok(true);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.dict()?.push((key, value));
                return Ok(true);
            }
            b'u' => {
                let entries = pairs(&self.take_to_mark()?)?;
                self.dict()?.extend(entries);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.push(object);
        Ok(true)
    }

    fn memory(&mut self, opcode: u8) -> Step<bool> {
        let (keep, key) = match opcode {
            b'p' => (true, number(&self.source.line()?)?),
            b'q' => (true, self.length::<1>()?),
            b'r' => (true, self.length::<4>()?),
            0x94 => (true, self.memo.len() as u64),
            b'g' => (false, number(&self.source.line()?)?),
            b'h' => (false, self.length::<1>()?),
            b'j' => (false, self.length::<4>()?),
            _ => return Ok(false),
        };
        if keep {
            let top = self.top()?;
            self.memo.insert(key, top);
        } else {
            let kept = self.memo.get(&key);
            self.stack.push(*kept.ok_or(PickleFault::Memo { key })?);
        }
        Ok(true)
    }

    /// Opcodes that name or call something.
    fn call(&mut self, opcode: u8) -> Step {
        match opcode {
            b'c' => {
                let (module, name) = (self.source.line()?, self.source.line()?);
                self.stack.push(Value::Call(Call::named(
                    &String::from_utf8_lossy(&module),
                    &String::from_utf8_lossy(&name),
                )?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let name = self.text_of(name)?;
                let module = self.text_of(module)?;
                self.stack.push(Value::Call(Call::named(&module, &name)?));
            }
            b'R' => {
                let (arguments, call) = (self.pop()?, self.pop()?);
                let result = self.reduce(call, arguments)?;
                self.stack.push(result);
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                self.build(target, state)?;
            }
            b'i' => {
                let (module, name) = (self.source.line()?, self.source.line()?);
                let module = String::from_utf8_lossy(&module);
                let name = String::from_utf8_lossy(&name);
                return Err(refused(&format!("{module}.{name}")));
            }
            b'o' | 0x81 | 0x92 => return Err(refused("an object of a class")),
            b'P' | b'Q' => return Err(refused("a persistent id")),
            0x82..=0x84 => return Err(refused("an extension code")),
            0x8f..=0x91 => return Err(refused("a set")),
            0x97 | 0x98 => return Err(refused("a buffer outside the file")),
            opcode => return Err(PickleFault::UnknownOpcode { opcode }),
        }
        Ok(())
    }

    /// A new object on the stack.
    fn push(&mut self, object: Object) {
        let value = self.keep(object);
        self.stack.push(value);
    }

    /// A new object.
    pub(super) fn keep(&mut self, object: Object) -> Value {
        self.objects.push(object);
        Value::Object(self.objects.len() - 1)
    }

    /// Counts bytes that a call makes: a text may become bytes once or twice,
    /// not again and again.
    pub(super) fn spend(&mut self, bytes: usize) -> Step {
        self.made = self.made.saturating_add(bytes as u64);
        let limit = self.source.length().saturating_mul(2);
        if self.made > limit {
            return Err(PickleFault::TooMany { what: "bytes made", limit });
        }
        Ok(())
    }

    fn pop(&mut self) -> Step<Value> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The top of the stack; what lies below an open mark is out of reach.
    fn top(&self) -> Step<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).and_then(<[_]>::last);
        above.copied().ok_or_else(|| damaged("an opcode without its value"))
    }

    fn take_to_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| damaged("an opcode without its mark"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn list(&mut self) -> Step<&mut Vec<Value>> {
        match self.target()? {
            Object::List(values) => Ok(values),
            _ => Err(damaged("appends to what is no list")),
        }
    }

    fn dict(&mut self) -> Step<&mut Vec<(Value, Value)>> {
        match self.target()? {
            Object::Dict(entries) => Ok(entries),
            _ => Err(damaged("sets an item of what is no dictionary")),
        }
    }

    fn target(&mut self) -> Step<&mut Object> {
        let found = match self.top()? {
            Value::Object(at) => self.objects.get_mut(at),
            _ => None,
        };
        found.ok_or_else(|| damaged("adds to what holds nothing"))
    }

    /// An unsigned length of `N` bytes.
    fn length<const N: usize>(&mut self) -> Step<u64> {
        let mut word = [0_u8; 8];
        word[..N].copy_from_slice(&self.source.take::<N>()?);
        Ok(u64::from_le_bytes(word))
    }

    fn counted<const N: usize>(&mut self) -> Step<Vec<u8>> {
        let count = self.length::<N>()?;
        self.source.bytes(count)
    }
}

pub(super) fn refused(name: &str) -> PickleFault {
    // A name may be any length and hold anything; a message may not.
    let name = name.chars().take(80).flat_map(char::escape_debug).collect();
    PickleFault::Refused { name }
}

fn utf8(bytes: Vec<u8>) -> Step<String> {
    String::from_utf8(bytes).map_err(|_| damaged("a text that is not UTF-8"))
}

fn number<T: std::str::FromStr>(line: &[u8]) -> Step<T> {
    let text = str::from_utf8(line).ok();
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| damaged("an unreadable number"))
}

fn pairs(values: &[Value]) -> Step<Vec<(Value, Value)>> {
    if values.len() % 2 == 1 {
        return Err(damaged("a key without a value"));
    }
    Ok(values.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
