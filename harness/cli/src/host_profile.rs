//! Where this machine's own profile lives.
//!
//! `$ASSAY_HOST_PROFILE`, else `$XDG_DATA_HOME/assay/host.toml`, else
//! `~/.local/share/assay/host.toml`.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use assay_hardware_profiles::{HardwareProfile, UnitName};

use crate::defaults::HOST;

/// The file.
pub(crate) fn path() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ASSAY_HOST_PROFILE") {
        return Ok(path.into());
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".local/share"))
        })
        .ok_or_else(|| {
            anyhow!(
                "neither HOME nor XDG_DATA_HOME is set; name the host's \
                 profile with ASSAY_HOST_PROFILE=FILE"
            )
        })?;
    Ok(data.join("assay").join("host.toml"))
}

/// The probed profile; `None` when this machine was never probed.
pub(crate) fn load() -> Result<Option<HardwareProfile>> {
    let path = path()?;
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(assay_hardware_profiles::load_file(&path)?))
}

/// A profile by `NAME[:UNIT]`, `host` included.
pub(crate) fn resolve(text: &str) -> Result<(HardwareProfile, UnitName)> {
    let (name, unit) = match text.split_once(':') {
        Some((name, unit)) => (name, Some(unit)),
        None => (text, None),
    };
    if name != HOST {
        return Ok(assay_hardware_profiles::resolve(text)?);
    }
    let profile = load()?.ok_or_else(|| {
        anyhow!(
            "this machine has no profile yet: run `assay probe` first \
             (it takes about 3 minutes)"
        )
    })?;
    let (unit, _) = profile.unit(unit)?;
    Ok((profile, unit))
}
