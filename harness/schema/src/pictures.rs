//! Pictures beside numbers: what a generative model drew, for a reader's eyes.

use serde::{Deserialize, Serialize};

/// Square pictures of one size side by side, as one PNG, each with a caption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    /// Who drew them, e.g. a method and its steps.
    pub label: String,
    /// One a picture, from left to right: what was asked for.
    pub captions: Vec<String>,
    /// The file's bytes; Base64 in text.
    #[serde(with = "base64_text")]
    pub png: Vec<u8>,
}

impl Pictures {
    /// The file in Base64, as a page embeds it.
    pub fn base64(&self) -> String {
        base64_text::encode(&self.png)
    }
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn encode(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }

    pub(super) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_come_back_from_text() {
        let pictures = Pictures {
            label: "one step".into(),
            captions: vec!["a red circle".into()],
            png: vec![0, 255, 7, 128],
        };
        let text = serde_json::to_string(&pictures).unwrap();
        assert!(text.contains("\"AP8HgA==\""), "{text}");
        assert_eq!(serde_json::from_str::<Pictures>(&text).unwrap(), pictures);
        let torn = text.replace("AP8HgA==", "AP8*");
        assert!(serde_json::from_str::<Pictures>(&torn).is_err());
    }
}
