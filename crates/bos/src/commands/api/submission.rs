//! Handing a batch in.

use std::fmt;

use domain::Phase;
use serde::{Serialize, Serializer};
use serde_json::Value;

use client::{Client, Failure};

/// A batch as the API takes it.
#[derive(Debug, Serialize)]
pub(crate) struct Submission {
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The course, which has its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) course_code: Option<String>,
    /// The language, where no course is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    /// Labels to find it by.
    #[serde(serialize_with = "as_object")]
    pub(crate) labels: Vec<(String, String)>,
    /// The phases to run.
    pub(crate) phases: Vec<Phase>,
    /// What becomes of a batch with an essay that is not acceptable: `reject_batch` or `skip`.
    pub(crate) on_invalid: &'static str,
    /// The essays, in order.
    pub(crate) essays: Vec<Essay>,
}

/// An essay as the API takes it. `Debug` does not show the text.
#[derive(Serialize)]
pub(crate) struct Essay {
    /// Our name for it.
    pub(crate) client_ref: String,
    /// Its text.
    pub(crate) text: String,
}

impl fmt::Debug for Essay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Essay({}, {} bytes)", self.client_ref, self.text.len())
    }
}

impl Submission {
    /// Hands it in; the answer is the API's (see [`Accepted`](client::documents::Accepted)).
    pub(crate) async fn send(&self, client: &Client) -> Result<Value, Failure> {
        client.post("v1/batch", self).await
    }
}

fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}
