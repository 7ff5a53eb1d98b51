//! numpy's `.npy`, versions 1 to 3 (numpy's NEP 1).

use std::io::{BufRead, Read};

use super::array::{Array, Dtype};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether a `.npy` begins here; nothing is consumed.
pub(super) fn begins(reader: &mut impl BufRead) -> std::io::Result<bool> {
    Ok(reader.fill_buf()?.starts_with(MAGIC))
}

/// Element type and shape of a header.
pub(super) struct Header {
    dtype: Dtype,
    shape: Vec<usize>,
    fortran: bool,
    /// Bytes before the data.
    length: u64,
}

impl Header {
    /// Elements, and bytes of each; none if there are too many to count.
    pub(super) fn elements(&self) -> Option<u64> {
        let dimensions = self.shape.iter();
        dimensions.map(|&d| d as u64).try_fold(1_u64, u64::checked_mul)
    }
}

/// The array of a file of `length` bytes.
pub(super) fn read(
    mut reader: impl BufRead,
    length: u64,
) -> Result<Array, String> {
    let header = header(&mut reader)?;
    let size = header.dtype.size() as u64;
    let bytes = header.elements().and_then(|n| n.checked_mul(size));
    let left = length.saturating_sub(header.length);
    // Before anything is allocated.
    if bytes != Some(left) {
        return Err(format!(
            "the header says shape {:?} of {size}-byte elements; {left} bytes \
             follow it",
            header.shape
        ));
    }
    let mut data = Vec::new();
    data.try_reserve_exact(left as usize)
        .map_err(|_| format!("no memory for {left} bytes"))?;
    reader.take(left).read_to_end(&mut data).map_err(|e| e.to_string())?;
    let Header { dtype, shape, fortran, .. } = header;
    Array::new(dtype, shape, fortran, data).map_err(|e| e.to_string())
}

/// The header, and how long it is.
pub(super) fn header(reader: &mut impl Read) -> Result<Header, String> {
    let cut = |_| "cut off inside the header".to_owned();
    let mut start = [0_u8; 8];
    reader.read_exact(&mut start).map_err(cut)?;
    if !start.starts_with(MAGIC) {
        return Err("does not begin as a .npy file".to_owned());
    }
    let (width, longest) = match start[6] {
        1 => (2, 1 << 16),
        2 | 3 => (4, 1 << 20),
        version => return Err(format!("unknown .npy version {version}")),
    };
    let mut word = [0_u8; 4];
    reader.read_exact(&mut word[..width]).map_err(cut)?;
    let count = u32::from_le_bytes(word);
    if count > longest {
        return Err(format!("a header of {count} bytes; at most {longest}"));
    }
    let mut text = vec![0_u8; count as usize];
    reader.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8_lossy(&text);
    let descr = entry(&text, "descr")?;
    let name = descr.trim_matches(['\'', '"']);
    let dtype = Dtype::parse(name).ok_or_else(|| {
        format!("element type {descr}; only f2 to f8, i1 to i8, u1 to u8")
    })?;
    let fortran = match entry(&text, "fortran_order")? {
        "True" => true,
        "False" => false,
        other => return Err(format!("fortran_order is {other}")),
    };
    let listed = entry(&text, "shape")?;
    let shape = listed
        .trim_matches(['(', ')'])
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse::<usize>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| format!("unreadable shape {listed}"))?;
    let length = 8 + width as u64 + u64::from(count);
    Ok(Header { dtype, shape, fortran, length })
}

/// The value of a key of the header, which numpy writes as a Python
/// dictionary: up to the next comma or brace outside brackets.
fn entry<'a>(text: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("the header has no `{key}`");
    let at = text.find(&format!("'{key}'")).ok_or_else(missing)?;
    let (_, rest) = text[at..].split_once(':').ok_or_else(missing)?;
    let mut depth = 0;
    let end = rest.find(|c| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        depth == 0 && matches!(c, ',' | '}')
    });
    Ok(rest[..end.ok_or_else(missing)?].trim())
}
