//! The parts of a decoder's layer, one file each.
//!
//! Legend, as in `decoder.rs`: `B` batch, `T` new tokens, `S` tokens attended,
//! `D` width, `H` heads, `K` key-value heads, `d` head width, `F` feed-forward
//! width.

mod attention;
mod latent;
mod mlp;
mod norm;
mod projection;
mod recurrence;
mod scores;

pub use attention::Attention;
pub use latent::LatentAttention;
pub use mlp::Mlp;
pub use norm::Norm;
pub(crate) use projection::Change;
pub use projection::{AdaptedLinear, PackedLinear, Projection, Table};
pub use recurrence::{RecurrenceGate, Recurrent};
