//! Captioned pictures drawn by a seeded generator: what the recipe is trained
//! on, and what it is judged on.
//!
//! A caption names a shape, a colour, a count and a place; there are 360, and
//! a fixed fifth of them is never trained on ([`Caption::held_out`]). A picture
//! of a caption is 32 x 32, channel-last, values in [-1, 1].
//!
//! Not here: files, photographs, or anything that somebody else owns.

mod captions;
mod pictures;

pub use captions::{Caption, Colour, Part, Place, Shape};
pub use pictures::{SIDE, examples, picture};

pub(crate) use pictures::drawn;
