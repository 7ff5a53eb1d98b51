//! Figures as data: the numbers and labels that are drawn, no coordinates
//! and no colours. `render::svg` draws them.

use assay_schema::{Estimate, Provenance};

use super::Table;

/// A figure.
pub(crate) struct Figure {
    /// File name of its SVG and CSV, and anchor.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) picture: Picture,
    /// The numbers drawn, where no table beside the figure holds them.
    pub(crate) data: Option<Table>,
}

/// What is drawn.
pub(crate) enum Picture {
    Intervals(Intervals),
    Rooflines { large: Vec<Roof>, small: Vec<Roof> },
    Facets { facets: Vec<Facet>, x: &'static str, y: &'static str },
    Stacked(Stacked),
    Agreement(Agreement),
    Clouds(Clouds),
    Curves(Box<Curves>),
    Matrix(Matrix),
    Scatter(Scatter),
    Bars(Bars),
}

/// A point with an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) point: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// A value without a spread.
    pub(crate) fn exact(value: f64) -> Self {
        Self { point: value, low: value, high: value }
    }
}

impl From<&Estimate> for Spread {
    fn from(estimate: &Estimate) -> Self {
        Self { point: estimate.point, low: estimate.low, high: estimate.high }
    }
}

/// One row a case: measured and predicted over measured.
pub(crate) struct Intervals {
    pub(crate) axis: String,
    pub(crate) rows: Vec<IntervalRow>,
    /// Shaded, e.g. within 20 %.
    pub(crate) band: (f64, f64),
}

/// A row of [`Intervals`].
pub(crate) struct IntervalRow {
    pub(crate) label: String,
    /// Right of the label, where there is room.
    pub(crate) remark: String,
    /// Right of the label on a phone.
    pub(crate) short_remark: String,
    pub(crate) marks: Vec<(Provenance, Spread)>,
}

/// A roof and the cases under it.
pub(crate) struct Roof {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// Precision and its peak, FLOP/s.
    pub(crate) peaks: Vec<(String, f64)>,
    /// B/s.
    pub(crate) bandwidth: f64,
    pub(crate) provenance: Provenance,
    pub(crate) points: Vec<RoofPoint>,
}

/// A case under a roof.
pub(crate) struct RoofPoint {
    pub(crate) label: String,
    /// FLOP a byte.
    pub(crate) intensity: f64,
    /// FLOP/s.
    pub(crate) rate: Estimate,
    pub(crate) provenance: Provenance,
}

/// One panel of lines on two logarithmic axes.
pub(crate) struct Facet {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

/// A line, or loose marks.
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) provenance: Provenance,
    /// In x order.
    pub(crate) points: Vec<(f64, Spread)>,
    pub(crate) connected: bool,
}

/// Bars of parts, with a mark at what was measured.
pub(crate) struct Stacked {
    pub(crate) parts: Vec<String>,
    pub(crate) rows: Vec<StackRow>,
    pub(crate) unit: &'static str,
    /// What the marks are, where there are any: `measured peak`.
    pub(crate) mark: Option<&'static str>,
}

/// A bar.
pub(crate) struct StackRow {
    pub(crate) label: String,
    pub(crate) remark: String,
    pub(crate) values: Vec<f64>,
    /// Of the bar, as a mark before its label, where bars of several kinds
    /// stand together.
    pub(crate) provenance: Option<Provenance>,
    /// Measured.
    pub(crate) mark: Option<f64>,
}

/// Predicted over observed, each case a point.
pub(crate) struct Agreement {
    pub(crate) points: Vec<AgreementPoint>,
}

/// A case of [`Agreement`].
pub(crate) struct AgreementPoint {
    pub(crate) observed: Spread,
    pub(crate) predicted: Spread,
    /// Of the observation.
    pub(crate) provenance: Provenance,
}

/// Predicted over observed for many cases, in panels with the same axes.
pub(crate) struct Clouds {
    pub(crate) panels: Vec<CloudPanel>,
}

/// A panel of [`Clouds`].
pub(crate) struct CloudPanel {
    pub(crate) title: String,
    pub(crate) clouds: Vec<Cloud>,
}

/// The cases of one predictor.
pub(crate) struct Cloud {
    pub(crate) label: String,
    /// A roofline, drawn in colours of its own.
    pub(crate) baseline: bool,
    /// Observed, predicted.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Values over a number, lines or loose marks, in panels with the same axes.
pub(crate) struct Curves {
    pub(crate) panels: Vec<CurvePanel>,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    /// Drawn across every panel.
    pub(crate) level: Option<Level>,
}

/// An axis of [`Curves`].
pub(crate) struct Scale {
    /// With its unit, unless the ticks carry it: `test SNR (dB)`.
    pub(crate) name: String,
    /// Of the ticks; `1` for bare numbers.
    pub(crate) unit: &'static str,
    pub(crate) logarithmic: bool,
    /// Both ends; from the values where there are none.
    pub(crate) ends: Option<(f64, f64)>,
}

/// A value to compare all others with, e.g. that of guessing.
pub(crate) struct Level {
    pub(crate) label: String,
    pub(crate) value: f64,
}

/// A panel of [`Curves`].
pub(crate) struct CurvePanel {
    /// Empty when it is the only one.
    pub(crate) title: String,
    pub(crate) curves: Vec<Curve>,
}

/// A line of [`Curves`], or loose marks.
pub(crate) struct Curve {
    pub(crate) label: String,
    /// Curves of one style look alike in every panel; 0 to 7 differ.
    pub(crate) style: usize,
    /// In x order.
    pub(crate) points: Vec<(Spread, Spread)>,
    pub(crate) connected: bool,
}

/// Shares in rows and columns of the same names.
pub(crate) struct Matrix {
    pub(crate) names: Vec<String>,
    /// What a row is, what a column is.
    pub(crate) rows: &'static str,
    pub(crate) columns: &'static str,
    /// 0 to 1, a row after the other; `None` where a row is empty.
    pub(crate) shares: Vec<Vec<Option<f64>>>,
}

/// Marks on a plane, in panels that each have axes of their own.
pub(crate) struct Scatter {
    pub(crate) panels: Vec<ScatterPanel>,
}

/// A panel of [`Scatter`].
pub(crate) struct ScatterPanel {
    pub(crate) title: String,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) groups: Vec<ScatterGroup>,
}

/// Marks that belong together, and a line of their own.
pub(crate) struct ScatterGroup {
    /// In the key.
    pub(crate) label: String,
    /// The shape of its marks.
    pub(crate) provenance: Provenance,
    /// The colour; groups of one style look alike in every panel; 0 to 7
    /// differ.
    pub(crate) style: usize,
    pub(crate) points: Vec<ScatterPoint>,
    /// Through or along the marks, e.g. a fit; it has no marks of its own.
    pub(crate) line: Vec<(f64, f64)>,
}

/// A mark of [`ScatterGroup`].
pub(crate) struct ScatterPoint {
    pub(crate) x: f64,
    pub(crate) y: Spread,
    /// Beside the mark; empty for most.
    pub(crate) name: String,
}

/// Bars from zero with their intervals, in groups that each have a scale.
pub(crate) struct Bars {
    pub(crate) groups: Vec<BarGroup>,
    pub(crate) unit: &'static str,
}

/// Bars that are compared with each other.
pub(crate) struct BarGroup {
    pub(crate) title: String,
    pub(crate) rows: Vec<BarRow>,
}

/// A bar of [`BarGroup`].
pub(crate) struct BarRow {
    pub(crate) label: String,
    /// Right of the label.
    pub(crate) remark: String,
    pub(crate) provenance: Provenance,
    pub(crate) value: Spread,
}
