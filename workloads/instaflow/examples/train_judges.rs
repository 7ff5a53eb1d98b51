//! Trains the judge and the network of the perceptual loss, says how well they
//! do on pictures that they never saw, and writes them with their checksums:
//! `cargo run --release -p assay-instaflow --example train_judges -- \
//! workloads/instaflow/judges`. The crate embeds what lies there.
#![allow(clippy::print_stdout, reason = "an example reports by printing")]

use std::path::PathBuf;
use std::time::Instant;

use assay_instaflow::Judge;
use assay_instaflow::data::{Part, examples};
use assay_instaflow::judge::shipped::write;
use assay_instaflow::judge::training::{
    Schedule, train_judge, train_perceptual,
};
use assay_instaflow::metrics::agreement;

/// Pictures of each part that the judge is tried on, and their seed, which no
/// training has.
const TRIED: usize = 2000;
const SEED: u64 = 77;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("expected a folder to write to: workloads/instaflow/judges")?
        .into();
    std::fs::create_dir_all(&folder)?;

    println!("judge: {:?}", Schedule::judge());
    let judge = train_judge(&Schedule::judge(), &mut report());
    println!("perceptual: {:?}", Schedule::perceptual());
    let perceptual = train_perceptual(&Schedule::perceptual(), &mut report());

    let reader = Judge::of(&judge);
    for part in [Part::Train, Part::HeldOut] {
        let (asked, pictures) = examples(part, SEED, 0, TRIED);
        let found = agreement(&reader.read(&pictures, TRIED), &asked);
        println!("{part:?}, {TRIED} pictures: {found:?}");
    }
    write(&folder, &judge, &perceptual)?;
    println!("written to {}", folder.display());
    Ok(())
}

/// Prints every hundredth loss, with the seconds since the first step began.
fn report() -> impl FnMut(usize, f32) {
    let start = Instant::now();
    move |step, loss| {
        if step.is_multiple_of(100) {
            let seconds = start.elapsed().as_secs_f64();
            println!("  step {step}: loss {loss:.4}, {seconds:.1} s");
        }
    }
}
