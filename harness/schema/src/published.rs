//! Numbers that somebody else published, and the table that a workload keeps
//! them in.

use serde::{Deserialize, Serialize};

use crate::TextError;

/// A number that somebody else published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedPoint {
    /// The case as text; it need not parse, since papers leave axes out.
    pub case: String,
    /// The hardware profile, or the machine in the source's own words.
    pub profile: String,
    /// The metric: `time`, `memory_peak`, `tokens_per_second`, ...
    pub metric: String,
    /// The value, in `unit`.
    pub value: f64,
    /// Unit symbol.
    pub unit: String,
    /// Where it was published.
    pub source: String,
    /// How far to trust it, in words: `table`, `read off a figure`, ...
    pub trust: String,
}

impl PublishedPoint {
    /// Reads a table: a line of `case,profile,metric,value,unit,source,trust`,
    /// then a line a point. Cells hold no commas.
    ///
    /// # Errors
    /// A line that is no point, with file and line.
    pub fn table(file: &str, text: &str) -> Result<Vec<Self>, TextError> {
        let mut points = Vec::new();
        let mut start = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let at = start..start + line.len();
            start = at.end;
            if number == 0 || line.trim().is_empty() {
                continue;
            }
            points.push(Self::line(line.trim_end()).ok_or_else(|| {
                let expected = "expected \
                    case,profile,metric,value,unit,source,trust";
                TextError::new(file, text, Some(at), expected)
            })?);
        }
        Ok(points)
    }

    fn line(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split(',').collect();
        let [case, profile, metric, value, unit, source, trust] = cells[..]
        else {
            return None;
        };
        Some(Self {
            case: case.to_owned(),
            profile: profile.to_owned(),
            metric: metric.to_owned(),
            value: value.parse().ok().filter(|v: &f64| v.is_finite())?,
            unit: unit.to_owned(),
            source: source.to_owned(),
            trust: trust.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_point_is_named() {
        let head = "case,profile,metric,value,unit,source,trust\n";
        let good = "a/b,p,accuracy,0.5,1,T 1,table\n";
        let read = |text: &str| PublishedPoint::table("t.csv", text);
        let points = read(&format!("{head}{good}\n{good}")).unwrap();
        assert_eq!(points.len(), 2);
        assert_eq!(points[0].value, 0.5);
        for bad in
            ["a/b,p,accuracy,half,1,T 1,table", "a/b,p", "a,b,c,NaN,1,s,t"]
        {
            let error = read(&format!("{head}{good}{bad}")).unwrap_err();
            assert!(error.to_string().contains("t.csv:3"), "{error}");
        }
    }
}
