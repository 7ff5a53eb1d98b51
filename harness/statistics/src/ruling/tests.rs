//! One claim per direction through every ruling, with synthetic evidence.

use assay_schema::Provenance;
use proptest::prelude::*;

use super::*;

fn claim(direction: Direction) -> Claim {
    Claim {
        id: "speed".to_owned(),
        statement: "twice as fast".to_owned(),
        source: "table 1".to_owned(),
        value: 2.0,
        unit: "1".to_owned(),
        statistic: "ratio of medians".to_owned(),
        direction,
        margin: 0.25,
        noise: 0.0,
        null: 1.0,
        least_seeds: 3,
        data: vec![ClaimData::Real, ClaimData::Generated],
        untestable: None,
    }
}

fn evidence(low: f64, point: f64, high: f64) -> Evidence {
    Evidence {
        claim: "speed".to_owned(),
        estimate: Estimate {
            point,
            low,
            high,
            confidence: 0.95,
            n: 5,
            method: "synthetic".to_owned(),
        },
        data: ClaimData::Generated,
        provenance: Provenance::Measured,
    }
}

fn ruling(claim: &Claim, evidence: &[Evidence]) -> Ruling {
    rule("paper", claim, evidence).ruling
}

#[test]
fn each_direction_goes_through_every_ruling() {
    use Ruling::{Contradicted, InsideNoise, NotTested, Supported};
    // Intervals below, across the lower border of, inside, across the upper
    // border of, above and around 1.75..2.25.
    let intervals = [
        (1.2, 1.3, 1.4),
        (1.7, 1.8, 1.9),
        (1.9, 2.0, 2.1),
        (2.1, 2.2, 2.3),
        (2.6, 2.7, 2.8),
        (1.5, 2.0, 2.5),
    ];
    let expected = [
        (
            Direction::AtLeast,
            [
                Contradicted,
                InsideNoise,
                Supported,
                Supported,
                Supported,
                InsideNoise,
            ],
        ),
        (
            Direction::AtMost,
            [
                Supported,
                Supported,
                Supported,
                InsideNoise,
                Contradicted,
                InsideNoise,
            ],
        ),
        (
            Direction::Near,
            [
                Contradicted,
                InsideNoise,
                Supported,
                InsideNoise,
                Contradicted,
                InsideNoise,
            ],
        ),
    ];
    for (direction, rulings) in expected {
        let claim = claim(direction);
        for ((low, point, high), expected) in intervals.iter().zip(rulings) {
            let finding =
                rule("paper", &claim, &[evidence(*low, *point, *high)]);
            assert_eq!(finding.ruling, expected, "{direction:?} {finding:?}");
        }
        assert_eq!(ruling(&claim, &[]), NotTested);
    }
}

#[test]
fn the_borders_belong_to_the_region() {
    let at_border = [evidence(1.75, 2.0, 2.25)];
    for direction in [Direction::AtLeast, Direction::AtMost, Direction::Near] {
        assert_eq!(
            ruling(&claim(direction), &at_border),
            Ruling::Supported,
            "{direction:?}"
        );
    }
}

