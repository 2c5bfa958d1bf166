//! Courses and their languages: an exact table, with no rule by prefix.

use string_enum::string_enum;

string_enum! {
    /// A language of the platform.
    pub enum Language: "language" {
        /// English.
        English = "en",
        /// Swedish.
        Swedish = "sv",
    }
}

string_enum! {
    /// A course of the Swedish upper secondary school.
    pub enum CourseCode: "course code" {
        /// English 5.
        Eng5 = "ENG5",
        /// English 6.
        Eng6 = "ENG6",
        /// English 7.
        Eng7 = "ENG7",
        /// Svenska 1.
        Sv1 = "SV1",
        /// Svenska 2.
        Sv2 = "SV2",
        /// Svenska 3.
        Sv3 = "SV3",
    }
}

/// The course that is sent for a batch that states only English, unless the operator configures another one.
pub const DEFAULT_COURSE_EN: CourseCode = CourseCode::Eng5;

/// The course that is sent for a batch that states only Swedish, unless the operator configures another one.
pub const DEFAULT_COURSE_SV: CourseCode = CourseCode::Sv1;

impl CourseCode {
    /// The language the course is taught in.
    pub const fn language(self) -> Language {
        match self {
            Self::Eng5 | Self::Eng6 | Self::Eng7 => Language::English,
            Self::Sv1 | Self::Sv2 | Self::Sv3 => Language::Swedish,
        }
    }
}

impl Language {
    /// The course that is sent for this language where the wire requires a course: [`DEFAULT_COURSE_EN`] or
    /// [`DEFAULT_COURSE_SV`].
    pub const fn default_course(self) -> CourseCode {
        match self {
            Self::English => DEFAULT_COURSE_EN,
            Self::Swedish => DEFAULT_COURSE_SV,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_course_is_in_its_language() {
        for language in Language::ALL {
            assert_eq!(language.default_course().language(), *language);
        }
    }

    #[test]
    fn only_the_exact_codes_are_accepted() {
        assert_eq!("SV2".parse(), Ok(CourseCode::Sv2));
        for code in ["sv2", "SV4", "ENG", "", "ENG5 "] {
            assert!(code.parse::<CourseCode>().is_err(), "{code}");
        }
    }
}
