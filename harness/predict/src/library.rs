//! The classes' constants: what they mean (`constants/classes.toml`), what a
//! fit found (`constants/fitted.toml`), and how they resolve for a unit:
//! joint values, times the family's, times the overlay's.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use assay_hardware_profiles::{Architecture, Overlay};
use serde::{Deserialize, Serialize};

use crate::PredictError;
use crate::models::Class;
use crate::overlays::held_out_band;
use crate::residuals::Covariance;

/// `constants/classes.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    #[serde(rename = "format_version")]
    _format_version: u32,
    residuals: Covariance,
    class: BTreeMap<String, DeclaredClass>,
}

/// A class as declared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredClass {
    /// Name in tables.
    #[serde(rename = "title")]
    _title: String,
    /// The class whose joint constants it takes, at `times`. Of that one's
    /// families it takes what it lists itself, of its band nothing.
    like: Option<String>,
    #[serde(default)]
    times: BTreeMap<String, f64>,
    /// Weight of the priors against the rows.
    prior: f64,
    /// Constants that an overlay may move, and the deviation of the logarithm
    /// that is expected of a device.
    device: BTreeMap<String, f64>,
    /// Of some of them, the deviation that an overlay expects, where that is
    /// not [`OVERLAY`] times the one above.
    #[serde(default)]
    overlay: BTreeMap<String, f64>,
    /// Constants that a family may move.
    family: Vec<String>,
    #[serde(default)]
    constants: BTreeMap<String, Declaration>,
}

/// A constant as declared.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Declaration {
    prior: f64,
    low: Option<f64>,
    high: Option<f64>,
    /// The least that an overlay or a family may make of it; half of `low`
    /// below it unless stated.
    least: Option<f64>,
}

/// `constants/fitted.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fitted {
    pub(crate) format_version: u32,
    pub(crate) fit: Provenance,
    /// By how much the bands' logarithms were widened, by distance, so that
    /// they hold on devices that gave none of their rows.
    #[serde(default)]
    pub(crate) widen: BTreeMap<Distance, f64>,
    #[serde(default)]
    pub(crate) class: BTreeMap<String, FittedClass>,
}

/// What a fit was made from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provenance {
    /// Name that the classes refer to.
    pub(crate) id: String,
    /// The command.
    pub(crate) command: String,
    /// The rows: file and digest.
    pub(crate) data: String,
}

/// A class as fitted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FittedClass {
    /// [`Provenance::id`] of the fit.
    pub(crate) fit: String,
    pub(crate) rows: usize,
    pub(crate) devices: usize,
    /// Joint values by name.
    pub(crate) values: BTreeMap<String, f64>,
    /// Multipliers of families with at least two devices in the class.
    #[serde(default)]
    pub(crate) family: BTreeMap<Architecture, FittedFamily>,
    /// Measured over predicted on rows that the fit had not seen, by distance.
    #[serde(default)]
    pub(crate) band: BTreeMap<Distance, Band>,
}

/// A family's multipliers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FittedFamily {
    /// Devices that they were fitted on; at least two.
    pub(crate) devices: usize,
    pub(crate) times: BTreeMap<String, f64>,
}

/// How far a unit is from what was fitted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Distance {
    /// The device has an overlay of the class.
    Overlay,
    /// Its family has constants of its own, or devices of it were fitted.
    Family,
    /// Nothing of its family was fitted.
    New,
}

impl Distance {
    /// All of them, nearest first.
    pub(crate) const ALL: [Self; 3] = [Self::Overlay, Self::Family, Self::New];
}

/// The quantiles 10 % and 90 % of measured over predicted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Band {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Rows that they come from.
    pub(crate) n: usize,
    /// Mean absolute relative error on those rows.
    pub(crate) error: f64,
}

/// Logarithm of the band's half width in a class without rows.
const UNKNOWN_BAND: f64 = 0.47;

/// A device may deviate this much more from its family's or the joint
/// constants than the middle of all devices lets one.
const OVERLAY: f64 = 2.0;

/// Constants of every class.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) covariance: Covariance,
    classes: Vec<Entry>,
}

/// A class's constants, in the order of [`Class::constants`].
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) prior: Vec<f64>,
    /// Bounds of the search; `None` for what is not fitted.
    pub(crate) bounds: Vec<Option<(f64, f64)>>,
    /// Weight of the priors.
    pub(crate) prior_weight: f64,
    /// Indices that an overlay may move, with the expected deviation of the
    /// logarithm.
    pub(crate) device: Vec<(usize, f64)>,
    /// The deviations that an overlay expects, in the order of `device`.
    pub(crate) overlay: Vec<f64>,
    /// The least and the most of each constant after multipliers; `None` for
    /// what is not fitted.
    reach: Vec<Option<(f64, f64)>>,
    /// Indices that a family may move.
    pub(crate) family: Vec<usize>,
    /// Joint values.
    pub(crate) joint: Vec<f64>,
    /// Multipliers of families.
    pub(crate) families: BTreeMap<Architecture, Vec<f64>>,
    pub(crate) band: BTreeMap<Distance, Band>,
}

