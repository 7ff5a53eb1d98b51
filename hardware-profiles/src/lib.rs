//! assay-hardware-profiles.
