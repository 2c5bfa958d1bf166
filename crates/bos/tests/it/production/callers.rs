//! Callers that submit classes without a pause, and count the answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::StreamExt as _;
use tokio::time::timeout;

use super::road::{class, ended};
use crate::host::{Client, id_of};
use crate::neighbour::service::Service;
use crate::program::PATIENCE;

/// Four callers; each waits for an answer before it submits the next class.
pub(super) struct Callers<'a> {
    client: &'a Client,
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
}

impl<'a> Callers<'a> {
    pub(super) fn of(client: &'a Client) -> Self {
        let (acknowledged, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { client, is_over: AtomicBool::new(false), acknowledged, refused }
    }

    /// Submits classes of two essays until stopped; the ids of those that were acknowledged. All others must be refused with 503
    /// and `Retry-After`.
    pub(super) async fn hand_in(&self) -> Vec<String> {
        let load = futures::stream::iter(0..4).map(async |_| {
            let mut ids = Vec::new();
            while !self.is_over.load(Ordering::SeqCst) {
                let answer = self.client.submit(&class(2, &["spellcheck"])).await;
                if answer.status == 202 {
                    ids.push(id_of(&answer.body));
                    self.acknowledged.fetch_add(1, Ordering::SeqCst);
                } else {
                    assert_eq!((answer.status, answer.asks_to_wait), (503, true), "{}", answer.body);
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
            }
            ids
        });
        load.buffer_unordered(4).collect::<Vec<_>>().await.concat()
    }

    /// Waits until `more` further classes are acknowledged.
    pub(super) async fn until_acknowledged(&self, more: usize) {
        until(&self.acknowledged, more).await;
    }

    /// Waits until `more` further classes are refused.
    pub(super) async fn until_refused(&self, more: usize) {
        until(&self.refused, more).await;
    }

    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

async fn until(count: &AtomicUsize, more: usize) {
    let least = count.load(Ordering::SeqCst) + more;
    let reached = async {
        while count.load(Ordering::SeqCst) < least {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("callers are answered");
}

/// Waits until all these batches have ended, and asserts that they succeeded.
pub(super) async fn all_end(ids: &[String], service: &Service) {
    for id in ids {
        let status = ended(service, id).await;
        assert_eq!(status["counts"]["succeeded"], 2, "{status}");
    }
}
