//! A set of snapshots with their labels, wherever they come from.

/// Snapshots of equal length with class and SNR label.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshots {
    /// Complex samples a snapshot.
    pub length: usize,
    /// `[N, length, 2]`: I and Q in turn.
    pub iq: Vec<f32>,
    /// Class of each, a place in `classes`.
    pub class: Vec<u8>,
    /// SNR label of each, dB; what it means is the convention of whoever made
    /// the set.
    pub snr_db: Vec<i8>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// What is wrong with a set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SnapshotsError {
    /// Lengths that do not belong together.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// Of what.
        what: String,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// A label without a class.
    #[error(
        "snapshot {index}: class {class} is unknown; there are {classes} \
         classes, from 0"
    )]
    UnknownClass {
        /// Which snapshot.
        index: usize,
        /// Its label.
        class: u8,
        /// How many there are.
        classes: usize,
    },
    /// A class without a snapshot at an SNR that others have.
    #[error("no snapshot of class `{class}` at {snr_db} dB: an empty cell")]
    EmptyCell {
        /// Class name.
        class: String,
        /// SNR label.
        snr_db: i8,
    },
    /// A sample that is NaN or infinite.
    #[error(
        "snapshot {index} ({class}, {snr_db} dB): sample {sample} is {value}"
    )]
    NotFinite {
        /// Which snapshot.
        index: usize,
        /// Class name.
        class: String,
        /// SNR label.
        snr_db: i8,
        /// Which of its samples.
        sample: usize,
        /// The value.
        value: f32,
    },
    /// Nothing but zeros.
    #[error("snapshot {index} ({class}, {snr_db} dB) has no power: all zeros")]
    NoPower {
        /// Which snapshot.
        index: usize,
        /// Class name.
        class: String,
        /// SNR label.
        snr_db: i8,
    },
}

impl Snapshots {
    /// How many.
    pub fn len(&self) -> usize {
        self.class.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.class.is_empty()
    }

    /// One snapshot: I and Q in turn.
    ///
    /// # Panics
    /// When there is none of that index.
    pub fn snapshot(&self, index: usize) -> &[f32] {
        let size = 2 * self.length;
        &self.iq[index * size..(index + 1) * size]
    }

    /// The SNR labels that occur, ascending.
    pub fn snrs(&self) -> Vec<i8> {
        let mut snrs = self.snr_db.clone();
        snrs.sort_unstable();
        snrs.dedup();
        snrs
    }

    /// Checks everything that a study relies on.
    ///
    /// # Errors
    /// [`SnapshotsError`], the first that is found.
    pub fn check(&self) -> Result<(), SnapshotsError> {
        let count = self.class.len();
        let shape = |what: &str, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            Err(SnapshotsError::Shape {
                what: what.to_owned(),
                found: found.to_string(),
                expected: expected.to_string(),
            })
        };
        shape("SNR labels", self.snr_db.len(), count)?;
        shape("I and Q values", self.iq.len(), 2 * self.length * count)?;
        let classes = self.classes.len();
        for (index, &class) in self.class.iter().enumerate() {
            if usize::from(class) >= classes {
                return Err(SnapshotsError::UnknownClass {
                    index,
                    class,
                    classes,
                });
            }
        }
        self.check_cells()?;
        (0..count).try_for_each(|index| self.check_power(index))
    }

    fn check_cells(&self) -> Result<(), SnapshotsError> {
        let mut seen = std::collections::BTreeSet::new();
        for (&class, &snr) in self.class.iter().zip(&self.snr_db) {
            seen.insert((class, snr));
        }
        for snr_db in self.snrs() {
            for (class, name) in self.classes.iter().enumerate() {
                if !seen.contains(&(class as u8, snr_db)) {
                    let class = name.clone();
                    return Err(SnapshotsError::EmptyCell { class, snr_db });
                }
            }
        }
        Ok(())
    }

    fn check_power(&self, index: usize) -> Result<(), SnapshotsError> {
        let class = || self.classes[usize::from(self.class[index])].clone();
        let snr_db = self.snr_db[index];
        let values = self.snapshot(index);
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(SnapshotsError::NotFinite {
                index,
                class: class(),
                snr_db,
                sample: at / 2,
                value: values[at],
            });
        }
        if values.iter().all(|&v| v == 0.0) {
            let class = class();
            return Err(SnapshotsError::NoPower { index, class, snr_db });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes at two SNRs, one snapshot of two samples each.
    fn sound() -> Snapshots {
        Snapshots {
            length: 2,
            iq: (1..=16).map(|value| value as f32).collect(),
            class: vec![0, 0, 1, 1],
            snr_db: vec![-2, 4, -2, 4],
            classes: vec!["a".to_owned(), "b".to_owned()],
        }
    }

    fn refusal(spoil: impl Fn(&mut Snapshots)) -> String {
        let mut set = sound();
        spoil(&mut set);
        set.check().unwrap_err().to_string()
    }

    #[test]
    fn a_sound_set_passes() {
        assert_eq!(sound().check(), Ok(()));
        assert_eq!(sound().snrs(), [-2, 4]);
        assert_eq!(sound().snapshot(1), [5.0, 6.0, 7.0, 8.0]);
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let cases: [(String, &str); 6] = [
            (refusal(|s| s.class[2] = 2), "snapshot 2: class 2 is unknown"),
            (refusal(|s| s.iq.truncate(15)), "found 15, expected 16"),
            (refusal(|s| s.snr_db.truncate(3)), "SNR labels: found 3"),
            (
                refusal(|s| s.class[3] = 0),
                "no snapshot of class `b` at 4 dB: an empty cell",
            ),
            (
                refusal(|s| s.iq[13] = f32::NAN),
                "snapshot 3 (b, 4 dB): sample 0 is NaN",
            ),
            (
                refusal(|s| s.iq[4..8].fill(0.0)),
                "snapshot 1 (a, 4 dB) has no power",
            ),
        ];
        for (said, expected) in cases {
            assert!(said.contains(expected), "{said}");
        }
    }
}
