//! The result of each essay as a table row: words, corrections, readability, state.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{EssayId, EssayState};
use futures::StreamExt as _;
use serde::Serialize;
use uuid::Uuid;

use crate::commands::api::corrections::{Correction, between, shown};
use crate::commands::output::Output;
use client::documents::{Rejection, ResultLine};
use client::{Client, Failure};

/// Essays whose texts are fetched at the same time (chosen).
const FETCHES: usize = 16;
/// Width of the column of corrections in characters, so that a row fits a terminal of 80 columns.
const CORRECTIONS_WIDTH: usize = 32;
/// Number of failed essays that the summary names.
const FAILED_NAMED: usize = 3;

/// One submitted essay with its result.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The `client_ref`, or the id where there is none.
    essay: String,
    /// `None` for an essay that was skipped at submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    essay_id: Option<EssayId>,
    words: Option<u64>,
    /// Number of corrections.
    corrections: Option<u64>,
    /// The corrections, if both texts can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected: Option<Vec<Correction>>,
    lix: Option<f64>,
    state: EssayState,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
}

/// Reads the results of a batch, all of them or only those with this `outcome`.
///
/// # Errors
/// When the request fails, or a line of the answer cannot be parsed.
pub(crate) async fn of_batch(
    client: &Client,
    batch: Uuid,
    outcome: Option<&str>,
) -> Result<Vec<Row>, Failure> {
    let query: Vec<(&str, &str)> = outcome.map(|outcome| ("outcome", outcome)).into_iter().collect();
    let lines = client.get_bytes(&format!("v1/batch/{batch}/results"), &query).await?;
    let mut essays = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = serde_json::from_slice(line).map_err(|error| Failure::OtherVersion(error.to_string()))?;
        essays.push(line);
    }
    Ok(of_essays(client, essays).await)
}

/// Makes the rows of these essays, with corrections where the server has the texts.
pub(crate) async fn of_essays(client: &Client, essays: Vec<ResultLine>) -> Vec<Row> {
    // If another service stores the texts, the first failed request shows it for all essays.
    let keeps_texts = &AtomicBool::new(true);
    futures::stream::iter(essays)
        .map(|essay| async move {
            let corrected = if keeps_texts.load(Ordering::Relaxed) {
                corrections(client, &essay, keeps_texts).await
            } else {
                None
            };
            Row::new(&essay, corrected)
        })
        .buffered(FETCHES)
        .collect()
        .await
}

/// Compares the essay's two texts. `None` if there are not two, or if the server does not have them because another service
/// stores them.
async fn corrections(
    client: &Client,
    essay: &ResultLine,
    keeps_texts: &AtomicBool,
) -> Option<Vec<Correction>> {
    let (original, corrected) = essay.texts()?;
    if essay.figure(|figures| figures.corrections) == Some(0) {
        return Some(Vec::new());
    }
    let texts = futures::try_join!(text(client, original), text(client, corrected));
    let Ok((original, corrected)) = texts else {
        keeps_texts.store(false, Ordering::Relaxed);
        return None;
    };
    Some(between(&original, &corrected))
}

async fn text(client: &Client, id: &str) -> Result<String, Failure> {
    let bytes = client.get_bytes(&format!("v1/content/{id}"), &[]).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Row {
    fn new(essay: &ResultLine, corrected: Option<Vec<Correction>>) -> Self {
        let counted = corrected.as_ref().and_then(|corrected| u64::try_from(corrected.len()).ok());
        Self {
            essay: essay.name(),
            essay_id: Some(essay.essay_id),
            words: essay.figure(|figures| figures.words),
            corrections: essay.figure(|figures| figures.corrections).or(counted),
            corrected,
            lix: essay.figure(|figures| figures.lix),
            state: essay.state,
            error_code: essay.error_code.clone(),
        }
    }

    fn rejected(rejection: &Rejection) -> Self {
        let place = || format!("essay {}", rejection.index + 1);
        Self {
            essay: rejection.client_ref.clone().unwrap_or_else(place),
            essay_id: None,
            words: None,
            corrections: None,
            corrected: None,
            lix: None,
            state: EssayState::Failed,
            error_code: Some(rejection.code.clone().into_owned()),
        }
    }

    fn has_failed(&self) -> bool {
        self.state == EssayState::Failed
    }

    /// The error code as words.
    fn why(&self) -> Option<String> {
        self.error_code.as_ref().map(|code| code.replace('_', " "))
    }

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let state = self.state.as_str().replace('_', " ");
        let state = match (self.state, self.why()) {
            (EssayState::Succeeded, _) => "done".to_owned(),
            (_, Some(why)) => format!("{state}: {why}"),
            (_, None) => state,
        };
        vec![
            self.essay.clone(),
            number(self.words),
            number(self.corrections),
            self.corrected
                .as_deref()
                .map(|corrected| shown(corrected, CORRECTIONS_WIDTH))
                .unwrap_or_default(),
            self.lix.map(|lix| format!("{lix:.0}")).unwrap_or_default(),
            state,
        ]
    }
}

