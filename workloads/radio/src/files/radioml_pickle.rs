//! RML2016.10a and 10b: a dictionary from (modulation, SNR) to an array
//! `[snapshots, 2, samples]`.

use std::path::Path;

use super::error::FilesError;
use super::pickle::{Pickle, Value};
use crate::Snapshots;
use crate::radioml::Modulation;

/// Classes by name; snapshots by class, SNR, place in the array.
pub(super) fn snapshots(
    mut pickle: Pickle,
    path: &Path,
) -> Result<Snapshots, FilesError> {
    let wrong = |what: String, found: String, expected: &str| {
        let (path, expected) = (path.to_owned(), expected.to_owned());
        FilesError::Shape { path, what, found, expected }
    };
    let root = pickle.root();
    let Some(entries) = pickle.dict(root).map(<[_]>::to_vec) else {
        return Err(wrong(
            "content".to_owned(),
            pickle.describe(root).to_owned(),
            "a dictionary from (modulation, SNR) to arrays",
        ));
    };
    let mut cells = Vec::with_capacity(entries.len());
    for &(key, array) in &entries {
        let (modulation, snr) = cell_key(&pickle, key, path)?;
        cells.push((modulation, snr, array));
    }
    cells.sort_by_key(|&(modulation, snr, _)| (modulation, snr));
    let mut modulations: Vec<_> = cells.iter().map(|cell| cell.0).collect();
    modulations.dedup();
    let mut set = Snapshots {
        length: 0,
        iq: Vec::new(),
        class: Vec::new(),
        snr_db: Vec::new(),
        classes: modulations.iter().map(|m| m.name().to_owned()).collect(),
    };
    // At once, for growing by doubling could take twice as much; where there
    // is no room, it is found out below.
    let sizes = cells.iter().map(|&(.., array)| pickle.elements(array));
    let _ = set.iq.try_reserve_exact(sizes.fold(0, usize::saturating_add));
    let mut last = None;
    for (modulation, snr, value) in cells {
        let cell = format!("(`{}`, {snr})", modulation.name());
        if last.replace((modulation, snr)) == Some((modulation, snr)) {
            return Err(wrong(cell, "it twice".to_owned(), "it once"));
        }
        // Taken out, and freed at the end of the round: bytes and snapshots
        // together are little more than one of them.
        let array = pickle
            .take_array(value)
            .ok_or_else(|| {
                let found = pickle.describe(value).to_owned();
                wrong(cell.clone(), found, "an array of its own")
            })?
            .map_err(|source| FilesError::array(path, source))?;
        let &[count, 2, length] = array.shape() else {
            let found = format!("shape {:?}", array.shape());
            return Err(wrong(cell, found, "[snapshots, 2, samples]"));
        };
        if set.length != 0 && set.length != length {
            let found = format!("{length} samples");
            let expected = format!("{} as before", set.length);
            return Err(wrong(cell, found, &expected));
        }
        set.length = length;
        let start = set.iq.len();
        set.iq.resize(start + count * 2 * length, 0.0);
        let placed = &mut set.iq[start..];
        for (at, number) in array.values().enumerate() {
            let (row, sample) = (at / length, at % length);
            let (snapshot, part) = (row / 2, row % 2);
            placed[2 * (snapshot * length + sample) + part] = number as f32;
        }
        let class = modulations.iter().position(|&m| m == modulation);
        let class = class.unwrap_or_default() as u8;
        set.class.resize(set.class.len() + count, class);
        set.snr_db.resize(set.snr_db.len() + count, snr);
    }
    Ok(set)
}

fn cell_key(
    pickle: &Pickle,
    key: Value,
    path: &Path,
) -> Result<(Modulation, i8), FilesError> {
    let parts = match pickle.tuple(key) {
        Some(&[name, snr]) => pickle.text(name).zip(pickle.int(snr)),
        _ => None,
    };
    let parts =
        parts.and_then(|(name, snr)| Some((name, i8::try_from(snr).ok()?)));
    let Some((name, snr)) = parts else {
        return Err(FilesError::Shape {
            path: path.to_owned(),
            what: "a key of the dictionary".to_owned(),
            found: pickle.describe(key).to_owned(),
            expected: "a pair of modulation name and SNR in dB".to_owned(),
        });
    };
    match Modulation::named(&name) {
        Some(modulation) => Ok((modulation, snr)),
        None => {
            let known = Modulation::ALL.map(Modulation::name);
            let nearest = assay_schema::nearest(&name, known);
            Err(FilesError::UnknownName {
                path: path.to_owned(),
                nearest: nearest.unwrap_or_default().to_owned(),
                name,
            })
        }
    }
}
