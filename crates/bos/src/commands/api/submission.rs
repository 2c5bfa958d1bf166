//! The request that submits a batch.

use std::fmt;

use domain::Phase;
use serde::{Serialize, Serializer};
use serde_json::Value;

use client::{Client, Failure};

/// The body of `POST /v1/batch`.
#[derive(Debug, Serialize)]
pub(crate) struct Submission {
    /// The name of the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The code of the course; the course determines the language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) course_code: Option<String>,
    /// The language, if no course is named: `en` or `sv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    /// Labels to find the batch by.
    #[serde(serialize_with = "as_object")]
    pub(crate) labels: Vec<(String, String)>,
    /// The phases to run.
    pub(crate) phases: Vec<Phase>,
    /// What the server does with an invalid essay: `reject_batch` or `skip`.
    pub(crate) on_invalid: &'static str,
    /// The essays, in order.
    pub(crate) essays: Vec<Essay>,
}

/// An essay in the body. `Debug` does not show the text.
#[derive(Serialize)]
pub(crate) struct Essay {
    /// The client's name for the essay.
    pub(crate) client_ref: String,
    /// The text of the essay.
    pub(crate) text: String,
}

impl fmt::Debug for Essay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Essay({}, {} bytes)", self.client_ref, self.text.len())
    }
}

impl Submission {
    /// Submits the batch; the answer is an [`Accepted`](client::documents::Accepted) as JSON.
    ///
    /// # Errors
    /// When the request fails, or the server refuses the batch.
    pub(crate) async fn send(&self, client: &Client) -> Result<Value, Failure> {
        client.post("v1/batch", self).await
    }
}

fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}