#[test]
fn each_way_of_not_being_tested_says_which_it_was() {
    let near = claim(Direction::Near);
    let good = evidence(1.9, 2.0, 2.1);
    let mut few = good.clone();
    few.estimate.n = 2;
    let mut foreign = good.clone();
    foreign.claim = "size".to_owned();
    let mut predicted = good.clone();
    predicted.data = ClaimData::Predicted;
    let untestable = Claim {
        untestable: Some("needs eight GPUs".to_owned()),
        ..near.clone()
    };
    let broken = Claim { margin: f64::NAN, ..near.clone() };
    let negative = Claim { noise: -1.0, ..near.clone() };
    for (claim, evidence, reason) in [
        (&untestable, vec![good.clone()], "needs eight GPUs"),
        (
            &broken,
            vec![good.clone()],
            "the claim's margin is NaN; expected a finite number",
        ),
        (
            &negative,
            vec![good.clone()],
            "the claim's noise is -1; expected 0 or more",
        ),
        (&near, vec![foreign], "no evidence in these runs"),
        (
            &near,
            vec![predicted],
            "evidence on predicted data only; real or generated data may judge",
        ),
        (&near, vec![few], "2 seeds; at least 3 are asked for"),
        (
            &near,
            vec![evidence(1.9, f64::NAN, 2.1)],
            "the evidence is no estimate: NaN with interval 1.9 to 2.1",
        ),
        (
            &near,
            vec![evidence(f64::NAN, 2.0, 2.1)],
            "the evidence is no estimate: 2 with interval NaN to 2.1",
        ),
        (
            &near,
            vec![evidence(2.05, 2.0, 2.1)],
            "the evidence is no estimate: 2 with interval 2.05 to 2.1",
        ),
    ] {
        let finding = rule("paper", claim, &evidence);
        assert_eq!(finding.ruling, Ruling::NotTested);
        assert_eq!(finding.reason, reason);
    }
}

#[test]
fn an_effect_below_the_noise_is_inside_noise_whatever_else() {
    for direction in [Direction::AtLeast, Direction::AtMost, Direction::Near] {
        let claim = Claim { noise: 1.5, ..claim(direction) };
        for interval in [evidence(1.9, 2.0, 2.1), evidence(1.2, 1.3, 1.4)] {
            let finding = rule("paper", &claim, &[interval]);
            assert_eq!(finding.ruling, Ruling::InsideNoise, "{finding:?}");
        }
    }
    let claim = Claim { noise: 1.5, ..claim(Direction::Near) };
    assert_eq!(
        rule("paper", &claim, &[evidence(1.9, 2.0, 2.1)]).reason,
        "the effect of 1 is smaller than the noise of 1.5"
    );
    // Exactly the noise is not smaller than the noise.
    let claim = Claim { noise: 1.0, ..claim };
    assert_eq!(ruling(&claim, &[evidence(1.9, 2.0, 2.1)]), Ruling::Supported);
}

#[test]
fn the_kind_that_the_claim_lists_first_judges() {
    let generated = evidence(1.9, 2.0, 2.1);
    let mut real = evidence(1.2, 1.3, 1.4);
    real.data = ClaimData::Real;
    let claim = claim(Direction::Near);
    let both = [generated.clone(), real.clone()];
    assert_eq!(ruling(&claim, &both), Ruling::Contradicted);
    // Too few seeds: the next kind judges.
    real.estimate.n = 1;
    assert_eq!(ruling(&claim, &[generated, real]), Ruling::Supported);
}

#[test]
fn the_reason_holds_the_numbers_and_the_unit() {
    let claim = Claim {
        unit: "tokens/s".to_owned(),
        value: 1234.75,
        margin: 10.0,
        ..claim(Direction::AtLeast)
    };
    let finding =
        rule("SLM survey", &claim, &[evidence(1300.25, 1310.0, 12_345.6)]);
    assert_eq!(
        finding.reason,
        "1310 tokens/s (95 % interval 1300 to 12346) lies within at least 1225 tokens/s"
    );
    assert_eq!(finding.paper, "SLM survey");
}

proptest! {
    #[test]
    fn a_wider_interval_never_turns_a_ruling_around(
        point in -5.0..5.0,
        half_width in 0.0..2.0,
        more in 0.0..2.0,
        place in 0_usize..3,
    ) {
        let directions =
            [Direction::AtLeast, Direction::AtMost, Direction::Near];
        let claim = claim(directions[place]);
        let at = |half: f64| {
            ruling(&claim, &[evidence(point - half, point, point + half)])
        };
        let (narrow, wide) = (at(half_width), at(half_width + more));
        prop_assert!(wide == narrow || wide == Ruling::InsideNoise);
    }

    #[test]
    fn numbers_are_shown_within_a_thousandth(value in -1e9..1e9) {
        let read: f64 = shown(value).parse().unwrap();
        prop_assert!((read - value).abs() <= 6e-4 * value.abs());
    }
}
