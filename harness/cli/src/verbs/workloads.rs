//! `assay workloads`: what can be run.

use std::fmt::Write as _;

use assay_schema::AxisValues;

use crate::arguments::{TextOrJson, WorkloadsArgs};
use crate::exit::{Ending, Verdict, print};
use crate::registry;

pub(crate) fn run(args: &WorkloadsArgs) -> Verdict {
    let catalogue = registry::catalogue();
    if args.format == TextOrJson::Json {
        let listing: Vec<_> =
            catalogue.workloads.iter().map(|info| info.listing()).collect();
        let mut text = serde_json::to_string_pretty(&listing)?;
        text.push('\n');
        print(&text);
        return Ok(Ending::Done);
    }
    let mut text = String::new();
    for info in &catalogue.workloads {
        writeln!(text, "{}: {}", info.workload, info.doc)?;
        writeln!(text, "  models  {}", info.models.join(" "))?;
        if !info.phases.is_empty() {
            writeln!(text, "  phases  {}", info.phases.join(" "))?;
        }
        writeln!(text, "  axes (default)")?;
        for axis in &info.axes {
            let only = if axis.applies_to.is_empty() {
                String::new()
            } else {
                format!(" [{}]", axis.applies_to.join(", "))
            };
            writeln!(
                text,
                "    {:<14} {} ({}){only}",
                axis.name, axis.doc, axis.default
            )?;
            let AxisValues::Word { words } = &axis.values else { continue };
            if axis.examples.is_empty() {
                writeln!(text, "{:19}one of {}", "", words.join(" "))?;
            } else {
                let (some, all) = (axis.examples.join(" "), words.len());
                writeln!(text, "{:19}one of {all}, e.g. {some}", "")?;
            }
        }
        writeln!(text)?;
    }
    text.push_str(
        "A case is workload/model/phase axis=value ..., e.g.\n  assay run \
         slm/tiny/prefill batch=1 prompt=32\n  assay predict \
         slm/phonelm-1.5b/decode context=256 --on snapdragon-8-gen-3\n",
    );
    print(&text);
    Ok(Ending::Done)
}
