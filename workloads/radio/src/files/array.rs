//! A numpy array as it lies in a file: bytes, element type, shape, order.

/// Type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    number: Number,
    pub(super) big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F2,
    F4,
    F8,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
}

/// What is wrong with an array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// Bytes do not fill the shape.
    #[error(
        "an array of shape {shape:?} with {size} bytes an element has {found} \
         bytes of data"
    )]
    Length {
        /// Its shape.
        shape: Vec<usize>,
        /// Bytes an element.
        size: usize,
        /// Bytes found.
        found: usize,
    },
    /// Nothing in it; sets are made of something.
    #[error("an empty array, of shape {shape:?}")]
    Empty {
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Its data were never given.
    #[error("an array without data")]
    Unbuilt,
}

/// An array, checked: its bytes fill its shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    fortran: bool,
    bytes: Vec<u8>,
}

impl Dtype {
    /// From numpy's short name, with or without byte order: `<f8`, `i2`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (order, name) = match name.as_bytes().first()? {
            b'<' | b'>' | b'|' | b'=' => name.split_at(1),
            _ => ("<", name),
        };
        let number = match name {
            "f2" => Number::F2,
            "f4" => Number::F4,
            "f8" => Number::F8,
            "i1" => Number::I1,
            "i2" => Number::I2,
            "i4" => Number::I4,
            "i8" => Number::I8,
            "u1" => Number::U1,
            "u2" => Number::U2,
            "u4" => Number::U4,
            "u8" => Number::U8,
            _ => return None,
        };
        Some(Self { number, big_endian: order == ">" })
    }

    /// Bytes an element.
    pub(super) fn size(self) -> usize {
        match self.number {
            Number::I1 | Number::U1 => 1,
            Number::F2 | Number::I2 | Number::U2 => 2,
            Number::F4 | Number::I4 | Number::U4 => 4,
            Number::F8 | Number::I8 | Number::U8 => 8,
        }
    }

    /// Whether elements are floating point.
    pub(super) fn is_float(self) -> bool {
        matches!(self.number, Number::F2 | Number::F4 | Number::F8)
    }

    /// One element. Integers beyond 2^53 lose their last bits.
    pub(super) fn decode(self, bytes: &[u8]) -> f64 {
        let mut word = [0_u8; 8];
        let size = self.size().min(bytes.len());
        word[..size].copy_from_slice(&bytes[..size]);
        if self.big_endian {
            word[..size].reverse();
        }
        let [a, b, c, d, ..] = word;
        match self.number {
            Number::F2 => half(u16::from_le_bytes([a, b])),
            Number::F4 => f64::from(f32::from_le_bytes([a, b, c, d])),
            Number::F8 => f64::from_le_bytes(word),
            Number::I1 => f64::from(a.cast_signed()),
            Number::I2 => f64::from(i16::from_le_bytes([a, b])),
            Number::I4 => f64::from(i32::from_le_bytes([a, b, c, d])),
            Number::I8 => i64::from_le_bytes(word) as f64,
            Number::U1 => f64::from(a),
            Number::U2 => f64::from(u16::from_le_bytes([a, b])),
            Number::U4 => f64::from(u32::from_le_bytes([a, b, c, d])),
            Number::U8 => u64::from_le_bytes(word) as f64,
        }
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f64::from(bits & 1023) / 1024.0;
    sign * match exponent {
        0 => fraction * 2.0_f64.powi(-14),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
    }
}

impl Array {
    pub(super) fn new(
        dtype: Dtype,
        shape: Vec<usize>,
        fortran: bool,
        bytes: Vec<u8>,
    ) -> Result<Self, ArrayError> {
        // A dimension of 0 would let the others be any size.
        if shape.contains(&0) {
            return Err(ArrayError::Empty { shape });
        }
        let size = dtype.size();
        let product = |n: usize, &d: &usize| n.checked_mul(d);
        if shape.iter().try_fold(size, product) != Some(bytes.len()) {
            let found = bytes.len();
            return Err(ArrayError::Length { shape, size, found });
        }
        Ok(Self { dtype, shape, fortran, bytes })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements, the last dimension the fastest (C order).
    pub(super) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let size = self.dtype.size();
        (0..self.bytes.len() / size).map(move |index| {
            let at = if self.fortran { self.place(index) } else { index };
            self.dtype.decode(&self.bytes[at * size..])
        })
    }

    /// Where, in Fortran order, the element of a C-order index lies.
    fn place(&self, mut index: usize) -> usize {
        let mut stride = self.bytes.len() / self.dtype.size();
        let mut place = 0;
        for &dimension in self.shape.iter().rev() {
            stride /= dimension;
            place += index % dimension * stride;
            index /= dimension;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_decode() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x0001, 2.0_f64.powi(-24)),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits).to_bits(), value.to_bits(), "{bits:#x}");
        }
        assert!(half(0x7c01).is_nan());
    }

    #[test]
    fn a_shape_that_overflows_is_an_error() {
        let dtype = Dtype::parse("<f8").unwrap();
        let shape = vec![usize::MAX, 3];
        let error = Array::new(dtype, shape, false, vec![0; 8]).unwrap_err();
        assert!(error.to_string().contains("8 bytes of data"), "{error}");
    }
}
