//! The languages of essays.

use string_enum::string_enum;

string_enum! {
    /// The language of a batch's essays.
    pub enum Language: "language" {
        /// English.
        En = "en",
        /// Swedish.
        Sv = "sv",
    }
}
