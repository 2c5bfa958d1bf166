//! The target PostgreSQL: it must be empty, is claimed, filled, compared, and at the end opened for serving.

use std::collections::HashSet;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use store::promotion::{Promotion, TABLES, Table, Value};
use store::{Lane, Store};
use url::Url;
use uuid::Uuid;

use super::checksum::{Sum, names_any};
use super::error::{Error, Refusal};
use super::preparation::Preparation;
use super::tables::{arrives_unchanged, keeps_its_number, page, sums};
use super::{Progress, StepLimit};
use crate::config::Config;

pub(super) struct Target {
    /// The server and the database, without user name and password.
    pub(super) to: String,
    store: Store,
    lease: std::time::Duration,
}

fn failed(error: store::Error) -> Error {
    Error::of("target")(error)
}

impl Target {
    /// Connects, and creates or migrates the tables.
    pub(super) async fn connect(config: &Config) -> Result<Self, Error> {
        let target = Self::reach(config).await?;
        let schema = target.store.schema().await.map_err(failed)?;
        if !schema.is_some_and(store::supports_schema) {
            let migrated = target.store.migrate_up().await;
            migrated.map_err(|source| Refusal::TargetNotMigrated { to: target.to.clone(), source })?;
        }
        Ok(target)
    }

    /// Connects, and changes nothing.
    pub(super) async fn reach(config: &Config) -> Result<Self, Error> {
        let Some(url) = &config.database_url else { return Err(Refusal::NoTarget.into()) };
        let text = url.0.get();
        let store = Store::connect_postgres(url.0.clone(), config.database_max_connections.get())
            .await
            .map_err(failed)?;
        Ok(Self { to: place(text.expose_secret()), store, lease: config.lease_ttl })
    }

    async fn is_made(&self) -> Result<bool, Error> {
        Ok(self.store.schema().await.map_err(failed)?.is_some())
    }

    /// The promotion that has claimed the target, if any.
    pub(super) async fn claimed(&self) -> Result<Option<Promotion>, Error> {
        if !self.is_made().await? {
            return Ok(None);
        }
        self.store.read(|tx| Box::pin(tx.promotion())).await.map_err(failed)
    }

    /// Checks that the target is empty and without servers, or is claimed by promotion `id`.
    ///
    /// # Errors
    /// The refusal that says what uses the target, or the database failed.
    pub(super) async fn refuse_others(&self, id: Option<Uuid>) -> Result<(), Error> {
        let to = self.to.clone();
        match self.claimed().await? {
            Some(promotion) if Some(promotion.id) == id && !promotion.is_done => return Ok(()),
            Some(promotion) if !promotion.is_done => return Err(Refusal::TargetOfAnother { to }.into()),
            Some(_) | None => {}
        }
        if !self.is_made().await? {
            return Ok(());
        }
        let lease = self.lease;
        let looked = self.store.read(move |tx| {
            Box::pin(async move {
                Ok::<_, store::Error>((tx.first_nonempty_table().await?, tx.live_replicas(lease).await?))
            })
        });
        match looked.await.map_err(failed)? {
            (Some(table), _) => Err(Refusal::TargetNotEmpty { to, table }.into()),
            (None, 0) => Ok(()),
            (None, replicas) => Err(Refusal::TargetInUse { to, replicas }.into()),
        }
    }

    /// Claims the target for this promotion. Until [`open`](Self::open), `bos serve` refuses it.
    pub(super) async fn claim(&self, id: Uuid) -> Result<(), Error> {
        let unit = self.store.unit(Lane::Task, move |tx| {
            let promotion = Promotion { id, copied: vec![0; TABLES.len()], is_done: false };
            Box::pin(async move { tx.claim_promotion(promotion).await })
        });
        let claimed: Promotion = unit.await.map_err(failed)?;
        if claimed.id != id {
            return Err(Refusal::TargetOfAnother { to: self.to.clone() }.into());
        }
        Ok(())
    }

