//! Colours: Okabe and Ito's palette, which most kinds of colour blindness
//! tell apart, and their names on the page.
//!
//! Provenance never rests on colour alone: see `marks` for the shapes.

use assay_schema::Provenance;
use plotters::style::RGBColor;

/// Background.
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0, 0, 0);

const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const SKY: RGBColor = RGBColor(86, 180, 233);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const YELLOW: RGBColor = RGBColor(240, 228, 66);

/// Between paper and ink, in either theme.
const GREY: RGBColor = RGBColor(128, 128, 128);

/// Colour in the file, and the page's variable for it.
const VARIABLES: [(RGBColor, &str); 8] = [
    (PAPER, "var(--card)"),
    (BLUE, "var(--blue)"),
    (VERMILION, "var(--vermilion)"),
    (GREEN, "var(--green)"),
    (ORANGE, "var(--orange)"),
    (SKY, "var(--sky)"),
    (PURPLE, "var(--purple)"),
    (YELLOW, "var(--yellow)"),
];

/// The colour of a provenance.
pub(super) fn provenance(provenance: Provenance) -> RGBColor {
    match provenance {
        Provenance::Measured => BLUE,
        Provenance::Predicted => VERMILION,
        Provenance::Published => GREEN,
    }
}

/// The colour of the n-th line or part.
pub(super) fn series(index: usize) -> RGBColor {
    // Blue is left to what is measured.
    const SERIES: [RGBColor; 5] = [VERMILION, SKY, GREEN, ORANGE, PURPLE];
    SERIES[index % SERIES.len()]
}

/// The colour of the n-th cloud of a panel: predictors and baselines apart.
pub(super) fn cloud(baseline: bool, index: usize) -> RGBColor {
    match (baseline, index % 2) {
        (false, 0) => VERMILION,
        (false, _) => BLUE,
        (true, 0) => PURPLE,
        (true, _) => ORANGE,
    }
}

/// The colour of the n-th curve; its mark differs, too.
pub(super) fn curve(index: usize) -> RGBColor {
    const CURVES: [RGBColor; 8] =
        [BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK, GREY];
    CURVES[index % CURVES.len()]
}

/// The colour of a share of one in a matrix.
pub(super) const SHARE: RGBColor = BLUE;

/// The colour of the n-th part of a stack: neighbours differ in lightness.
pub(super) fn part(index: usize) -> RGBColor {
    const PARTS: [RGBColor; 9] =
        [BLUE, SKY, GREEN, YELLOW, ORANGE, VERMILION, PURPLE, INK, GREY];
    PARTS[index % PARTS.len()]
}

/// A figure for the page: no namespace or fixed size (the page gives them),
/// and colours that follow the page's theme.
pub(crate) fn themed(svg: &str, label: &str) -> String {
    let mut text = svg
        .replace(" xmlns=\"http://www.w3.org/2000/svg\"", "")
        // What is so anyway; of a thousand marks it is a third.
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace("\"#000000\"", "\"currentColor\"");
    for (RGBColor(r, g, b), variable) in VARIABLES {
        let fixed = format!("\"#{r:02X}{g:02X}{b:02X}\"");
        text = text.replace(&fixed, &format!("\"{variable}\""));
    }
    let label: String =
        label.chars().filter(|c| !matches!(c, '"' | '<' | '>' | '&')).collect();
    text.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{label}\" "),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_themed_figure_keeps_no_fixed_colour_and_no_address() {
        let svg = "<svg width=\"9\" xmlns=\"http://www.w3.org/2000/svg\">\
                   <text fill=\"#000000\"/><rect fill=\"#0072B2\"/></svg>";
        assert_eq!(
            themed(svg, "a \"b\""),
            "<svg role=\"img\" aria-label=\"a b\" width=\"9\">\
             <text fill=\"currentColor\"/><rect fill=\"var(--blue)\"/></svg>"
        );
    }
}
