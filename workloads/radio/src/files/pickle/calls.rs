//! The few calls by which arrays, element types and bytes are written.

use std::io::BufRead;

use super::super::array::Dtype;
use super::machine::{Machine, damaged, refused};
use super::{Object, Parts, PickleFault, Value, describe, object_text};

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Call {
    /// `numpy.core.multiarray._reconstruct`: an array still to be filled.
    Reconstruct,
    /// `numpy.core.multiarray.scalar`: one number.
    Scalar,
    /// `numpy.core.numeric._frombuffer`: an array, as protocol 5 has it.
    FromBuffer,
    /// `numpy.ndarray`.
    Ndarray,
    /// `numpy.dtype`.
    Dtype,
    /// `_codecs.encode`: bytes, as Python 3 writes them below protocol 3.
    Encode,
    /// `bytes`: no bytes, likewise.
    Bytes,
}

impl Call {
    pub(super) fn named(module: &str, name: &str) -> Result<Self, PickleFault> {
        // numpy 2 moved `core` to `_core`.
        let module = module.replace("numpy._core.", "numpy.core.");
        Ok(match (module.as_str(), name) {
            ("numpy.core.multiarray", "_reconstruct") => Self::Reconstruct,
            ("numpy.core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::Ndarray,
            ("numpy", "dtype") => Self::Dtype,
            ("_codecs", "encode") => Self::Encode,
            ("__builtin__" | "builtins", "bytes") => Self::Bytes,
            _ => return Err(refused(&format!("{module}.{name}"))),
        })
    }
}

/// Dimensions of an array at most, as numpy has it; and no call or state that
/// is read has more parts. What is copied from a tuple stays small by it.
const LONGEST: usize = 64;

impl<R: BufRead> Machine<R> {
    fn object_of(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    pub(super) fn text_of(&self, value: Value) -> Result<String, PickleFault> {
        let text = self.object_of(value).and_then(object_text);
        text.ok_or_else(|| damaged("a name that is no string"))
    }

    fn tuple_of(&self, value: Value) -> Option<&[Value]> {
        match self.object_of(value)? {
            Object::Tuple(values) if values.len() <= LONGEST => Some(values),
            _ => None,
        }
    }

    fn dtype_of(&self, value: Value) -> Option<Dtype> {
        match self.object_of(value)? {
            Object::Dtype(dtype) => Some(*dtype),
            _ => None,
        }
    }

    /// Calls one of the few.
    pub(super) fn reduce(
        &mut self,
        call: Value,
        arguments: Value,
    ) -> Result<Value, PickleFault> {
        let Value::Call(call) = call else {
            let found = describe(&self.objects, call);
            return Err(damaged(format!("calls {found}")));
        };
        let wrong = || damaged(format!("unusual arguments of {call:?}"));
        let arguments = self.tuple_of(arguments).ok_or_else(wrong)?.to_vec();
        match (call, arguments.as_slice()) {
            // numpy sends an empty shape here; the state that follows has the
            // real one.
            (Call::Reconstruct, [Value::Call(Call::Ndarray), ..]) => {
                Ok(self.keep(Object::Array(None)))
            }
            (Call::Dtype, [name, ..]) => {
                let name = self.text_of(*name)?;
                let dtype = Dtype::parse(&name).ok_or_else(|| {
                    refused(&format!("arrays of element type {name}"))
                })?;
                Ok(self.keep(Object::Dtype(dtype)))
            }
            (Call::Scalar, [dtype, Value::Object(bytes)]) => {
                let dtype = self.dtype_of(*dtype).ok_or_else(wrong)?;
                let Some(Object::Bytes(bytes)) = self.objects.get(*bytes)
                else {
                    return Err(wrong());
                };
                if bytes.len() != dtype.size() {
                    return Err(wrong());
                }
                let number = dtype.decode(bytes);
                Ok(if dtype.is_float() {
                    Value::Float(number)
                } else {
                    Value::Int(number as i64)
                })
            }
            (Call::FromBuffer, [Value::Object(bytes), dtype, shape, order]) => {
                let fortran = match self.text_of(*order)?.as_str() {
                    "C" => false,
                    "F" => true,
                    _ => return Err(wrong()),
                };
                let parts = self.parts(*dtype, *shape, fortran, *bytes);
                let parts = parts.ok_or_else(wrong)?;
                Ok(self.keep(Object::Array(Some(parts))))
            }
            (Call::Encode, [text, codec]) => {
                let codec = self.text_of(*codec)?;
                if !matches!(codec.as_str(), "latin1" | "latin-1") {
                    return Err(refused(&format!("the codec {codec}")));
                }
                let Some(Object::Text(text)) = self.object_of(*text) else {
                    return Err(wrong());
                };
                let narrow = |c| u8::try_from(u32::from(c)).ok();
                let bytes: Option<Vec<u8>> = text.chars().map(narrow).collect();
                let mut bytes = bytes.ok_or_else(wrong)?;
                bytes.shrink_to_fit();
                self.spend(bytes.len())?;
                Ok(self.keep(Object::Bytes(bytes)))
            }
            (Call::Bytes, []) => Ok(self.keep(Object::Bytes(Vec::new()))),
            _ => Err(wrong()),
        }
    }

    /// Sets the state of an array or of an element type.
    pub(super) fn build(
        &mut self,
        target: Value,
        state: Value,
    ) -> Result<(), PickleFault> {
        let wrong = || damaged("an array or element type of unusual state");
        let place = match target {
            Value::Object(place) => place,
            _ => return Err(refused("the state of what is no array")),
        };
        let state = self.tuple_of(state).ok_or_else(wrong)?.to_vec();
        let built = match (self.objects.get(place), state.as_slice()) {
            // Version, order, then what records and sub-arrays have.
            (
                Some(Object::Dtype(dtype)),
                [_, order, Value::None, Value::None, Value::None, ..],
            ) => {
                let mut dtype = *dtype;
                dtype.big_endian = self.text_of(*order)? == ">";
                Object::Dtype(dtype)
            }
            (
                Some(Object::Array(_)),
                [_, shape, dtype, fortran, Value::Object(bytes)],
            ) => {
                let fortran = match fortran {
                    Value::Bool(fortran) => *fortran,
                    Value::Int(fortran) => *fortran != 0,
                    _ => return Err(wrong()),
                };
                let parts = self.parts(*dtype, *shape, fortran, *bytes);
                Object::Array(Some(parts.ok_or_else(wrong)?))
            }
            (Some(Object::Dtype(_) | Object::Array(_)), _) => {
                return Err(wrong());
            }
            _ => return Err(refused("the state of what is no array")),
        };
        self.objects[place] = built;
        Ok(())
    }

    fn parts(
        &self,
        dtype: Value,
        shape: Value,
        fortran: bool,
        bytes: usize,
    ) -> Option<Parts> {
        let dimension = |value: &Value| match value {
            Value::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        let shape = self.tuple_of(shape)?;
        let shape = shape.iter().map(dimension).collect::<Option<_>>()?;
        let dtype = self.dtype_of(dtype)?;
        match self.objects.get(bytes)? {
            Object::Bytes(_) => Some(Parts { dtype, shape, fortran, bytes }),
            _ => None,
        }
    }
}
