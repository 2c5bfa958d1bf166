//! The Content Service, and its clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::ports::{Clock as _, SystemClock};
use reqwest::header::DATE;
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::NEIGHBOUR_PATIENCE;
use super::finding::{Finding, causes, in_time};
use service::config::Config;

/// An id that no service gives: it is none of theirs, and has the form of one.
const IMPOSSIBLE: &str = "00000000000000000000000000000000";
/// The header has whole seconds.
const SKEW: TimeDelta = TimeDelta::seconds(10);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let Some(url) = &config.content_service_url else {
        return vec![Finding::ok("content service", "the embedded one")];
    };
    in_time("content service", ask(url.as_url())).await
}

async fn ask(url: Url) -> Vec<Finding> {
    let client = match client(NEIGHBOUR_PATIENCE) {
        Ok(client) => client,
        Err(error) => return vec![Finding::failure("content service", causes(error), "run it again")],
    };
    let mut text = url.clone();
    // Only a URL that cannot have a path has none, and the configuration refuses those.
    if let Ok(mut path) = text.path_segments_mut() {
        path.pop_if_empty().push(IMPOSSIBLE);
    }
    let mut health = url.clone();
    health.set_path("/healthz");
    let (text, health) = futures::join!(client.get(text).send(), client.get(health).send());
    let health = match health {
        Ok(response) => format!("/healthz says {}", response.status().as_u16()),
        Err(_) => "/healthz says nothing".to_owned(),
    };
    let mend =
        "see that it runs, and that CONTENT_SERVICE_URL names the path of its texts; texts wait meanwhile";
    match text {
        Ok(response) => {
            let said =
                format!("{url} says {} to an id that it cannot know, {health}", response.status().as_u16());
            let expected = matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
            let mut findings = vec![if expected && !health.ends_with("404") {
                Finding::ok("content service", said)
            } else if expected {
                // Anything answers 404 to a path that it does not have.
                let mend = "see that CONTENT_SERVICE_URL names a Content Service; if it has no /healthz, all is well";
                Finding::warning("content service", said, mend)
            } else {
                Finding::failure("content service", said, mend)
            }];
            findings.extend(clock(&response));
            findings
        }
        Err(error) => {
            let why = causes(error.without_url());
            vec![Finding::failure("content service", format!("{url} does not answer ({why})"), mend)]
        }
    }
}

/// Bounded, without proxy and without being sent elsewhere.
pub(super) fn client(patience: Duration) -> reqwest::Result<Client> {
    Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(patience).build()
}

fn clock(response: &Response) -> Option<Finding> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let theirs: DateTime<Utc> = DateTime::parse_from_rfc2822(date).ok()?.to_utc();
    let skew = theirs - SystemClock::default().now();
    if skew.abs() <= SKEW {
        return None;
    }
    let found = format!("the Content Service's clock is {} s from this machine's", skew.num_seconds());
    Some(Finding::warning("clock", found, "have both follow the same time server (NTP)"))
}
