//! The bytes of a pickle: counted, and never more than there are.

use std::io::{BufRead, Read};

use super::PickleFault;

pub(super) struct Source<R> {
    reader: R,
    pub(super) offset: u64,
    length: u64,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self { reader, offset: 0, length }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Before anything is allocated.
    pub(super) fn check(&self, needed: u64) -> Result<(), PickleFault> {
        let left = self.length.saturating_sub(self.offset);
        if needed > left {
            return Err(PickleFault::CutOff { needed, left });
        }
        Ok(())
    }

    pub(super) fn take<const N: usize>(
        &mut self,
    ) -> Result<[u8; N], PickleFault> {
        self.check(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(io)?;
        self.offset += N as u64;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, PickleFault> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, PickleFault> {
        self.check(count)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count as usize).map_err(|_| {
            PickleFault::Io { message: format!("no memory for {count} bytes") }
        })?;
        let mut part = (&mut self.reader).take(count);
        let found = part.read_to_end(&mut bytes).map_err(io)? as u64;
        self.offset += found;
        if found < count {
            let left = 0;
            return Err(PickleFault::CutOff { needed: count - found, left });
        }
        Ok(bytes)
    }

    /// Up to the end of the line, without it.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, PickleFault> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).map_err(io)?;
        self.offset += line.len() as u64;
        if line.pop() != Some(b'\n') {
            return Err(PickleFault::CutOff { needed: 1, left: 0 });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }
}

fn io(error: std::io::Error) -> PickleFault {
    PickleFault::Io { message: error.to_string() }
}
