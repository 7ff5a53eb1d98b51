//! Makes the whole interference set once; says how long it took, and how far
//! the two SNR conventions are apart in each class.

use std::time::Instant;

use assay_radio::interference::{
    Constants, ConstantsError, Generator, Request,
};

#[allow(clippy::print_stdout, reason = "an example that reports")]
fn main() -> Result<(), ConstantsError> {
    let constants = Constants::frozen()?;
    let start = Instant::now();
    let generator = Generator::new(&constants)?;
    let prepared = start.elapsed().as_secs_f64();
    let (snapshots, truths) = generator.set(&Request {
        snrs_db: (-20..=20).step_by(2).collect(),
        per_cell: 715,
        first: 0,
        seed: 1,
        convention: constants.snr.convention.value,
    });
    let seconds = start.elapsed().as_secs_f64();
    let count = snapshots.len();
    println!(
        "{count} snapshots in {seconds:.1} s (prepared in {prepared:.3} s)"
    );
    println!("{:.0} snapshots/s", count as f64 / seconds);
    println!("in-channel SNR over in-band SNR, dB, least to greatest:");
    for (index, name) in snapshots.classes.iter().enumerate() {
        let of = truths.iter().filter(|truth| truth.class == index);
        let apart = of.map(|t| t.snr_in_channel_db - t.snr_in_band_db);
        let least = apart.clone().fold(f64::MAX, f64::min);
        let greatest = apart.fold(f64::MIN, f64::max);
        println!("  {name:8} {least:6.2} {greatest:6.2}");
    }
    Ok(())
}
