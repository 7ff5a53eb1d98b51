//! Pictures of problems as one PNG, for a report.

use crate::error::MstarError;
use crate::task::Picture;

/// White pixels between two pictures.
const GAP: usize = 4;

/// Pixels of the strip for a pixel of a picture, each way.
const SCALE: usize = 3;

/// Channels of a pixel.
const CHANNELS: usize = 3;

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
    let large = side * SCALE;
    let width = pictures.len() * (large + GAP) - GAP;
    let mut pixels = vec![u8::MAX; width * large * CHANNELS];
    for (place, picture) in pictures.iter().enumerate() {
        let bytes = picture.bytes();
        let rows: Vec<&[u8]> = bytes.chunks_exact(side * CHANNELS).collect();
        for y in 0..large {
            let start = (y * width + place * (large + GAP)) * CHANNELS;
            let target = &mut pixels[start..start + large * CHANNELS];
            let source = rows[y / SCALE].chunks_exact(CHANNELS);
            let wide = source.flat_map(|pixel| [pixel; SCALE]);
            for (to, from) in target.chunks_exact_mut(CHANNELS).zip(wide) {
                to.copy_from_slice(from);
            }
        }
    }
    encode(&pixels, width, large).map_err(|error| {
        MstarError::Shape(format!("cannot write a PNG: {error}"))
    })
}

fn encode(
    pixels: &[u8],
    width: usize,
    height: usize,
) -> Result<Vec<u8>, png::EncodingError> {
    let too_large = |_| png::EncodingError::LimitsExceeded;
    let width = u32::try_from(width).map_err(too_large)?;
    let height = u32::try_from(height).map_err(too_large)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Family, Split, problems};

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
