//! `assay profiles`: machines as data.

use std::fmt::Write as _;

use assay_hardware_profiles::{HardwareProfile, Severity, check, load, names};
use serde_json::json;

use crate::arguments::{ProfilesArgs, TextOrJson};
use crate::defaults::HOST;
use crate::exit::{Ending, Verdict, print};
use crate::host_profile;
use crate::table::{aligned, si};

fn chosen(name: Option<&str>) -> anyhow::Result<Vec<HardwareProfile>> {
    match name {
        Some(text) => Ok(vec![host_profile::resolve(text)?.0]),
        None => {
            let mut all = names()
                .iter()
                .map(|name| Ok(load(name)?))
                .collect::<anyhow::Result<Vec<_>>>()?;
            all.extend(host_profile::load()?);
            Ok(all)
        }
    }
}

pub(crate) fn run(args: &ProfilesArgs) -> Verdict {
    let profiles = chosen(args.name.as_deref())?;
    if args.check {
        return run_check(&profiles, args.format);
    }
    let text = match (args.format, &args.name) {
        (TextOrJson::Json, _) => {
            let mut text = serde_json::to_string_pretty(
                &profiles.iter().map(document).collect::<Vec<_>>(),
            )?;
            text.push('\n');
            text
        }
        (TextOrJson::Text, Some(_)) => profiles[0].to_toml()?,
        (TextOrJson::Text, None) => list(&profiles),
    };
    print(&text);
    Ok(Ending::Done)
}

fn document(profile: &HardwareProfile) -> serde_json::Value {
    let units: Vec<_> = profile
        .units
        .keys()
        .filter_map(|unit| profile.summary(Some(unit.name())).ok())
        .collect();
    json!({
        "profile": profile.name,
        "title": profile.title,
        "vendor": profile.vendor,
        "class": profile.class,
        "default_unit": profile.default_unit.name(),
        "probed": profile.is_probed(),
        "units": units,
    })
}

fn list(profiles: &[HardwareProfile]) -> String {
    let cell = str::to_owned;
    let mut rows = vec![
        ["profile", "units", "f32", "f16", "bandwidth", "memory", "class"]
            .map(cell)
            .to_vec(),
    ];
    for profile in profiles {
        let Ok(summary) = profile.summary(None) else { continue };
        let peak = |name: &str| {
            summary
                .peaks
                .get(name)
                .map_or_else(String::new, |rate| si(rate.value(), "FLOP/s"))
        };
        let units: Vec<&str> =
            profile.units.keys().map(|unit| unit.name()).collect();
        rows.push(vec![
            profile.name.clone(),
            units.join(" "),
            peak("f32"),
            peak("f16"),
            si(summary.memory_bandwidth.value(), "B/s"),
            summary
                .memory_bytes
                .map_or_else(String::new, |bytes| si(bytes.value(), "B")),
            profile.class.clone(),
        ]);
    }
    let mut text = aligned(&rows);
    if !profiles.iter().any(|profile| profile.name == HOST) {
        text.push_str(
            "\n`host`, this machine, has no profile yet: `assay probe` makes \
             it.\n",
        );
    }
    text
}

fn run_check(profiles: &[HardwareProfile], format: TextOrJson) -> Verdict {
    let mut contradictions = 0;
    let mut text = String::new();
    let mut all = Vec::new();
    for profile in profiles {
        for finding in check(profile) {
            let severity = match finding.severity {
                Severity::Contradiction => {
                    contradictions += 1;
                    "contradiction"
                }
                Severity::Note => "note",
            };
            writeln!(
                text,
                "{}: {severity}: {}",
                profile.name, finding.sentence
            )?;
            all.push(json!({
                "profile": profile.name,
                "severity": severity,
                "rule": finding.rule,
                "keys": finding.keys,
                "sentence": finding.sentence,
            }));
        }
    }
    if format == TextOrJson::Json {
        text = serde_json::to_string_pretty(&all)?;
        text.push('\n');
    } else {
        writeln!(
            text,
            "{} profiles checked, {contradictions} contradiction(s), {} \
             note(s)",
            profiles.len(),
            all.len() - contradictions
        )?;
    }
    print(&text);
    Ok(if contradictions > 0 { Ending::Failed } else { Ending::Done })
}