/// The constants of one class for one unit.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) values: Vec<f64>,
    pub(crate) distance: Distance,
    /// Natural logarithms of how far the truth lies below and above a
    /// prediction, as [`Entry::band`] has them.
    pub(crate) band: (f64, f64),
}

impl Library {
    /// The library that this build carries.
    pub(crate) fn get() -> Result<&'static Self, PredictError> {
        static READ: OnceLock<Result<Library, String>> = OnceLock::new();
        READ.get_or_init(|| {
            Self::read(
                include_str!("../constants/classes.toml"),
                include_str!("../constants/fitted.toml"),
            )
        })
        .as_ref()
        .map_err(|error| PredictError::Constants(error.clone()))
    }

    /// The declared constants with values of another fit.
    pub(crate) fn with(fitted: &str) -> Result<Self, PredictError> {
        Self::read(include_str!("../constants/classes.toml"), fitted)
            .map_err(PredictError::Constants)
    }

    fn read(declared: &str, fitted: &str) -> Result<Self, String> {
        let declared: Declared = toml::from_str(declared)
            .map_err(|error| format!("classes.toml: {error}"))?;
        let fitted: Fitted = toml::from_str(fitted)
            .map_err(|error| format!("fitted.toml: {error}"))?;
        let classes = Class::ALL
            .into_iter()
            .map(|class| {
                let name = class.name();
                let is = declared.class.get(name).ok_or_else(|| {
                    format!("classes.toml: no [class.{name}]")
                })?;
                let from = is.like.as_deref().unwrap_or(name);
                let constants = &declared
                    .class
                    .get(from)
                    .ok_or_else(|| format!("classes.toml: no [class.{from}]"))?
                    .constants;
                Entry::new(class, is, constants, fitted.class.get(from))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { covariance: declared.residuals, classes })
    }

    /// A class's constants.
    pub(crate) fn entry(&self, class: Class) -> &Entry {
        &self.classes[class.index()]
    }
}

impl Entry {
    fn new(
        class: Class,
        declared: &DeclaredClass,
        constants: &BTreeMap<String, Declaration>,
        fitted: Option<&FittedClass>,
    ) -> Result<Self, String> {
        let names = class.constants();
        let at = |name: &String| {
            names.iter().position(|known| known == name).ok_or_else(|| {
                format!("{}: no constant `{name}`", class.name())
            })
        };
        for name in constants.keys() {
            at(name)?;
        }
        for name in declared.overlay.keys() {
            if !declared.device.contains_key(name) {
                return Err(format!(
                    "classes.toml: {}: overlay: `{name}` is not among `device`",
                    class.name()
                ));
            }
        }
        let mut entry = Self {
            prior: Vec::new(),
            bounds: Vec::new(),
            prior_weight: declared.prior,
            device: declared
                .device
                .iter()
                .map(|(name, deviation)| Ok((at(name)?, *deviation)))
                .collect::<Result<_, String>>()?,
            overlay: declared
                .device
                .iter()
                .map(|(name, deviation)| {
                    let own = declared.overlay.get(name).copied();
                    own.unwrap_or(deviation * OVERLAY)
                })
                .collect(),
            reach: Vec::new(),
            family: declared.family.iter().map(at).collect::<Result<_, _>>()?,
            joint: Vec::new(),
            families: BTreeMap::new(),
            // What rows say of the other class, they do not say of this one.
            band: fitted
                .filter(|_| declared.like.is_none())
                .map_or_else(Default::default, |fitted| fitted.band.clone()),
        };
        for &name in names {
            let is = constants.get(name).ok_or_else(|| {
                format!("classes.toml: {}: no `{name}`", class.name())
            })?;
            let times = declared.times.get(name).copied().unwrap_or(1.0);
            let value = fitted
                .and_then(|fitted| fitted.values.get(name))
                .copied()
                .unwrap_or(is.prior);
            entry.prior.push(is.prior * times);
            let bounds = is.low.zip(is.high);
            entry.bounds.push(bounds.map(|(l, h)| (l * times, h * times)));
            entry.reach.push(bounds.map(|(low, high)| {
                // An exponent's bound may lie below 0.
                let least = is.least.unwrap_or(low - 0.5 * low.abs());
                (least * times, (high + 0.5 * high.abs()) * times)
            }));
            entry.joint.push(value * times);
        }
        for (&family, is) in fitted.iter().flat_map(|f| &f.family) {
            if is.devices < 2 {
                return Err(format!(
                    "fitted.toml: {}: family {family} has {} device; a family \
                     needs two to have constants of its own",
                    class.name(),
                    is.devices
                ));
            }
            let mut times = vec![1.0; names.len()];
            for (name, value) in &is.times {
                let at = at(name)?;
                if entry.family.contains(&at) {
                    times[at] = *value;
                } else if declared.like.is_none() {
                    return Err(format!(
                        "fitted.toml: {}: family {family}: `{name}` is not \
                         among `family` of classes.toml",
                        class.name()
                    ));
                }
            }
            if !entry.family.is_empty() {
                entry.families.insert(family, times);
            }
        }
        Ok(entry)
    }

