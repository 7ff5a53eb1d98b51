//! Short names for cases: what differs within a set is said, what all of it
//! shares is left out.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::Case;

use crate::document::printable;

/// What a set of cases shares.
pub(crate) struct Labels {
    /// Axes that have one value in every case that has them.
    shared: BTreeMap<String, String>,
    one_workload: bool,
}

impl Labels {
    /// Looks at all cases that stand together.
    pub(crate) fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut workloads = BTreeSet::new();
        let mut count = 0;
        for case in cases {
            count += 1;
            if case.phase.is_some() {
                workloads.insert(case.workload.as_str());
            }
            for (axis, value) in &case.axes {
                values.entry(axis).or_default().insert(value);
            }
        }
        let shared = values
            .into_iter()
            .filter(|(_, values)| count > 1 && values.len() == 1)
            .filter_map(|(axis, values)| {
                let value = values.first()?;
                Some((axis.to_owned(), (*value).to_owned()))
            })
            .collect();
        Self { shared, one_workload: workloads.len() < 2 }
    }

    /// `smollm-135m decode, context 128`; `matmul, m 512, n 512, k 512`.
    pub(crate) fn short(&self, case: &Case) -> String {
        // An operator's name says enough without its workload.
        let bare = self.one_workload || case.phase.is_none();
        let mut text = if bare {
            case.model.clone()
        } else {
            format!("{}/{}", case.workload, case.model)
        };
        if let Some(phase) = &case.phase {
            text.push(' ');
            text.push_str(phase);
        }
        let rest = axes_text(
            case.axes
                .iter()
                .filter(|(axis, _)| !self.shared.contains_key(axis.as_str())),
        );
        if !rest.is_empty() {
            text.push_str(", ");
            text.push_str(&rest);
        }
        printable(&text)
    }

    /// What was left out: `batch 1, precision f32`; empty when nothing was.
    pub(crate) fn shared_text(&self) -> String {
        printable(&axes_text(&self.shared))
    }
}

/// `batch 1, context 128`.
pub(crate) fn axes_text<'a>(
    axes: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> String {
    axes.into_iter()
        .map(|(axis, value)| match axis.as_str() {
            "precision" => value.clone(),
            _ => format!("{axis} {value}"),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_what_differs() {
        let cases: Vec<Case> = [
            "slm/a/decode batch=1 context=128 precision=f32",
            "slm/b/decode batch=1 context=512 precision=f32",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let labels = Labels::of(&cases);
        assert_eq!(labels.short(&cases[0]), "a decode, context 128");
        assert_eq!(labels.shared_text(), "batch 1, f32");
    }

    #[test]
    fn a_lone_case_keeps_all_its_axes() {
        let case: Case = "operators/softmax rows=4 cols=8".parse().unwrap();
        let labels = Labels::of([&case]);
        assert_eq!(labels.short(&case), "softmax, cols 8, rows 4");
    }
}
