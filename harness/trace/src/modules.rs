//! Work by module: `layers.17.attention`, `head`, ... A module's figures hold
//! those of its parts.

use std::collections::BTreeMap;

use assay_schema::{Bytes, Flops, Precision};
use serde::Serialize;

use crate::{Graph, Pass, Role};

/// What one module does in one pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModuleWork {
    /// Arithmetic.
    pub flops: Flops,
    /// Bytes read and written, nothing fused.
    pub bytes: Bytes,
    /// Operators.
    pub operators: u64,
    /// Learned values that its operators read; a tied table counts in each
    /// module that reads it.
    pub parameters: u64,
}

/// Work by dotted module path and pass; the empty path is the whole model.
pub fn by_module(
    graph: &Graph,
    precision: Precision,
) -> BTreeMap<(String, Pass), ModuleWork> {
    let mut table: BTreeMap<(String, Pass), ModuleWork> = BTreeMap::new();
    let mut seen: BTreeMap<(String, Pass), Vec<usize>> = BTreeMap::new();
    for op in &graph.operators {
        let (read, written) = graph.traffic(op, precision);
        for path in ancestors(&graph.modules[op.module]) {
            let key = (path.to_owned(), op.pass);
            let work = table.entry(key.clone()).or_default();
            work.flops += Flops(op.kind.flops());
            work.bytes += read + written;
            work.operators += 1;
            for used in &op.inputs {
                let root = graph.tensors[used.tensor].storage;
                let weights = seen.entry(key.clone()).or_default();
                if graph.tensors[root].role == Role::Weight
                    && !weights.contains(&root)
                {
                    weights.push(root);
                    work.parameters += graph.tensors[root].elements;
                }
            }
        }
    }
    table
}

/// `a.0.b` gives ``, `a`, `a.0`, `a.0.b`.
pub(crate) fn ancestors(path: &str) -> Vec<&str> {
    let mut all = vec![""];
    all.extend(path.match_indices('.').map(|(at, _)| &path[..at]));
    if !path.is_empty() {
        all.push(path);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::ancestors;

    #[test]
    fn a_path_has_each_of_its_prefixes() {
        assert_eq!(ancestors("a.0.b"), ["", "a", "a.0", "a.0.b"]);
        assert_eq!(ancestors(""), [""]);
    }
}