    /// Inserts the remaining rows. A page and the number of rows so far are stored in one transaction.
    pub(super) async fn copy_tables(
        &self,
        from: &Preparation,
        limit: &StepLimit,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let poured = self.claimed().await?.map(|promotion| promotion.copied).unwrap_or_default();
        for (at, table) in TABLES.iter().enumerate() {
            tell(Progress::CopyingTable(table.name));
            let mut skip = poured.get(at).copied().unwrap_or_default();
            let mut last: Option<Vec<Value>> = None;
            loop {
                let after = last.take();
                let rows = page(&from.store, table, after, skip).await.map_err(Error::of("copy"))?;
                let Some(row) = rows.last() else { break };
                (last, skip) = (Some(row.clone()), 0);
                self.pour_page(at, table, Arc::new(rows)).await?;
                limit.step()?;
            }
        }
        let fact =
            from.store.read(|tx| Box::pin(tx.fingerprint_secret())).await.map_err(Error::of("copy"))?;
        let unit = self.store.unit(Lane::Task, move |tx| {
            let fact = fact.clone();
            Box::pin(async move {
                match fact {
                    Some(fact) => tx.set_fingerprint_secret(&fact).await,
                    None => Ok(()),
                }
            })
        });
        unit.await.map_err(failed)
    }

    async fn pour_page(
        &self,
        at: usize,
        table: &'static Table,
        page: Arc<Vec<Vec<Value>>>,
    ) -> Result<(), Error> {
        let unit = self.store.unit(Lane::Task, move |tx| {
            let page = Arc::clone(&page);
            Box::pin(async move {
                let Some(mut promotion) = tx.promotion().await? else { return Ok(()) };
                if let Some(poured) = promotion.copied.get_mut(at) {
                    *poured += page.len() as u64;
                }
                tx.insert_rows(table, &page).await?;
                tx.set_promotion(&promotion).await
            })
        });
        unit.await.map_err(failed)
    }

    /// Compares the target with the copy and the source by checksum, and searches it for ids of the old Content Service.
    ///
    /// # Errors
    /// [`Error::NotTheSame`], or a database failed.
    pub(super) async fn compare(&self, with: &Preparation, source: &[Sum]) -> Result<Vec<Sum>, Error> {
        let map = with.store.read(|tx| Box::pin(tx.new_text_ids())).await.map_err(Error::of("copy"))?;
        let new: HashSet<&str> = map.values().map(String::as_str).collect();
        let old: HashSet<&str> = map.keys().map(String::as_str).filter(|id| !new.contains(id)).collect();
        let poured = sums(&self.store, "target", |table, row| {
            if names_any(table, row, &old) {
                return Err(Error::NotTheSame { table: table.name, what: "text_ids" });
            }
            Ok(())
        })
        .await?;
        let sent = sums(&with.store, "copy", |_, _| Ok(())).await?;
        for (((table, poured), sent), source) in TABLES.iter().zip(&poured).zip(&sent).zip(source) {
            let table = table.name;
            let differs = |what| Err(Error::NotTheSame { table, what });
            if poured.rows() != sent.rows() || (keeps_its_number(table) && poured.rows() != source.rows()) {
                return differs("rows");
            }
            if poured != sent || (arrives_unchanged(table) && poured != source) {
                return differs("checksum");
            }
        }
        Ok(poured)
    }

    /// Opens the target for serving.
    pub(super) async fn open(&self, id: Uuid) -> Result<(), Error> {
        let unit = self.store.unit(Lane::Task, move |tx| {
            Box::pin(async move {
                let Some(promotion) = tx.promotion().await? else { return Ok(()) };
                if promotion.id != id {
                    return Ok(());
                }
                tx.set_promotion(&Promotion { is_done: true, ..promotion }).await
            })
        });
        unit.await.map_err(failed)
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }
}

/// The server and the database of a URL, without user name, password and options.
fn place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "PostgreSQL".to_owned() };
    let host = url.host_str().unwrap_or("localhost");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{host}{port}{}", url.path())
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_contains_no_user_name_and_no_password() {
        assert_eq!(place("postgres://bos:secret@db.example:5433/bos?password=other"), "db.example:5433/bos");
        assert_eq!(place("postgres:///bos?host=/run/postgresql"), "localhost/bos");
    }
}