    /// The constants for a unit of a family, with an overlay on it.
    pub(crate) fn resolve(
        &self,
        class: Class,
        family: Architecture,
        overlay: Option<&Overlay>,
    ) -> Resolved {
        let mut values = self.joint.clone();
        let mut distance = Distance::New;
        // What an overlay's own rows have to say of the band.
        let mut own_band = None;
        if let Some(times) = self.families.get(&family) {
            let moved = self.family.iter().map(|&at| (at, times[at]));
            self.multiply(&mut values, moved);
            distance = Distance::Family;
        }
        if let Some(own) = overlay.and_then(|o| o.classes.get(class.name())) {
            let names = class.constants();
            let moved = own.times.iter().filter_map(|(name, times)| {
                let at = names.iter().position(|known| known == name)?;
                Some((at, *times))
            });
            self.multiply(&mut values, moved);
            distance = Distance::Overlay;
            own_band = Some(held_out_band(&own.error));
        }
        let band = match own_band {
            // An overlay that nothing was held out from is not known to be
            // any nearer than no overlay.
            Some(None) => self.band(Distance::New),
            Some(Some(own)) => {
                let (low, high) = self.band(distance);
                (low.max(own), high.max(own))
            }
            None => self.band(distance),
        };
        Resolved { values, distance, band }
    }

    /// Natural logarithms of how far the truth lies below and above a
    /// prediction, 80 % between them; at least 3 %. Without rows at a
    /// distance, the next farther one's; without any, a factor of 1.6.
    pub(crate) fn band(&self, distance: Distance) -> (f64, f64) {
        let found = Distance::ALL
            .into_iter()
            .filter(|known| *known >= distance)
            .chain(Distance::ALL.into_iter().rev())
            .find_map(|known| self.band.get(&known));
        let Some(band) = found else { return (UNKNOWN_BAND, UNKNOWN_BAND) };
        ((-band.low.ln()).max(0.03), band.high.ln().max(0.03))
    }

