//! API tokens.

use std::time::Duration;

use store::{Owner, Private, TokenRow};

use crate::databases::{noon, on_each};
use crate::unit;

fn token(id: &str, user: &str) -> TokenRow {
    TokenRow {
        token_id: id.to_owned(),
        sha256: [7; 32],
        owner: Owner { user_id: user.to_owned(), org_id: Some("school".to_owned()) },
        scopes: "read,write".to_owned(),
        note: Some(Private::from("the gradebook")),
        created_at: noon(),
        expires_at: Some(noon() + Duration::from_secs(9)),
        revoked_at: None,
        issued_without_auth: false,
    }
}

#[tokio::test]
async fn a_token_is_found_by_its_public_part_as_it_was_stored() {
    on_each(async |store| {
        unit!(store, |tx| {
            let bare = TokenRow {
                owner: Owner { user_id: "bob".to_owned(), org_id: None },
                note: None,
                expires_at: None,
                issued_without_auth: true,
                ..token("b", "bob")
            };
            tx.insert_token(&bare).await?;
            assert!(!tx.has_token_issued_with_auth().await?);
            tx.insert_token(&token("a", "ann")).await?;
            assert!(tx.has_token_issued_with_auth().await?);
            assert_eq!(tx.token("a").await?, Some(token("a", "ann")));
            assert_eq!(tx.token("b").await?, Some(bare));
            assert_eq!(tx.token("c").await?, None);
        });
        let twice = store.unit(store::Lane::Caller, |tx| {
            Box::pin(async move { tx.insert_token(&token("a", "eve")).await })
        });
        assert!(
            matches!(twice.await, Err(store::Error::Rejected { .. })),
            "a public part identifies one token"
        );
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_is_still_listed_with_the_time_of_its_first_revocation() {
    on_each(async |store| {
        unit!(store, |tx| {
            tx.insert_token(&token("a", "ann")).await?;
            assert!(!tx.revoke_token("z").await?);
            assert!(tx.revoke_token("a").await?);
            let revoked_at = tx.token("a").await?.and_then(|row| row.revoked_at);
            assert_eq!(revoked_at, Some(tx.now()));
            assert!(tx.revoke_token("a").await?, "revoking again is no error");
            assert_eq!(tx.token("a").await?.and_then(|row| row.revoked_at), revoked_at);
        });
    })
    .await;
}

#[tokio::test]
async fn tokens_are_listed_in_pages_and_by_user() {
    on_each(async |store| {
        unit!(store, |tx| {
            for (id, user) in [("c", "ann"), ("a", "ann"), ("b", "bob")] {
                tx.insert_token(&token(id, user)).await?;
            }
            let ids = |rows: Vec<TokenRow>| rows.into_iter().map(|row| row.token_id).collect::<String>();
            assert_eq!(ids(tx.tokens(None, "", 10).await?), "abc");
            assert_eq!(ids(tx.tokens(None, "a", 1).await?), "b");
            assert_eq!(ids(tx.tokens(Some("ann"), "", 10).await?), "ac");
            assert_eq!(ids(tx.tokens(Some("eve"), "", 10).await?), "");
        });
    })
    .await;
}
