//! `assay verify`.

use crate::place::Place;

fn words(family: &str) -> String {
    format!(
        "verify --model {family}-tiny.config.json --weights \
         {family}-tiny.weights.safetensors --golden \
         {family}-tiny.golden.safetensors"
    )
}

#[test]
fn verify_of_cases_says_right_and_against_what() {
    let text = Place::new().ok("verify slm/tiny/* operators/softmax");
    assert_eq!(text.matches(" right ").count(), 6, "{text}");
    assert!(text.contains("definition in f64"), "{text}");
    assert!(text.contains("llama-tiny.golden.safetensors: logits"), "{text}");
    assert!(text.contains("gradients"), "{text}");
}

#[test]
fn what_cannot_be_measured_here_is_skipped_with_its_reason() {
    let text = Place::new().ok("verify operators/all_reduce");
    assert!(text.contains("skipped"), "{text}");
    assert!(text.contains("a collective needs several ranks"), "{text}");
}

#[test]
fn all_four_golden_files_agree() {
    let place = Place::new();
    for family in ["llama", "qwen2", "gpt_neox", "opt"] {
        place.golden(family);
        let text = place.ok(&words(family));
        assert!(text.contains("largest absolute difference"), "{text}");
        assert!(text.contains("output's largest magnitude"), "{text}");
        assert!(text.ends_with("\nright\n"), "{text}");
    }
}

#[test]
fn a_weight_off_by_one_per_cent_is_wrong_with_exit_1() {
    let place = Place::new();
    for family in ["llama", "qwen2", "gpt_neox", "opt"] {
        place.golden(family);
        let path = place.path(&format!("{family}-tiny.weights.safetensors"));
        let mut bytes = std::fs::read(&path).unwrap();
        perturb(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let said = place.assay(&words(family));
        assert_eq!(said.code, 1, "{family}: {}{}", said.out, said.err);
        assert!(said.out.ends_with("\nWRONG\n"), "{}", said.out);
    }
}

/// Scales the largest norm gain of a safetensors file by 1.01.
fn perturb(bytes: &mut [u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value =
        serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let (_, tensor) = header
        .as_object()
        .unwrap()
        .iter()
        .find(|(name, _)| {
            name.ends_with("norm.weight") && !name.contains("layers")
        })
        .unwrap();
    assert_eq!(tensor["dtype"], "F32");
    let at = |i: usize| tensor["data_offsets"][i].as_u64().unwrap() as usize;
    let data = &mut bytes[8 + length + at(0)..8 + length + at(1)];
    let (values, _) = data.as_chunks_mut::<4>();
    let largest = values
        .iter_mut()
        .max_by(|a, b| {
            let size = |v: &[u8; 4]| f32::from_le_bytes(*v).abs();
            size(a).total_cmp(&size(b))
        })
        .unwrap();
    *largest = (f32::from_le_bytes(*largest) * 1.01).to_le_bytes();
}

#[test]
fn the_tolerance_is_the_users() {
    let place = Place::new();
    place.golden("llama");
    let strict = format!("{} --tolerance 1e-9", words("llama"));
    assert_eq!(place.assay(&strict).code, 1);
}

#[test]
fn weights_without_a_model_or_a_golden_file_are_refused() {
    let place = Place::new();
    place.golden("llama");
    place.refused(
        2,
        "verify --weights llama-tiny.weights.safetensors",
        &["--golden <FILE>"],
    );
    place.refused(
        2,
        "verify --weights llama-tiny.weights.safetensors --golden \
         llama-tiny.golden.safetensors",
        &["which model do the weights belong to?"],
    );
}

#[test]
fn bad_weight_files_are_named_with_what_is_wrong() {
    let place = Place::new();
    place.golden("llama");
    place.golden("opt");
    place.refused(
        2,
        "verify --model opt-tiny.config.json --weights \
         llama-tiny.weights.safetensors --golden \
         llama-tiny.golden.safetensors",
        &["llama-tiny.weights.safetensors", "missing", "nearest in the file"],
    );
    let path = place.path("llama-tiny.weights.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 300, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        place.refused(2, &words("llama"), &["llama-tiny.weights.safetensors"]);
    }
}
