//! Stories of whole batches, and properties that hold in whatever order things happen.

mod asked;
mod life;
mod play;
mod properties;
mod refusals;
mod replaced;
mod rows;
