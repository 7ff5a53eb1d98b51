//! Pictures side by side as one PNG, for a report.

/// Channels of a pixel.
const CHANNELS: usize = 3;

/// How pictures stand in a strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Pixels of a picture, each way.
    pub side: usize,
    /// Pixels of the strip for a pixel of a picture, each way.
    pub scale: usize,
    /// White pixels between two pictures.
    pub gap: usize,
}

/// Why there is no strip.
#[derive(Debug, thiserror::Error)]
pub enum StripError {
    /// No pictures, or some that do not fit.
    #[error(
        "found {count} pictures, the first misfit of {bytes} bytes; expected \
         at least one, each of {side} x {side} x 3, enlarged at least once"
    )]
    Shape {
        /// How many there are.
        count: usize,
        /// Bytes of the first that does not fit, or 0.
        bytes: usize,
        /// Pixels that were said of a picture, each way.
        side: usize,
    },
    /// Pixels that the format does not take: a strip too wide.
    #[error("cannot write a PNG: {0}")]
    Png(#[from] png::EncodingError),
}

/// Square pictures side by side, white between them, as the bytes of a PNG
/// file of 8 bits a channel. Each of `pictures` is `[side, side, 3]`: red,
/// green and blue of each pixel, row by row.
///
/// # Errors
/// No picture, one of another size, a side or a scale of 0, or a strip too
/// wide for the format.
pub fn strip_png(
    pictures: &[&[u8]],
    strip: Strip,
) -> Result<Vec<u8>, StripError> {
    let Strip { side, scale, gap } = strip;
    let size = side * side * CHANNELS;
    let misfit = pictures.iter().find(|picture| picture.len() != size);
    let nothing = pictures.is_empty() || side == 0 || scale == 0;
    if nothing || misfit.is_some() {
        return Err(StripError::Shape {
            count: pictures.len(),
            bytes: misfit.map_or(0, |picture| picture.len()),
            side,
        });
    }
    let large = side * scale;
    let width = pictures.len() * (large + gap) - gap;
    let mut pixels = vec![u8::MAX; width * large * CHANNELS];
    for (place, picture) in pictures.iter().enumerate() {
        let rows: Vec<&[u8]> = picture.chunks_exact(side * CHANNELS).collect();
        for y in 0..large {
            let start = (y * width + place * (large + gap)) * CHANNELS;
            let target = &mut pixels[start..start + large * CHANNELS];
            let source = rows[y / scale].chunks_exact(CHANNELS);
            let wide =
                source.flat_map(|pixel| std::iter::repeat_n(pixel, scale));
            for (to, from) in target.chunks_exact_mut(CHANNELS).zip(wide) {
                to.copy_from_slice(from);
            }
        }
    }
    Ok(encoded(&pixels, width, large)?)
}

fn encoded(
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

    /// Width, height and pixels of a PNG file.
    fn decoded(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        (info.width, info.height, pixels)
    }

    #[test]
    fn pictures_stand_side_by_side_with_white_between() {
        // Two pictures of 2 x 2, every byte another.
        let bytes: Vec<u8> = (0..24).collect();
        let pictures: Vec<&[u8]> = bytes.chunks_exact(12).collect();
        let strip = Strip { side: 2, scale: 1, gap: 2 };
        let file = strip_png(&pictures, strip).unwrap();
        let (width, height, pixels) = decoded(&file);
        assert_eq!((width, height), (6, 2));
        let gap = &[u8::MAX; 6][..];
        let top = [&bytes[..6], gap, &bytes[12..18]].concat();
        let bottom = [&bytes[6..12], gap, &bytes[18..]].concat();
        assert_eq!(pixels, [top, bottom].concat());
        assert_eq!(file, strip_png(&pictures, strip).unwrap());
    }

    #[test]
    fn a_pixel_is_enlarged_each_way() {
        let pictures: [&[u8]; 2] = [&[1, 2, 3], &[4, 5, 6]];
        let strip = Strip { side: 1, scale: 2, gap: 1 };
        let file = strip_png(&pictures, strip).unwrap();
        let (width, height, pixels) = decoded(&file);
        assert_eq!((width, height), (5, 2));
        let row = [1_u8, 2, 3, 1, 2, 3, 255, 255, 255, 4, 5, 6, 4, 5, 6];
        assert_eq!(pixels, [row, row].concat());
    }

    #[test]
    fn what_is_no_strip_is_refused() {
        let whole = Strip { side: 1, scale: 1, gap: 0 };
        assert!(strip_png(&[], whole).is_err());
        let one: [&[u8]; 1] = [&[1, 2, 3]];
        let error = strip_png(&one, Strip { side: 2, ..whole }).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("of 3 bytes"), "{error}");
        assert!(error.contains("each of 2 x 2 x 3"), "{error}");
        assert!(strip_png(&one, Strip { scale: 0, ..whole }).is_err());
        let none: [&[u8]; 1] = [&[]];
        assert!(strip_png(&none, Strip { side: 0, ..whole }).is_err());
    }
}
