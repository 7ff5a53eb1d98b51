//! `cargo bench`, `cargo bench -- index --baseline main`, ...

use std::cell::Cell;

use assay_bench::{
    Bench, Better, CountingAllocator, Throughput, block_on, fingerprint,
};
use vector_search::{Hit, Index, Vectors, recall};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

assay_bench::main!(allocations, distances, index, server);

const WIDTH: usize = 64;
const NEAREST: usize = 10;

fn allocations(bench: &mut Bench) {
    bench.count_allocations(&ALLOCATOR);
}

/// What an answer is: which vectors, in which order.
fn answer(hits: &[Hit]) -> u64 {
    fingerprint(&hits.iter().map(|hit| hit.id).collect::<Vec<u32>>())
}

/// Queries by turns, so that no branch predictor learns one by heart.
fn queries() -> impl FnMut() -> Vec<f32> {
    let queries = Vectors::generated(64, WIDTH, 7);
    let turn = Cell::new(0);
    move || {
        turn.set((turn.get() + 1) % queries.len() as u32);
        queries.get(turn.get()).to_vec()
    }
}

/// The whole scan: a rate in vectors, bytes and operations.
fn distances(bench: &mut Bench) {
    bench.axis("n", [1_000_usize, 10_000]).bench("scan", |b, n| {
        let vectors = Vectors::generated(n, WIDTH, 1);
        let values = (n * WIDTH) as f64;
        b.iter_with_setup(queries(), move |query| vectors.scan(query, NEAREST))
            .throughput(Throughput::Elements(n as f64))
            .throughput(Throughput::Bytes(4.0 * values))
            // A difference, a product and a sum for each value.
            .throughput(Throughput::Flops(3.0 * values))
            .fingerprint(|hits| answer(hits))
    });
}

/// Time and recall together: fewer probes are faster and worse.
fn index(bench: &mut Bench) {
    bench.axis("n", [10_000_usize]).axis("probes", [1_usize, 2, 8]).bench(
        "index/search",
        |b, (n, probes)| {
            let vectors = Vectors::generated(n, WIDTH, 1);
            let query = Vectors::generated(1, WIDTH, 7);
            let right = vectors.scan(query.get(0), NEAREST);
            let index = Index::build(vectors, 64);
            b.iter(move || index.search(query.get(0), NEAREST, probes))
                .metric("recall", "1", Better::Higher, move |found| {
                    recall(found, &right)
                })
                .fingerprint(|hits| answer(hits))
        },
    );
    bench.bench("index/build", |b| {
        let vectors = Vectors::generated(1_000, WIDTH, 1);
        b.iter_with_setup(
            move || Some(vectors.clone()),
            // `take`: the index owns its vectors, and is dropped, with them,
            // outside the clock.
            |vectors| vectors.take().map(|v| Index::build(v, 32)),
        )
        .throughput(Throughput::Elements(1_000.0))
    });
}

/// An async body with an async set-up. `block_on` will do here; with a runtime
/// it is `move |future| runtime.block_on(future)`.
fn server(bench: &mut Bench) {
    bench.bench("server/search", |b| {
        let index = Index::build(Vectors::generated(10_000, WIDTH, 1), 64);
        let mut next = queries();
        b.iter_async_with_setup(
            |future| block_on(future),
            async move || next(),
            async move |query| index.search_fairly(query, NEAREST, 4).await,
        )
    });
}
