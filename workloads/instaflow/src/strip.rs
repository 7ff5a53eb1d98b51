//! A strip of pictures as one PNG, for a report.

use assay_kit::Strip;

use crate::InstaFlowError;

/// White pixels between two pictures.
const GAP: usize = 2;

/// Square pictures side by side, 2 white pixels between them, as the bytes of
/// a PNG file of 8 bits a channel. `pictures` is `[count, side, side, 3]` in
/// [-1, 1]; what lies outside is cut off, and NaN is black.
///
/// # Errors
/// No picture, a side of 0, values that do not make `count` pictures, or a
/// strip too wide for the format.
pub fn strip_png(
    pictures: &[f32],
    count: usize,
    side: usize,
) -> Result<Vec<u8>, InstaFlowError> {
    if count == 0 || side == 0 || pictures.len() != count * side * side * 3 {
        return Err(InstaFlowError::Picture(format!(
            "{} values are not {count} pictures of {side} x {side} x 3",
            pictures.len()
        )));
    }
    let bytes: Vec<u8> = pictures
        .iter()
        // From float to integer `as` saturates, and NaN is 0.
        .map(|value| (127.5 * (value + 1.0)).round() as u8)
        .collect();
    let each: Vec<&[u8]> = bytes.chunks_exact(side * side * 3).collect();
    assay_kit::strip_png(&each, Strip { side, scale: 1, gap: GAP })
        .map_err(|error| InstaFlowError::Picture(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_reads_back_as_it_was_written() {
        // Two pictures of 2 x 2: black, and one with a channel each.
        let mut pictures = vec![-1.0; 12];
        pictures.extend([1.0, -1.0, -1.0, -1.0, 1.0, -1.0]);
        pictures.extend([-1.0, -1.0, 9.0, f32::NAN, 0.0, -9.0]);
        let bytes = strip_png(&pictures, 2, 2).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (6, 2));
        assert_eq!(info.color_type, png::ColorType::Rgb);
        let gap = [255_u8; 6];
        let top = [[0; 6], gap, [255, 0, 0, 0, 255, 0]].concat();
        let bottom = [[0; 6], gap, [0, 0, 255, 0, 128, 0]].concat();
        assert_eq!(pixels, [top, bottom].concat());
        assert_eq!(bytes, strip_png(&pictures, 2, 2).unwrap());
    }

    #[test]
    fn values_that_are_no_pictures_are_refused() {
        for (values, count, side) in [(0, 0, 2), (0, 1, 0), (11, 1, 2)] {
            let error = strip_png(&vec![0.0; values], count, side).unwrap_err();
            assert!(error.to_string().contains("values are not"), "{error}");
        }
    }
}
