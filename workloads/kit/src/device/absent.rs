//! A build without GPUs: none opens, and nothing queues.

use assay_measure::{Watch, WorkloadError};

use super::{DeviceError, DeviceName, Gpu};

pub(super) fn open(number: usize) -> Result<Gpu, DeviceError> {
    Err(DeviceError::NotBuilt(DeviceName::Wgpu(number)))
}

pub(super) fn queue(_gpu: &Gpu) -> Option<Queue> {
    None
}

/// Work on its way on a GPU: no value of it, as this build has none.
#[derive(Debug)]
pub enum Queue {}

impl Queue {
    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn launch<T>(
        &mut self,
        _body: impl FnOnce() -> T,
    ) -> Result<T, WorkloadError> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn wait(
        &mut self,
        _watch: &mut Watch<'_>,
    ) -> Result<(), WorkloadError> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn settle(&mut self) -> Result<(), WorkloadError> {
        match *self {}
    }
}
