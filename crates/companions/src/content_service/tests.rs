use std::path::Path;

use super::*;

fn open(dir: &Path) -> ContentService {
    ContentService::new(Arc::new(Database::open(&dir.join("companions.db")).unwrap()))
}

#[tokio::test]
async fn a_text_survives_reopening_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let text = Bytes::from_static("\u{feff}Åsa wrote:\r\nteh end\r\0".as_bytes());
    let id = open(dir.path()).put(text.clone()).await.unwrap();
    assert_eq!(open(dir.path()).get(&id).await.unwrap(), Some(text));
}

#[tokio::test]
async fn an_id_is_32_hexadecimal_digits_and_new_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let service = open(dir.path());
    let (first, second) =
        (service.put("same".into()).await.unwrap(), service.put("same".into()).await.unwrap());
    assert_ne!(first, second);
    for id in [&first, &second] {
        assert!(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
            "{id}"
        );
    }
    assert_eq!(service.get(&first.to_uppercase()).await.unwrap(), Some("same".into()));
}

#[tokio::test]
async fn many_texts_are_answered_in_order_and_an_empty_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let service = open(dir.path());
    let answers = service.store(vec!["one".into(), Bytes::new(), "three".into()]).await;
    assert_eq!(answers[1], Err(ContentError::Refused { code: "content_refused" }));
    for (answer, text) in [(&answers[0], "one"), (&answers[2], "three")] {
        assert_eq!(service.fetch(answer.as_ref().unwrap()).await.unwrap(), text);
    }
    assert_eq!(service.look_up(answers[2].as_ref().unwrap()).await, Ok(5));
    assert!(service.store(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn an_erased_text_is_gone_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let service = open(dir.path());
    let (gone, stays) =
        (service.put("gone".into()).await.unwrap(), service.put("stays".into()).await.unwrap());
    assert!(service.delete(&gone).await.unwrap());
    assert!(!service.delete(&gone).await.unwrap());
    assert_eq!(service.fetch(&gone).await, Err(NOT_FOUND));
    assert_eq!(service.get(&stays).await.unwrap(), Some("stays".into()));
}

#[tokio::test]
async fn a_malformed_id_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let service = open(dir.path());
    for id in ["", "short", "0123456789abcdef0123456789abcdeg", "+123456789abcdef0123456789abcdef"] {
        assert_eq!(service.fetch(id).await, Err(NOT_FOUND), "{id}");
        assert_eq!(service.look_up(id).await, Err(NOT_FOUND), "{id}");
        assert!(!service.delete(id).await.unwrap(), "{id}");
    }
}
