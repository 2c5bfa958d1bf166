use engine::News;
use serde_json::{Value, json};
use store::StoredEssay;

use super::{Api, batch};

#[tokio::test]
async fn a_list_is_paged_in_either_order() {
    let api = Api::open().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(api.batch_of(1).await);
    }
    for (sort, expected) in
        [("created_at", made.clone()), ("-created_at", made.iter().rev().cloned().collect())]
    {
        let mut seen: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("/v1/batch?limit=2&sort={sort}{cursor}")).await.json();
            seen.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| row["batch_id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else {
                assert_eq!(page["has_more"], false);
                break;
            };
            assert_eq!(page["has_more"], true);
            cursor = format!("&cursor={next}");
        }
        // Batches of the same millisecond are in the order of their ids, which is valid too.
        assert_eq!(seen.len(), 5, "{seen:?}");
        let mut sorted = seen.clone();
        sorted.sort();
        let mut all = expected.clone();
        all.sort();
        assert_eq!(sorted, all);
        let times: Vec<&str> = seen.iter().map(|id| &id[..13]).collect();
        assert!(times.windows(2).all(|two| if sort == "created_at" {
            two[0] <= two[1]
        } else {
            two[0] >= two[1]
        }));
    }
}

#[tokio::test]
async fn a_list_is_filtered_by_status_label_and_kind_and_its_counts_cover_all_pages() {
    let api = Api::open().await;
    let plain = api.batch_of(1).await;
    let mut body = batch(1);
    body["labels"] = json!({"class": "9C", "term": "ht:26"});
    let labelled = api.post_json("/v1/batch", &body).await.json()["batch_id"].as_str().unwrap().to_owned();
    api.tell(labelled.parse().unwrap(), News::Cancel(domain::CancelMode::Abandon)).await;
    api.post("/v1/trigger-spellcheck", "text/plain", "Text").await;

    let ids = |page: Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["batch_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(api.get("/v1/batch?status=pending_content").await.json()), std::slice::from_ref(&plain));
    assert_eq!(ids(api.get("/v1/batch?status=cancelled").await.json()), std::slice::from_ref(&labelled));
    assert_eq!(ids(api.get("/v1/batch?status=cancelled&status=pending_content").await.json()).len(), 2);
    assert_eq!(ids(api.get("/v1/batch?label=class:9C&label=term:ht:26").await.json()), [&*labelled]);
    assert_eq!(ids(api.get("/v1/batch?label=class:9C&label=term:vt").await.json()).len(), 0);
    assert_eq!(ids(api.get("/v1/batch?kind=single").await.json()).len(), 1);
    assert_eq!(ids(api.get("/v1/batch?attention=true").await.json()).len(), 0);
    assert_eq!(ids(api.get("/v1/batch?created_before=2020-01-01T00:00:00Z").await.json()).len(), 0);
    let counted = api.get("/v1/batch?limit=1&include=counts").await.json();
    assert_eq!(counted["counts"], json!({"cancelled": 1, "pending_content": 1}));
    assert_eq!(counted["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_essays_of_a_batch_are_paged() {
    let api = Api::open().await;
    let id = api.batch_of(5).await;
    let mut refs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/batch/{id}/essays?limit=2{cursor}")).await.json();
        refs.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|essay| essay["client_ref"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(refs, ["s-000", "s-001", "s-002", "s-003", "s-004"]);
    let none = api.get(&format!("/v1/batch/{id}/essays?state=failed")).await.json();
    assert_eq!(none["data"], json!([]));
    api.get(&format!("/v1/batch/{id}/essays?cursor=x")).await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn results_have_a_line_for_each_essay_over_all_pages() {
    let api = Api::open().await;
    let id = api.batch_of(450).await;
    let answer = api.get(&format!("/v1/batch/{id}/results")).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 450);
    assert!(lines.iter().enumerate().all(|(at, line)| line["position"] == at && line["state"] == "waiting"));

    let essays: Vec<_> = (0..2).map(|at| lines[at]["essay_id"].as_str().unwrap().parse().unwrap()).collect();
    let news = News::TextsStored {
        stored: vec![StoredEssay {
            essay_id: essays[0],
            storage_id: "0".repeat(32).parse().unwrap(),
            size_bytes: 4,
        }],
        refused: vec![(essays[1], "text_not_found".to_owned())],
    };
    api.tell(id.parse().unwrap(), news).await;
    let failed = api.get(&format!("/v1/batch/{id}/results?outcome=failed")).await.body;
    let failed: Value = serde_json::from_str(failed.trim_end()).unwrap();
    assert_eq!((&failed["error_code"], &failed["client_ref"]), (&json!("text_not_found"), &json!("s-001")));
    assert_eq!(api.get(&format!("/v1/batch/{id}/results?outcome=succeeded")).await.body, "");
    api.get(&format!("/v1/batch/{id}/results?outcome=lost")).await.problem(400, "invalid_parameter");
    let status = api.get(&format!("/v1/batch/{id}/status")).await.json();
    assert_eq!(
        status["sentence"],
        "1 of 450 texts are stored; 1 essay was refused while its text was stored."
    );
}
