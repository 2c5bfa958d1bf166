//! Whole lives of batches as snapshots, and properties that hold for inputs in any order.

mod asked;
mod life;
mod outcomes;
mod play;
mod properties;
mod refusals;
mod replaced;
mod rows;
