//! Exact parameter counts of every row of `slm_models.csv`, tied weights once.
//!
//! Computed from the shapes of that file by a script that shares nothing with
//! this crate; each rounds to the file's own `params_m`, which in turn agrees
//! with what llama.cpp printed for the 20 models of the survey's Figure 7. DCLM
//! is as its authors state it: without the gains of its query and key norms.

use assay_schema::Case;
use assay_slm::{Request, model_names, survey_models, trace};

/// The survey's 59, then the others, in the file's order.
const COUNTS: [(&str, u64); 81] = [
    ("opt-125m", 125_239_296),
    ("opt-350m", 331_196_416),
    ("opt-1.3b", 1_315_758_080),
    ("opt-2.7b", 2_651_596_800),
    ("galactica-125m", 125_030_400),
    ("galactica-1.3b", 1_315_201_024),
    ("bloom-560m", 559_214_592),
    ("bloom-1b1", 1_065_314_304),
    ("bloomz-560m", 559_214_592),
    ("bloomz-1b1", 1_065_314_304),
    ("pythia-160m", 162_322_944),
    ("pythia-410m", 405_334_016),
    ("pythia-1b", 1_011_781_632),
    ("pythia-1.4b", 1_414_647_808),
    ("pythia-2.8b", 2_775_208_960),
    ("cerebras-gpt-111m", 111_050_496),
    ("cerebras-gpt-256m", 255_977_024),
    ("cerebras-gpt-590m", 590_310_912),
    ("cerebras-gpt-1.3b", 1_315_723_264),
    ("cerebras-gpt-2.7b", 2_651_553_280),
    ("lamini-gpt-774m", 774_031_360),
    ("lamini-gpt-1.5b", 1_557_612_800),
    ("phi-1", 1_418_270_720),
    ("phi-1.5", 1_418_270_720),
    ("phi-2", 2_779_683_840),
    ("phi-3-mini-4k-instruct", 3_821_079_552),
    ("phi-3.5-mini-instruct", 3_821_079_552),
    ("stablelm-zephyr-3b", 2_795_443_200),
    ("stablelm-2-zephyr-1.6b", 1_644_515_328),
    ("qwen-1.8b", 1_836_828_672),
    ("qwen1.5-0.5b", 463_987_712),
    ("qwen1.5-1.8b", 1_836_828_672),
    ("qwen1.5-4b", 3_950_369_280),
    ("qwen2-0.5b", 494_032_768),
    ("qwen2-1.5b", 1_543_714_304),
    ("qwen2.5-0.5b", 494_032_768),
    ("qwen2.5-1.5b", 1_543_714_304),
    ("qwen2.5-3b", 3_085_938_688),
    ("tinyllama-1.1b", 1_100_048_384),
    ("mobilellama-1.4b", 1_364_297_728),
    ("mobillama-05b", 534_865_920),
    ("mobillama-1b", 1_261_529_088),
    ("gemma-2b", 2_506_172_416),
    ("recurrentgemma-2b", 2_682_862_080),
    ("gemma-2-2b", 2_614_341_888),
    ("minicpm-1b-sft-bf16", 1_360_246_272),
    ("minicpm-2b-128k", 3_007_736_064),
    ("minicpm3-4b", 4_073_875_968),
    ("openelm-270m", 271_527_168),
    ("openelm-450m", 457_179_136),
    ("openelm-1.1b", 1_079_891_456),
    ("openelm-3b", 3_036_647_424),
    ("smollm-135m", 134_515_008),
    ("smollm-360m", 361_821_120),
    ("smollm-1.7b", 1_711_376_384),
    ("h2o-danube3-500m-base", 513_590_784),
    ("h2o-danube3-4b-base", 3_961_839_360),
    ("fox-1-1.6b", 1_665_271_808),
    ("dclm-1b", 1_439_795_200),
    ("dolly-v2-3b", 2_775_086_080),
    ("olmo-1b-hf", 1_176_764_416),
    ("gpt2", 124_439_808),
    ("gpt2-medium", 354_823_168),
    ("gpt2-large", 774_030_080),
    ("gpt2-xl", 1_557_611_200),
    ("h2o-danube2-1.8b-base", 1_831_201_280),
    ("llama-3.2-1b", 1_235_814_400),
    ("llama-3.2-3b", 3_212_749_824),
    ("smollm2-135m", 134_515_008),
    ("smollm2-360m", 361_821_120),
    ("smollm2-1.7b", 1_711_376_384),
    ("sheared-llama-1.3b", 1_345_423_360),
    ("sheared-llama-2.7b", 2_701_560_320),
    ("amd-llama-135m", 134_105_856),
    ("minitron-4b-base", 4_190_509_056),
    ("mobilellm-125m", 124_635_456),
    ("mobilellm-600m", 603_188_352),
    ("mobilellm-1b", 1_005_461_760),
    ("mobilellm-1.5b", 1_511_188_800),
    ("phonelm-0.5b", 509_658_112),
    ("phonelm-1.5b", 1_618_593_280),
];

#[test]
fn every_model_has_exactly_the_parameters_of_its_shape() {
    for (name, right) in COUNTS {
        let case = format!("slm/{name}/decode context=1");
        let case: Case = case.parse().unwrap();
        let request = Request::new(&case, None).unwrap();
        assert_eq!(trace(&request).unwrap().parameters(), right, "{name}");
    }
}

#[test]
fn the_table_lists_the_survey_first_and_leaves_no_model_out() {
    let survey: Vec<_> = survey_models().collect();
    let listed: Vec<_> = COUNTS.map(|(name, _)| name).to_vec();
    assert_eq!(survey, listed[..59]);
    let own = ["tiny", "llama-2-7b", "llama-3-8b"];
    for name in model_names() {
        assert!(listed.contains(&name) || own.contains(&name), "{name}");
    }
}
