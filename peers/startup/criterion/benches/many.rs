//! As many benchmarks as `PEERS_BENCHES` says.

fn register(criterion: &mut criterion::Criterion) {
    let many = std::env::var("PEERS_BENCHES").unwrap().parse().unwrap();
    for number in 0..many {
        criterion.bench_function(&format!("bench_{number}"), |b| b.iter(|| ()));
    }
}

criterion::criterion_group!(benches, register);
criterion::criterion_main!(benches);
