//! A reader of pickles (protocols 0 to 5) that runs nothing.
//!
//! Python's pickle format is a program for a stack machine that may call any
//! function. This [`machine`] knows the opcodes that make plain data, and the
//! few calls with which numpy and Python 2 and 3 write arrays and bytes
//! ([`calls`]); every other call, class or persistent id is refused by its
//! name. Values live in one list and refer to each other by index, so that no
//! nesting can exhaust the stack; declared lengths are compared with what is
//! left of the file before anything is allocated.
//!
//! The format: Python's `Lib/pickletools.py`, the documentation of each opcode.

mod calls;
mod error;
mod escape;
mod machine;
mod source;

use std::io::BufRead;

pub use error::{PickleError, PickleFault};

use super::array::{Array, ArrayError, Dtype};
use calls::Call;

/// A value; larger ones are places in the list of objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Call(Call),
    Object(usize),
}

/// A larger value.
#[derive(Clone, Debug, PartialEq)]
enum Object {
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Dtype(Dtype),
    /// None until its state is set, and after it was taken.
    Array(Option<Parts>),
}

/// An array as a pickle gives it; its bytes are another object.
#[derive(Clone, Debug, PartialEq)]
struct Parts {
    dtype: Dtype,
    shape: Vec<usize>,
    fortran: bool,
    bytes: usize,
}

/// What a pickle held.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Value,
}

/// Reads one pickle from a file of `length` bytes.
pub(super) fn read(
    reader: impl BufRead,
    length: u64,
) -> Result<Pickle, PickleError> {
    machine::Machine::new(reader, length).run()
}

impl Pickle {
    /// The value that was pickled.
    pub(super) fn root(&self) -> Value {
        self.root
    }

    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    /// The entries of a dictionary, in the order of the file.
    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value)? {
            Object::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The values of a tuple.
    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(values) => Some(values),
            _ => None,
        }
    }

    /// A string; Python 2's are bytes, read as Latin-1.
    pub(super) fn text(&self, value: Value) -> Option<String> {
        self.object(value).and_then(object_text)
    }

    /// A whole number.
    pub(super) fn int(&self, value: Value) -> Option<i64> {
        match value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// Elements of an array, as its bytes have it; 0 for anything else.
    pub(super) fn elements(&self, value: Value) -> usize {
        let Some(Object::Array(Some(parts))) = self.object(value) else {
            return 0;
        };
        match self.objects.get(parts.bytes) {
            Some(Object::Bytes(bytes)) => bytes.len() / parts.dtype.size(),
            _ => 0,
        }
    }

    /// Takes an array out, without copying its data. None when the value is
    /// no array, or one that was taken before.
    pub(super) fn take_array(
        &mut self,
        value: Value,
    ) -> Option<Result<Array, ArrayError>> {
        let Value::Object(at) = value else { return None };
        let Object::Array(parts) = self.objects.get_mut(at)? else {
            return None;
        };
        let Some(Parts { dtype, shape, fortran, bytes }) = parts.take() else {
            return Some(Err(ArrayError::Unbuilt));
        };
        let Object::Bytes(bytes) = self.objects.get_mut(bytes)? else {
            return None;
        };
        let bytes = std::mem::take(bytes);
        Some(Array::new(dtype, shape, fortran, bytes))
    }

    /// What sort of value it is, for messages.
    pub(super) fn describe(&self, value: Value) -> &'static str {
        describe(&self.objects, value)
    }
}

fn object_text(object: &Object) -> Option<String> {
    match object {
        Object::Text(text) => Some(text.clone()),
        Object::Bytes(bytes) => {
            Some(bytes.iter().map(|&b| char::from(b)).collect())
        }
        _ => None,
    }
}

fn describe(objects: &[Object], value: Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a truth value",
        Value::Int(_) => "a whole number",
        Value::Float(_) => "a floating-point number",
        Value::Call(_) => "a function",
        Value::Object(at) => match objects.get(at) {
            Some(Object::Text(_)) => "a string",
            Some(Object::Bytes(_)) => "bytes",
            Some(Object::List(_)) => "a list",
            Some(Object::Tuple(_)) => "a tuple",
            Some(Object::Dict(_)) => "a dictionary",
            Some(Object::Dtype(_)) => "an element type",
            Some(Object::Array(_)) => "an array",
            None => "nothing",
        },
    }
}

#[cfg(test)]
mod tests;
