//! A web page of others in a browser on this machine, and tokens that it could have created.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Guarded, id_of, make};

/// What a browser adds to a request of a page.
type Page<'a> = &'a [(&'a str, &'a str)];

/// A form or a script posts across sites.
const CROSS_SITE: Page<'static> =
    &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
/// The same from a sandboxed frame.
const OPAQUE: Page<'static> = &[("origin", "null"), ("sec-fetch-site", "cross-site")];
/// The page's name leads to this machine, so that the browser takes the service for the page's own.
const REBOUND: Page<'static> = &[
    ("host", "evil.example:5000"),
    ("origin", "http://evil.example:5000"),
    ("sec-fetch-site", "same-origin"),
];

const FORM: &str =
    "--b\r\nContent-Disposition: form-data; name=\"essays\"; filename=\"a.txt\"\r\n\r\nText\r\n--b--\r\n";

fn open() -> Guarded {
    Guarded::on(tempfile::tempdir().unwrap(), &["auth=off"])
}

async fn send(
    guarded: &Guarded,
    page: Page<'_>,
    (method, path, kind, body): (Method, &str, &str, &str),
) -> Answer {
    let request = guarded.request(method, path).header("content-type", kind).body(body.to_owned());
    Answer::of(page.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn a_page_of_another_origin_can_neither_submit_nor_read_nor_create_a_token() {
    let guarded = open();
    let essay = json!({"text": "Text"}).to_string();
    let token = json!({"user_id": "eve", "scopes": ["admin"]}).to_string();
    for (page, code) in
        [(CROSS_SITE, "foreign_origin"), (OPAQUE, "foreign_origin"), (REBOUND, "foreign_host")]
    {
        for (method, path, kind, body) in [
            (Method::POST, "/v1/trigger-spellcheck", "text/plain", essay.as_str()),
            (Method::POST, "/v1/trigger-spellcheck", "application/json", &essay),
            (Method::POST, "/v1/batch", "multipart/form-data; boundary=b", FORM),
            (Method::POST, "/v1/tokens", "application/json", &token),
            (Method::POST, "/v1/content", "application/octet-stream", "Text"),
            (Method::OPTIONS, "/v1/tokens", "application/json", ""),
            (Method::GET, "/v1/batch", "text/plain", ""),
            (Method::GET, "/metrics", "text/plain", ""),
            (Method::GET, "/readyz", "text/plain", ""),
            (Method::GET, "/docs/", "text/plain", ""),
            (Method::GET, "/nowhere", "text/plain", ""),
        ] {
            let answer = send(&guarded, page, (method, path, kind, body)).await;
            assert_eq!(answer.status, 403, "{path}: {}", answer.body);
            assert_eq!(answer.json()["code"], code, "{path}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
    }
    let batches = Answer::of(guarded.request(Method::GET, "/v1/batch")).await.json();
    assert_eq!(batches["data"], json!([]), "nothing was submitted");
    let tokens = Answer::of(guarded.request(Method::GET, "/v1/tokens")).await.json();
    assert_eq!(tokens["data"], json!([]), "no token was created");
    let metrics = Answer::of(guarded.request(Method::GET, "/metrics")).await.body;
    assert!(metrics.contains("bos_callers_refused_total{reason=\"foreign_host\"}"), "{metrics}");
}

#[tokio::test]
async fn the_documentation_and_pages_of_this_machine_may_use_the_service_and_links_lead_to_it() {
    let guarded = open();
    let own = guarded.server.address.clone();
    let essay = json!({"text": "Text"}).to_string();
    for origin in [own.as_str(), "http://localhost:3000"] {
        let page: Page<'_> = &[("origin", origin), ("sec-fetch-site", "same-site")];
        let request = (Method::POST, "/v1/trigger-spellcheck", "application/json", essay.as_str());
        assert_eq!(send(&guarded, page, request).await.status, 202, "{origin}");
    }
    let link: Page<'_> =
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(send(&guarded, link, (Method::GET, "/docs/", "text/plain", "")).await.status, 200);
}

#[tokio::test]
async fn allowed_hosts_may_be_named_and_their_pages_may_use_the_service() {
    let guarded =
        Guarded::on(tempfile::tempdir().unwrap(), &["allowed_hosts=bos.school.example,app.school.example"]);
    let page: Page<'_> = &[
        ("host", "bos.school.example"),
        ("origin", "https://app.school.example"),
        ("sec-fetch-site", "same-site"),
    ];
    assert_eq!(send(&guarded, page, (Method::GET, "/v1/batch", "text/plain", "")).await.status, 200);
    assert_eq!(send(&guarded, REBOUND, (Method::GET, "/v1/batch", "text/plain", "")).await.status, 403);
}

#[tokio::test]
async fn a_token_created_without_authentication_is_refused_once_callers_are_authenticated() {
    let Guarded { server, folder, http } = open();
    let create =
        http.post(format!("{}/v1/tokens", server.address)).header("content-type", "application/json");
    let created = Answer::of(create.body(json!({"user_id": "eve", "scopes": ["admin"]}).to_string())).await;
    assert_eq!((created.status, &created.json()["status"]), (201, &"untrusted".into()), "{}", created.body);
    let planted = created.json()["token"].as_str().unwrap().to_owned();
    let ran = server.run(&["token", "create", "--user", "ann"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("marked as untrusted"), "{}", ran.stderr);
    server.kill();
    let trusted = make(&folder, &["--user", "root", "--scope", "admin"]);

    let guarded = Guarded::on(folder, &["auth=token"]);
    let refused = guarded.get("/v1/tokens", &planted).await;
    refused.refuses(401, "invalid_token");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("no caller was authenticated") && detail.contains("bos token create"),
        "{detail}"
    );
    let created = guarded.post("/v1/tokens", &trusted, &json!({"user_id": "bob"})).await;
    assert_eq!(created.json()["status"], "active", "{}", created.body);
    assert_eq!(guarded.get("/v1/batch", created.json()["token"].as_str().unwrap()).await.status, 200);

    let listed = guarded.run_as(&trusted, &["token", "list", "-o", "json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let status = |id: &str| listed.iter().find(|token| token["token_id"] == id).unwrap()["status"].clone();
    assert_eq!((status(id_of(&planted)), status(id_of(&trusted))), ("untrusted".into(), "active".into()));
    assert!(guarded.run_as(&trusted, &["token", "list"]).stdout.contains("untrusted"));
}
