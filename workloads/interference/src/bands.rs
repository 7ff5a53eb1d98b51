//! The sub-bands, read from `bands.toml`.

use assay_schema::TextError;
use serde::Deserialize;

use crate::InterferenceError;

const BANDS: &str = include_str!("../bands.toml");

/// A sub-band.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Its width in MHz, as the axis `band_mhz` has it.
    pub name: String,
    /// What it covers.
    pub why: String,
    /// First and last bin of each part.
    bins: Vec<[usize; 2]>,
    /// Classes that can be seen in it.
    pub classes: Vec<String>,
    /// Whether the paper's CNN drops units after its first convolution too.
    pub first_dropout: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    band: Vec<Band>,
}

impl Band {
    /// Names, the whole band first.
    pub const NAMES: [&'static str; 4] = ["10", "4", "2", "4-alternative"];

    /// The band of that name.
    ///
    /// # Errors
    /// No such band: the nearest is given.
    pub fn named(name: &str) -> Result<Self, InterferenceError> {
        let file: File = toml::from_str(BANDS).map_err(|error| {
            TextError::new("bands.toml", BANDS, error.span(), error.message())
        })?;
        file.band.into_iter().find(|band| band.name == name).ok_or_else(|| {
            let nearest = assay_schema::nearest(name, Self::NAMES);
            InterferenceError::Unknown {
                what: "band",
                found: name.to_owned(),
                nearest: nearest.unwrap_or_default().to_owned(),
            }
        })
    }

    /// The bins that are kept, ascending.
    pub fn bins(&self) -> Vec<usize> {
        self.bins.iter().flat_map(|&[first, last]| first..=last).collect()
    }

    /// The place of a class among those of the band.
    pub fn class(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_have_the_papers_bins_and_classes() {
        let sizes: Vec<(usize, usize)> = Band::NAMES
            .iter()
            .map(|name| {
                let band = Band::named(name).unwrap();
                (band.bins().len(), band.classes.len())
            })
            .collect();
        assert_eq!(sizes, [(128, 15), (52, 10), (26, 7), (52, 11)]);
        assert!(Band::named("5").is_err());
    }
}