    /// Multiplies values. What has bounds stays within them and half of each
    /// beyond (below: within its `least` where that is stated).
    pub(crate) fn multiply(
        &self,
        values: &mut [f64],
        times: impl Iterator<Item = (usize, f64)>,
    ) {
        for (at, times) in times {
            values[at] *= times;
            if let Some((least, most)) = self.reach[at] {
                values[at] = values[at].clamp(least, most);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_constants_read_and_lie_within_their_bounds() {
        let library = Library::get().unwrap();
        for class in Class::ALL {
            let entry = library.entry(class);
            assert_eq!(entry.joint.len(), class.constants().len());
            for (at, name) in class.constants().iter().enumerate() {
                let value = entry.joint[at];
                let Some((low, high)) = entry.bounds[at] else { continue };
                assert!(
                    (low..=high).contains(&value),
                    "{} {name}: {value}",
                    class.name()
                );
            }
        }
    }

    #[test]
    fn a_family_moves_what_it_may_and_nothing_else() {
        let library = Library::get().unwrap();
        let mut families = 0;
        for class in Class::ALL {
            let entry = library.entry(class);
            for (&family, times) in &entry.families {
                let values = entry.resolve(class, family, None).values;
                for (at, name) in class.constants().iter().enumerate() {
                    let may = entry.family.contains(&at);
                    let by = if may { times[at] } else { 1.0 };
                    let expected = entry.joint[at] * by;
                    assert_eq!(values[at], expected, "{name} {family}");
                }
                families += 1;
            }
        }
        assert!(families > 5, "{families}");
    }

    #[test]
    fn a_multiplier_of_1_changes_no_constant_below_0_either() {
        let entry = Library::get().unwrap().entry(Class::MatmulVector);
        let names = Class::MatmulVector.constants();
        let at = names.iter().position(|n| *n == "kappa_opc").unwrap();
        let low = entry.bounds[at].unwrap().0;
        assert!(low < 0.0, "{low}");
        for start in [low, 0.5 * low, entry.joint[at]] {
            let mut values = entry.joint.clone();
            values[at] = start;
            entry.multiply(&mut values, std::iter::once((at, 1.0)));
            assert_eq!(values[at], start);
            entry.multiply(&mut values, std::iter::once((at, 10.0)));
            assert!(values[at] >= 1.5 * low, "{}", values[at]);
        }
    }

    #[test]
    fn a_class_like_another_has_a_share_of_it_but_not_its_rows() {
        let library = Library::get().unwrap();
        let conv = library.entry(Class::ConvVector);
        let product = library.entry(Class::MatmulVector);
        let names = Class::ConvVector.constants();
        let ec = names.iter().position(|name| *name == "ec").unwrap();
        let share = conv.joint[ec] / product.joint[ec];
        assert!((0.1..0.9).contains(&share), "{share}");
        let (low, high) = conv.bounds[ec].unwrap();
        let (of_low, of_high) = product.bounds[ec].unwrap();
        assert!((low / of_low - share).abs() < 1e-12, "{low} {of_low}");
        assert!((high / of_high - share).abs() < 1e-12, "{high} {of_high}");
        assert!(!product.families.is_empty() && conv.families.is_empty());
        for distance in Distance::ALL {
            assert_eq!(conv.band(distance), (UNKNOWN_BAND, UNKNOWN_BAND));
        }
        let own = conv.resolve(Class::ConvVector, Architecture::Volta, None);
        assert_eq!(own.distance, Distance::New);
    }

    #[test]
    fn every_fitted_value_names_its_fit() {
        let fitted: Fitted =
            toml::from_str(include_str!("../constants/fitted.toml")).unwrap();
        assert!(!fitted.fit.data.is_empty() && !fitted.fit.command.is_empty());
        for (name, class) in &fitted.class {
            assert_eq!(class.fit, fitted.fit.id, "{name}");
            assert!(class.rows > 0 && class.devices > 0, "{name}");
            for (family, is) in &class.family {
                assert!(is.devices >= 2, "{name} {family}");
            }
        }
    }

    #[test]
    fn the_band_of_an_overlay_is_as_wide_as_its_held_out_rows_ask_for() {
        let class = Class::LlamaDecode;
        let entry = Library::get().unwrap().entry(class);
        let mut overlay = Overlay::shipped()
            .unwrap()
            .into_iter()
            .find(|overlay| overlay.classes.contains_key(class.name()))
            .unwrap();
        let mut band = |after: Option<f64>, n: usize| {
            let own = overlay.classes.get_mut(class.name()).unwrap();
            own.error.after = after;
            own.error.n = n;
            own.error.models = None;
            entry.resolve(class, Architecture::Volta, Some(&overlay)).band
        };
        let [near, new] =
            [Distance::Overlay, Distance::New].map(|far| entry.band(far));
        assert_ne!(near, new);
        assert_eq!(band(Some(0.0), 50), near);
        assert_eq!(band(None, 0), new, "nothing is known of its error");
        // Student's table, 0.90 with 6 degrees of freedom: 1.440.
        let (low, high) = band(Some(0.3), 7);
        for side in [low, high] {
            let expected = 1.0 + 1.440 * 1.2533 * 0.3;
            assert!((side.exp() - expected).abs() < 1e-3, "{side}");
        }
    }

    /// What is wrong with a family of softmax.
    fn refused(family: &str) -> String {
        let fitted = format!(
            r#"
            format_version = 1
            fit = {{ id = "x", command = "x", data = "x" }}
            [class.softmax]
            fit = "x"
            rows = 9
            devices = 3
            values = {{}}
            [class.softmax.family.volta]
            {family}
        "#
        );
        let declared = include_str!("../constants/classes.toml");
        Library::read(declared, &fitted).unwrap_err()
    }

    #[test]
    fn a_family_of_one_device_is_refused() {
        let error = refused("devices = 1\ntimes = { em = 1.1 }");
        assert!(error.contains("volta has 1 device"), "{error}");
    }

    #[test]
    fn a_family_that_moves_what_it_may_not_is_refused() {
        let error = refused("devices = 2\ntimes = { sfu = 1.1 }");
        assert!(error.contains("volta: `sfu` is not among"), "{error}");
    }
}
