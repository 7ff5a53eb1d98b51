//! Pictures of problems as one PNG, for a report.

use assay_kit::{Strip, strip_png};

use crate::error::MstarError;
use crate::task::Picture;

/// White pixels between two pictures.
const GAP: usize = 4;

/// Pixels of the strip for a pixel of a picture, each way.
const SCALE: usize = 3;

/// Square pictures of one size side by side, enlarged, white between them, as
/// the bytes of a PNG file.
///
/// # Errors
/// No picture, pictures of several sizes, or a strip too wide for the format.
pub(crate) fn strip<'a>(
    pictures: impl IntoIterator<Item = &'a Picture>,
) -> Result<Vec<u8>, MstarError> {
    let pictures: Vec<&Picture> = pictures.into_iter().collect();
    let side = pictures.first().map_or(0, |picture| picture.side());
    if side == 0 || pictures.iter().any(|other| other.side() != side) {
        return Err(MstarError::Shape(format!(
            "found {} pictures of {side} pixels a side and others, expected \
             some, all of one size",
            pictures.len()
        )));
    }
    let bytes: Vec<Vec<u8>> =
        pictures.iter().map(|picture| picture.bytes()).collect();
    let each: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    strip_png(&each, Strip { side, scale: SCALE, gap: GAP })
        .map_err(|error| MstarError::Shape(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Family, Split, problems};

    /// Channels of a pixel.
    const CHANNELS: usize = 3;

    #[test]
    fn a_strip_shows_each_picture_enlarged() {
        let families = [Family::Bars];
        let drawn = problems(&families, Split::Test, 16, 1, 0, 2).unwrap();
        let bytes = strip(drawn.iter().map(|one| &one.picture)).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (2 * 48 + 4, 48));
        let at = |x: usize, y: usize| {
            let start = (y * 100 + x) * CHANNELS;
            pixels[start..start + CHANNELS].to_vec()
        };
        for (place, problem) in drawn.iter().enumerate() {
            let own = problem.picture.bytes();
            for (x, y) in [(0, 0), (7, 3), (15, 15), (10, 12)] {
                let start = (y * 16 + x) * CHANNELS;
                let right = &own[start..start + CHANNELS];
                assert_eq!(at(place * 52 + 3 * x + 1, 3 * y + 2), right);
            }
        }
        assert_eq!(at(49, 20), [255; 3]);
    }

    #[test]
    fn what_is_no_strip_is_refused() {
        assert!(strip([]).is_err());
        let (one, two) = (Picture::blank(16), Picture::blank(32));
        let error = strip([&one, &two]).unwrap_err().to_string();
        assert!(error.contains("one size"), "{error}");
    }
}
