//! Checks of the Content Service and its clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::ports::{Clock as _, SystemClock};
use reqwest::header::DATE;
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::NEIGHBOUR_PATIENCE;
use super::finding::{Finding, causes, in_time};
use service::config::Config;

/// A well-formed id that no Content Service assigns.
const UNKNOWN_ID: &str = "00000000000000000000000000000000";
/// Largest difference of two clocks that is not reported (chosen). The header `Date` has whole seconds.
const SKEW: TimeDelta = TimeDelta::seconds(10);

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let Some(url) = &config.content_service_url else {
        return vec![Finding::ok("content service", "embedded")];
    };
    in_time("content service", probe(url.as_url())).await
}

async fn probe(url: Url) -> Vec<Finding> {
    let client = match client(NEIGHBOUR_PATIENCE) {
        Ok(client) => client,
        Err(error) => return vec![Finding::failure("content service", causes(error), "run it again")],
    };
    let mut text = url.clone();
    // The configuration refuses URLs that cannot have a path.
    if let Ok(mut path) = text.path_segments_mut() {
        path.pop_if_empty().push(UNKNOWN_ID);
    }
    let mut health = url.clone();
    health.set_path("/healthz");
    let (text, health) = futures::join!(client.get(text).send(), client.get(health).send());
    let health = match health {
        Ok(response) => format!("/healthz answers {}", response.status().as_u16()),
        Err(_) => "/healthz does not answer".to_owned(),
    };
    let mend =
        "check that it runs and that CONTENT_SERVICE_URL has the path of its texts; texts wait until then";
    match text {
        Ok(response) => {
            let found = format!("{url} answers {} for an unknown id, {health}", response.status().as_u16());
            let expected = matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
            let mut findings = vec![if expected && !health.ends_with("404") {
                Finding::ok("content service", found)
            } else if expected {
                // Any HTTP server answers 404 for a path that it does not have.
                let mend = "check that CONTENT_SERVICE_URL names a Content Service; if that has no /healthz, ignore this";
                Finding::warning("content service", found, mend)
            } else {
                Finding::failure("content service", found, mend)
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

/// Makes a client with a timeout for each request, without proxy and without redirects.
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
    let found =
        format!("the Content Service's clock differs from this machine's by {} s", skew.num_seconds());
    Some(Finding::warning("clock", found, "synchronize both with the same time server (NTP)"))
}
