//! Communication between ranks: ring steps, bytes over the link, and what
//! pipelining does not hide.

use assay_trace::Collective;

use super::constants;
use crate::ceilings::Ceilings;

constants!(CollectiveConstants:
    start_kc, step_kc, step_inter_us, el, el_n, send, send_pipe, en,
    en_n, pipe,
);

/// Seconds of a collective; `None` on a unit that states no link.
///
/// `alpha` is the start, a latency a ring step and one more between nodes;
/// `beta` the bytes of the busiest hop over its rate; chunks overlap, which
/// leaves the square root of their product.
pub(crate) fn seconds(
    k: &CollectiveConstants,
    c: &Ceilings,
    operation: Collective,
    bytes: f64,
    ranks: f64,
    ranks_per_node: f64,
) -> Option<f64> {
    if ranks <= 1.0 {
        return Some(0.0);
    }
    let (steps, moved) = match operation {
        Collective::AllReduce => {
            (2.0 * (ranks - 1.0), 2.0 * (ranks - 1.0) / ranks * bytes)
        }
        // Every rank contributes `bytes` and receives the others'.
        Collective::AllGather => (ranks - 1.0, (ranks - 1.0) * bytes),
        Collective::ReduceScatter | Collective::AllToAll => {
            (ranks - 1.0, (ranks - 1.0) / ranks * bytes)
        }
        Collective::SendRecv => (1.0, bytes),
    };
    let [inside, between] = c.links;
    let mut alpha = (k.start_kc + k.step_kc * steps) * 1e3 / c.clock;
    let mut pipe = k.pipe;
    let within = |link: f64, ranks: f64| {
        let fewer = (ranks.min(8.0) / 8.0).powf(k.el_n);
        let send = if operation == Collective::SendRecv { k.send } else { 1.0 };
        link * (k.el * fewer * send).min(1.0)
    };
    let rate = if ranks <= ranks_per_node {
        if operation == Collective::SendRecv {
            pipe *= k.send_pipe;
        }
        within(inside.or(between)?, ranks)
    } else {
        let rounds = if operation == Collective::AllReduce { 2.0 } else { 1.0 };
        let nodes = (ranks / ranks_per_node).ceil();
        alpha += k.step_inter_us * 1e-6 * rounds * (nodes - 1.0);
        let link = k.en * between.or(inside)?;
        match operation {
            Collective::SendRecv | Collective::AllToAll => link,
            // A hop of the ring is cut among the links of a node's ranks, of
            // the node that has fewest, and hops inside are as slow as ever.
            Collective::AllReduce
            | Collective::AllGather
            | Collective::ReduceScatter => {
                let rest = ranks % ranks_per_node;
                let fewest = if rest > 0.0 { rest } else { ranks_per_node };
                let links = link * fewest.powf(k.en_n);
                match inside {
                    Some(inside) if ranks_per_node > 1.0 => {
                        links.min(within(inside, ranks_per_node))
                    }
                    _ => links,
                }
            }
        }
    };
    let beta = moved / rate;
    Some(alpha + beta + pipe * (alpha * beta).sqrt())
}
