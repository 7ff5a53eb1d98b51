//! Files that Python wrote; `tests/data/make.py` says what is in them.

use std::path::PathBuf;

use super::*;

fn path(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    PathBuf::from(folder).join(name)
}

fn failure(name: &str, kind: Kind) -> String {
    load(&path(name), kind).unwrap_err().to_string()
}

#[test]
fn every_protocol_gives_the_same_radioml_set() {
    let first = load(&path("radioml_p0.pkl"), Kind::RadioMl).unwrap();
    assert_eq!(first.classes, ["BPSK", "QAM16"]);
    assert_eq!(first.class, [0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(first.snr_db, [-2, -2, 0, 0, -2, -2, 0, 0]);
    assert_eq!(first.length, 4);
    // I of the last cell's first snapshot counts by quarters from 300.25, Q
    // lies one unit above.
    let snapshot = first.snapshot(6);
    assert_eq!(snapshot[..4], [300.25, 301.25, 300.5, 301.5]);
    for name in [
        "radioml_p1.pkl",
        "radioml_p2.pkl",
        "radioml_p3.pkl",
        "radioml_p4.pkl",
        "radioml_p5.pkl",
        "radioml_py2_p0.dat",
        "radioml_py2_p2.pkl",
    ] {
        let other = load(&path(name), Kind::RadioMl).unwrap();
        assert_eq!(other, first, "{name}");
    }
}

#[test]
fn an_unknown_modulation_names_the_nearest() {
    let error = failure("radioml_unknown_name.pkl", Kind::RadioMl);
    assert!(error.contains("`QPKS`; nearest known: `QPSK`"), "{error}");
}

#[test]
fn every_element_type_and_order_gives_the_same_numbers() {
    let expected: Vec<f64> = (-2..10).map(f64::from).collect();
    for name in [
        "grid_le_f8.npy",
        "grid_be_f8.npy",
        "grid_le_f4.npy",
        "grid_be_f4.npy",
        "grid_le_f2.npy",
        "grid_be_i2.npy",
        "grid_le_i4.npy",
        "grid_be_i8.npy",
        "grid_i1.npy",
        "grid_fortran.npy",
        "grid_fortran.pkl",
        "grid_fortran_p5.pkl",
        "grid_big_endian.pkl",
    ] {
        let array = read_array(&path(name)).unwrap();
        assert_eq!(array.shape(), [3, 4], "{name}");
        assert_eq!(array.values().collect::<Vec<_>>(), expected, "{name}");
    }
    for name in ["grid_v2.npy", "grid_v3.npy"] {
        let values: Vec<f64> =
            read_array(&path(name)).unwrap().values().collect();
        assert_eq!(values[..3], [254.0, 255.0, 0.0], "{name}");
    }
}

#[test]
fn a_npy_cut_anywhere_is_an_error() {
    for name in ["grid_le_f8.npy", "grid_v2.npy"] {
        let whole = std::fs::read(path(name)).unwrap();
        npy::read(&whole[..], whole.len() as u64).unwrap();
        for length in 0..whole.len() {
            let cut = npy::read(&whole[..length], length as u64);
            assert!(cut.is_err(), "{name} cut to {length}");
            let shrunk = npy::read(&whole[..length], whole.len() as u64);
            assert!(shrunk.is_err(), "{name} shrunk to {length}");
        }
    }
}

#[test]
fn the_crawdad_folder_is_read_with_its_labels() {
    let set = load(&path("crawdad"), Kind::Interference).unwrap();
    assert_eq!((set.len(), set.length, set.classes.len()), (315, 2, 15));
    assert_eq!(set.classes[0], "BT1");
    assert_eq!(set.classes[12], "WiFi3");
    assert_eq!(set.classes[14], "Zigbee2");
    for i in 0..set.len() {
        let (class, place) = (set.class[i], (set.snr_db[i] + 20) / 2);
        let (re, im) = (f32::from(class) + 1.0, f32::from(place));
        assert_eq!(set.snapshot(i), [re, im, -re, -im], "{i}");
    }
    assert_eq!((set.snrs()[0], set.snrs()[20]), (-20, 20));
}

#[test]
fn labels_of_another_shape_are_an_error() {
    let data = read_array(&path("crawdad/data_iq.p")).unwrap();
    let labels = read_array(&path("grid_i1.npy")).unwrap();
    let found = find::Found {
        data: path("crawdad/data_iq.p"),
        labels: Some(path("grid_i1.npy")),
    };
    let error = crawdad::snapshots(&data, Some(&labels), &found).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("grid_i1.npy: labels: found [3, 4]"), "{error}");
    let error = crawdad::snapshots(&labels, None, &found).unwrap_err();
    assert!(error.to_string().contains("I and Q"), "{error}");
}

#[test]
fn mistakes_are_named_with_the_path() {
    let error = failure("nowhere.pkl", Kind::RadioMl);
    assert!(error.contains("nowhere.pkl"), "{error}");
    let error = failure("crawdad", Kind::RadioMl);
    assert!(error.contains("holds none of RML2016.10a_dict.pkl"), "{error}");
    let error = failure("make.py", Kind::RadioMl);
    assert!(error.contains("make.py: byte 0"), "{error}");
    let error = failure("grid_fortran.pkl", Kind::RadioMl);
    assert!(error.contains("found an array, expected a dict"), "{error}");
    let error = failure("radioml_p2.pkl", Kind::Interference);
    assert!(error.contains("expected one array"), "{error}");
    let error = failure("evil_reduce.pkl", Kind::RadioMl);
    assert!(error.contains("evil_reduce.pkl: byte 2: refused"), "{error}");
}

#[test]
fn the_estimate_follows_the_files() {
    let size = |name: &str| std::fs::metadata(path(name)).unwrap().len();
    let estimate =
        |name: &str, kind| estimate_bytes(&path(name), kind).unwrap();
    let both = size("crawdad/data_iq.p") + size("crawdad/labels.p");
    assert_eq!(estimate("crawdad", Kind::Interference), 2 * both);
    let text = "radioml_py2_p0.dat";
    assert_eq!(estimate(text, Kind::RadioMl), size(text));
    // Header and 96 bytes, then 12 numbers of 4 bytes.
    let npy = "grid_le_f8.npy";
    assert_eq!(estimate(npy, Kind::Interference), size(npy) + 48);
    assert!(estimate_bytes(&path("nowhere"), Kind::RadioMl).is_err());
}

#[test]
fn a_set_with_any_byte_changed_does_not_panic() {
    let path = path("radioml_py2_p2.pkl");
    let whole = std::fs::read(&path).unwrap();
    let (mut read, mut refused) = (0, 0);
    for at in 0..whole.len() {
        for flip in [0x01, 0x10, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let length = bytes.len() as u64;
            let Ok(pickle) = pickle::read(&bytes[..], length) else {
                continue;
            };
            match radioml_pickle::snapshots(pickle, &path) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    // Changed samples are read; changed names, labels and shapes are not.
    assert!(read > 256 && refused > 20, "{read} {refused}");
}
