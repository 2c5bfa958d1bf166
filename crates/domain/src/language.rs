//! The languages that essays are written in.

use crate::words::words;

words! {
    /// The language of a batch's essays.
    pub enum Language: "language" {
        /// English.
        En = "en",
        /// Swedish.
        Sv = "sv",
    }
}
