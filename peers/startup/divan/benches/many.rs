//! As many benchmarks as `PEERS_BENCHES` said when this was compiled.

include!(concat!(env!("OUT_DIR"), "/many.rs"));

fn main() {
    divan::main();
}
