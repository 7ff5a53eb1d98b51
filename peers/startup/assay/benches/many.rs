//! As many benchmarks as `PEERS_BENCHES` says.

fn register(bench: &mut assay_bench::Bench) {
    let many = std::env::var("PEERS_BENCHES").unwrap().parse().unwrap();
    for number in 0..many {
        bench.bench(format!("bench_{number}"), |b| b.iter(|| ()));
    }
}

assay_bench::main!(register);
