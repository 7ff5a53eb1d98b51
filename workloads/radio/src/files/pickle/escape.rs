//! Strings as the text protocol writes them.

use super::PickleFault;

fn damaged(what: &str) -> PickleFault {
    PickleFault::Damaged { what: what.to_owned() }
}

/// A quoted Python 2 string, as `repr` writes it.
pub(super) fn quoted(line: &[u8]) -> Result<Vec<u8>, PickleFault> {
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err(damaged("a string without quotes")),
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, used) = escaped(rest)?;
        bytes.push(byte);
        rest = &rest[used..];
    }
    // What escapes saved is given back: these bytes are kept for long.
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// The byte of an escape and its length, after the backslash.
fn escaped(rest: &[u8]) -> Result<(u8, usize), PickleFault> {
    let unknown = || damaged("an unknown escape in a string");
    Ok(match *rest {
        [b'x', high, low, ..] => {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(unknown);
            ((digit(high)? * 16 + digit(low)?) as u8, 3)
        }
        [b'n', ..] => (b'\n', 1),
        [b't', ..] => (b'\t', 1),
        [b'r', ..] => (b'\r', 1),
        [b'a', ..] => (7, 1),
        [b'b', ..] => (8, 1),
        [b'v', ..] => (11, 1),
        [b'f', ..] => (12, 1),
        [c @ (b'\\' | b'\'' | b'"'), ..] => (c, 1),
        _ => return Err(unknown()),
    })
}

/// A line of protocol 0's text: Latin-1 with escapes of four and of eight digits.
pub(super) fn raw_unicode(line: &[u8]) -> Result<String, PickleFault> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let [first, after @ ..] = rest {
        let digits = match (first, after) {
            (b'\\', [b'u', ..]) => 4,
            (b'\\', [b'U', ..]) => 8,
            _ => {
                text.push(char::from(*first));
                rest = after;
                continue;
            }
        };
        let unknown = || damaged("an unfinished \\u in a text");
        let hex = after.get(1..=digits).ok_or_else(unknown)?;
        let mut code = 0_u32;
        for &c in hex {
            let digit = char::from(c).to_digit(16).ok_or_else(unknown)?;
            code = code << 4 | digit;
        }
        text.push(char::from_u32(code).ok_or_else(unknown)?);
        rest = &after[1 + digits..];
    }
    Ok(text)
}
