//! `assay predict --from cases.csv`.

use crate::place::Place;

const COLUMNS: &str = "latency_s_point,latency_s_low,latency_s_high,\
    parameters,flops,bytes,memory_peak_bytes,energy_j_point,bound,error";

/// Heading and rows of a CSV.
fn cells(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let row = |row: &csv::StringRecord| -> Vec<String> {
        row.iter().map(str::to_owned).collect()
    };
    let heading = row(reader.headers().unwrap());
    (heading, reader.records().map(|r| row(&r.unwrap())).collect())
}

#[test]
fn each_row_comes_back_in_order_with_its_numbers_or_its_error() {
    let place = Place::new();
    let input = "\
case,profile,runtime,batch,context,prompt,precision
slm/tiny/decode,snapdragon-8-gen-3:npu,,1,64,,
slm/tiny/prefil,nvidia-l4,eager,,,32,f32
slm/tiny/prefill,nvidia-l4,eager,,,32,f32
slm/tiny/prefill,nvidia-l44,,,,32,f32
slm/tiny/prefill,nvidia-l4:npu,,,,32,f32
slm/tiny/prefill,nvidia-l4,eagr,,,32,f32
slm/tiny/prefill,nvidia-l4,,,,-3,
slm/tiny/prefill,nvidia-l4,,,7,,
slm/tiny/prefill,nvidia-l4,,,,,f17
slm/tiny/prefill,nvidia-l4
,nvidia-l4,,,,3,
slm/tiny/prefill,,,,,3,
slm/tiny/decode,nvidia-l4,graph,4,128,,
";
    place.write("cases.csv", input);
    let text = place.ok("predict --from cases.csv --format csv");
    assert_eq!(text, place.ok("predict --from cases.csv"));
    let (heading, rows) = cells(&text);
    let (own, _) = heading.split_at(7);
    assert_eq!(own.join(","), input.lines().next().unwrap());
    assert_eq!(heading[7..].join(","), COLUMNS);
    let inputs: Vec<&str> = input.lines().skip(1).collect();
    assert_eq!(rows.len(), inputs.len());
    let expected = [
        "",
        "unknown phase `prefil` of `slm/tiny`; nearest valid: `prefill`",
        "",
        "unknown hardware profile `nvidia-l44`; nearest valid: `nvidia-l4`",
        "has no unit `npu`; nearest valid: `gpu`",
        "unknown runtime `eagr`; nearest valid: `eager`",
        "found `-3`, expected an integer, 1 or more",
        "`slm/tiny/prefill` has no axis `context`",
        "found `f17`, expected one of f32",
        "2 cells, expected 7",
        "no case",
        "no profile",
        "",
    ];
    for ((row, input), error) in rows.iter().zip(inputs).zip(expected) {
        let own = row[..7].join(",");
        assert_eq!(own.trim_end_matches(','), input.trim_end_matches(','));
        if error.is_empty() {
            assert_eq!(row[16], "", "{input}");
            let latency: Vec<f64> =
                row[7..10].iter().map(|v| v.parse().unwrap()).collect();
            assert!(latency[1] < latency[0] && latency[0] < latency[2]);
            for number in [&row[10], &row[11], &row[12], &row[13]] {
                assert!(number.parse::<f64>().unwrap() > 0.0, "{input}");
            }
        } else {
            assert!(row[16].contains(error), "{input}: {}", row[16]);
            assert!(row[7..16].iter().all(String::is_empty), "{input}");
        }
    }
}

#[test]
fn an_empty_axis_is_the_default_and_runtime_counts_by_row() {
    let place = Place::new();
    place.write(
        "cases.csv",
        "case,profile,runtime,prompt,precision\n\
         slm/tiny/prefill,nvidia-l4,,,\n\
         slm/tiny/prefill,nvidia-l4,graph,128,f16\n\
         slm/tiny/prefill,nvidia-l4:gpu,eager,128,f16\n",
    );
    let (_, rows) = cells(&place.ok("predict --from cases.csv"));
    assert_eq!(rows[0][5..], rows[1][5..], "defaults: graph, 128, f16");
    let latency = |row: &[String]| row[5].parse::<f64>().unwrap();
    assert!(latency(&rows[2]) > latency(&rows[0]), "dispatch is exposed");
    let (_, forced) =
        cells(&place.ok("predict --from cases.csv --runtime eager"));
    assert_eq!(forced[0][5..], rows[2][5..], "a row without one takes it");
    assert_eq!(forced[1][5..], rows[1][5..], "a row's own counts first");
}

#[test]
fn a_table_that_is_none_is_refused_with_its_line() {
    let place = Place::new();
    place.refused(2, "predict --from no.csv", &["no.csv: cannot be read"]);
    place.write("a.csv", "cas,profile\nslm/tiny/prefill,nvidia-l4\n");
    place.refused(
        2,
        "predict --from a.csv",
        &["a.csv:1: no column `case`", "found cas, profile"],
    );
    place.refused(
        2,
        "predict --from a.csv --format json",
        &["--from writes csv only"],
    );
    place.refused(
        2,
        "predict slm/tiny/prefill --from a.csv --on nvidia-l4",
        &["cannot be used with"],
    );
}
