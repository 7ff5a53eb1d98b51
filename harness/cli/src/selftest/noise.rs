//! Neighbours that make a machine noisy, each a child process of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// A kind of neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Noise {
    /// None.
    None,
    /// Burns one core 50 ms of every 250.
    Burst,
    /// Copies 256 MiB to and fro without a pause.
    MemoryHog,
}

impl Noise {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Burst => "burst",
            Self::MemoryHog => "memory-hog",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Burst, Self::MemoryHog]
            .into_iter()
            .find(|noise| noise.name() == name)
    }

    /// Starts it; it ends when the returned guard is dropped.
    pub(crate) fn start(self) -> Result<Option<Running>> {
        if self == Self::None {
            return Ok(None);
        }
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .args([super::CHILD, "noise", self.name()])
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start the noisy neighbour")?;
        // Long enough that the first comparison has it beside it.
        std::thread::sleep(Duration::from_millis(100));
        Ok(Some(Running(child)))
    }

    /// What the child does, until it is killed or its parent is gone.
    pub(crate) fn make(self) {
        let parent = std::os::unix::process::parent_id();
        let orphaned = || std::os::unix::process::parent_id() != parent;
        match self {
            Self::None => {}
            Self::Burst => {
                while !orphaned() {
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(50) {
                        std::hint::spin_loop();
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            Self::MemoryHog => {
                let mut there = vec![1_u8; 128 << 20];
                let mut back = vec![0_u8; 128 << 20];
                while !orphaned() {
                    back.copy_from_slice(std::hint::black_box(&there));
                    std::mem::swap(&mut there, &mut back);
                }
            }
        }
    }
}

/// A neighbour at work.
pub(crate) struct Running(Child);

impl Running {
    /// Whether it is still there: a neighbour that the system has killed is
    /// no noise.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the noisy neighbour ended: {status}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Failing to end it twice is no loss: it ends with this process.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