/// Inserts the essays that were skipped at submission at their places among the others.
pub(crate) fn with_rejected(rows: Vec<Row>, rejections: &[Rejection]) -> Vec<Row> {
    let mut rows = rows.into_iter();
    let mut all = Vec::new();
    let mut rejections: Vec<&Rejection> = rejections.iter().collect();
    rejections.sort_by_key(|rejection| rejection.index);
    // An essay with two faults gets one row.
    rejections.dedup_by_key(|rejection| rejection.index);
    for rejection in rejections {
        all.extend(rows.by_ref().take(rejection.index.saturating_sub(all.len())));
        all.push(Row::rejected(rejection));
    }
    all.extend(rows);
    all
}

/// Prints the rows in the format of `output`.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(rows: &[Row], output: &Output) -> anyhow::Result<()> {
    // The number of corrections and the first corrections share one header.
    output.rows(&["essay", "words", "corrections", "", "LIX", "state"], rows, Row::cells)
}

/// The last line: the number of essays, how many are done, which failed and why.
pub(crate) fn summary(rows: &[Row], took: Option<Duration>) -> String {
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    let failed: Vec<&Row> = rows.iter().filter(|row| row.has_failed()).collect();
    let mut text =
        format!("{} essay{}, {} done", rows.len(), plural(rows.len()), count(EssayState::Succeeded));
    if !failed.is_empty() {
        let named = failed.iter().take(FAILED_NAMED).map(|row| match row.why() {
            Some(why) => format!("{}: {why}", row.essay),
            None => row.essay.clone(),
        });
        let mut named: Vec<String> = named.collect();
        if failed.len() > FAILED_NAMED {
            named.push("…".to_owned());
        }
        text = format!("{text}, {} failed ({})", failed.len(), named.join("; "));
    }
    match took {
        Some(took) => format!("{text} in {:.1} s", took.as_secs_f64()),
        None => text,
    }
}

/// The plural ending of a noun after this number.
pub(crate) const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::{Row, summary, with_rejected};
    use client::documents::{Rejection, ResultLine};

    fn essay(name: &str) -> Row {
        let essay: ResultLine = serde_json::from_value(serde_json::json!({
            "essay_id": "01970000-0000-7000-8000-000000000001", "position": 0, "client_ref": name, "state": "succeeded",
            "phases": [
                {"phase": "spellcheck", "attempt": 1, "state": "succeeded", "figures": {"words": 312, "corrections": 4}},
                {"phase": "nlp", "attempt": 1, "state": "succeeded", "figures": {"words": 313, "lix": 38.2}},
            ],
        }))
        .unwrap();
        Row::new(&essay, None)
    }

    fn rejection(index: usize, name: &str) -> Rejection {
        let (code, pointer, detail) = ("blank_text".into(), String::new(), String::new());
        Rejection { index, client_ref: Some(name.to_owned()), code, pointer, detail }
    }

    #[test]
    fn skipped_essays_keep_their_places_in_the_submission() {
        let rejections = [rejection(3, "d"), rejection(1, "b"), rejection(1, "b")];
        let rows = with_rejected(vec![essay("a"), essay("c"), essay("e")], &rejections);
        let names: Vec<_> = rows.iter().map(|row| row.essay.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(
            summary(&rows, Some(std::time::Duration::from_millis(3140))),
            "5 essays, 3 done, 2 failed (b: blank text; d: blank text) in 3.1 s"
        );
    }

    #[test]
    fn an_essay_without_its_texts_still_shows_its_figures() {
        assert_eq!(essay("a").cells(), ["a", "313", "4", "", "38", "done"]);
    }
}
