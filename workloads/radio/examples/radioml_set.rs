//! Generates a RadioML set and says how long that took:
//! `cargo run --release -p assay-radio --example radioml_set -- 1000`, where
//! the number is snapshots a cell (200 cells).
#![allow(clippy::print_stdout, reason = "an example reports by printing")]

use std::time::Instant;

use assay_radio::radioml::{
    Constants, Convention, Request, Scale, Set, generate,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let per_cell = std::env::args().nth(1).map_or(Ok(1000), |a| a.parse())?;
    let request = Request {
        modulations: Set::TenB,
        snrs_db: Request::published_snrs(),
        per_cell,
        seed: 1,
        convention: Convention::Label,
        scale: Scale::UnitSum,
    };
    let constants = Constants::built_in()?;
    let start = Instant::now();
    let (set, _) = generate(&request, &constants)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{} snapshots in {seconds:.1} s", set.len());
    Ok(())
}
