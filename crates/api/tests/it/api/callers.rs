//! The limit on requests of one caller in progress.

use std::num::NonZeroU32;

use ::api::Auth;
use ::api::credentials::{self, Issuer, issue};
use axum::body::Body;
use axum::http::Request;
use client::documents::TokenRequest;
use futures::poll;
use secrecy::SecretString;
use serde_json::json;

use super::{Answer, Api, batch};

const GATEWAY: &str = "gateway-token-of-thirty-two-letters-or-more";

async fn token(api: &Api, user: &str) -> String {
    let request: TokenRequest = serde_json::from_value(json!({"user_id": user})).unwrap();
    let acceptable = credentials::check(request).unwrap_or_else(|faults| panic!("{faults:?}"));
    issue(api.engine.store(), acceptable, Issuer::Trusted).await.unwrap().token
}

/// A caller: the headers by which it authenticates.
#[derive(Clone, Copy)]
struct Caller<'a>(&'a [(&'a str, &'a str)]);

impl Caller<'_> {
    async fn send(self, api: &Api, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = self.0.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        api.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn get(self, api: &Api, path: &str) -> Answer {
        self.send(api, "GET", path, "").await
    }
}

#[tokio::test]
async fn a_caller_has_a_limited_number_of_requests_in_progress_and_takes_none_of_others() {
    let one_at_a_time = |settings: &mut ::api::ApiSettings| {
        settings.auth = Auth::Gateway;
        settings.gateway_token = Some(SecretString::from(GATEWAY).into());
        settings.max_requests_per_caller = NonZeroU32::MIN;
    };
    let api = Api::with(one_at_a_time).await;
    let bearers = [token(&api, "ann").await, token(&api, "ann").await].map(|token| format!("Bearer {token}"));
    let gateway = format!("Bearer {GATEWAY}");
    let [first, second] = bearers.each_ref().map(|bearer| [("authorization", bearer.as_str())]);
    let of_gateway = |user| [("authorization", gateway.as_str()), ("x-user-id", user)];
    let (ann, bob) = (of_gateway("ann"), of_gateway("bob"));

    for (caller, others) in
        [(Caller(&first), [Caller(&second), Caller(&ann)]), (Caller(&ann), [Caller(&bob), Caller(&first)])]
    {
        let created = caller.send(&api, "POST", "/v1/batch", &batch(1).to_string()).await;
        let status = format!("/v1/batch/{}/status?wait=20s", created.json()["batch_id"].as_str().unwrap());
        let request = caller
            .0
            .iter()
            .fold(Request::get(&status).header("if-none-match", "\"1\""), |request, (name, value)| {
                request.header(*name, *value)
            });
        let mut waiting = Box::pin(api.send(request.body(Body::empty()).unwrap()));
        let refused = loop {
            assert!(poll!(&mut waiting).is_pending(), "nothing changes");
            let answer = caller.get(&api, "/v1/limits").await;
            if answer.status != 200 {
                break answer;
            }
        };
        refused.problem(429, "too_many_requests");
        assert_eq!(refused.header("retry-after"), "1");
        for other in others {
            assert_eq!(other.get(&api, "/v1/limits").await.status, 200, "another caller is served");
        }
        drop(waiting);
        assert_eq!(
            caller.get(&api, "/v1/limits").await.status,
            200,
            "the client of the waiting request has gone"
        );
    }
}
