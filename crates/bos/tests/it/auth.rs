//! Authentication of callers: an installation with tokens, the program itself on a real socket.

mod command_line;
mod foreign;
mod gateway;
mod matrix;
mod production;
mod secrecy;
mod tokens;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ran, Server, run};

/// The token of the gateway.
const GATEWAY: &str = "gateway-token-of-thirty-two-letters-or-more";

/// A server with `auth = "token"`, and a client.
struct Guarded {
    /// Not crate `client`, which does not show the status and the headers of a refusal.
    http: reqwest::Client,
    server: Server,
    folder: TempDir,
}

/// An answer with its whole body.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// Asserts that the caller was refused with this status and code.
    #[track_caller]
    fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.json()["code"], code);
        assert!(self.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer realm=\"bos\""));
    }
}

/// Creates a token in the database of an installation that does not run.
fn make(folder: &TempDir, arguments: &[&str]) -> String {
    let data = folder.path().join("data");
    let ran =
        run(&[&["token", "create", "--port", "1", "--data-dir", data.to_str().unwrap()], arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}

impl Guarded {
    /// Starts a server with one token for each list of arguments of `bos token create`.
    fn with_tokens<const N: usize>(arguments: [&[&str]; N]) -> (Self, [String; N]) {
        let folder = tempfile::tempdir().unwrap();
        let tokens = arguments.map(|arguments| make(&folder, arguments));
        (Self::on(folder, &["auth=token"]), tokens)
    }

    fn on(folder: TempDir, settings: &[&str]) -> Self {
        let server = Server::on(&folder.path().join("data"), settings);
        Self { http: reqwest::Client::new(), server, folder }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server.address))
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(token)).await
    }

    async fn get_as(&self, path: &str, authorization: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).header(AUTHORIZATION, authorization)).await
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(token);
        Answer::of(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Runs a client command with this token.
    fn run_as(&self, token: &str, arguments: &[&str]) -> Ran {
        let arguments = [arguments, &["--server", &self.server.address]].concat();
        crate::program::bos(&arguments).env("BOS_TOKEN", token).output().unwrap().into()
    }
}

/// The public part of a token.
fn id_of(token: &str) -> &str {
    token.split('_').nth(1).unwrap()
}
