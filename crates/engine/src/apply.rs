//! The road: news → input → decision → one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{BatchId, Refusal};
use futures::StreamExt as _;
use store::{BatchRow, InboxKey, Lane, Store, Tx};
use tokio::sync::watch;

use crate::backlog::Backlog;
use crate::change::{self, Change, Done};
use crate::consumer::CONSUMER;
use crate::local_broker::Moved;
use crate::ports::Clock;
use crate::rush::Rush;
use crate::signals::Signals;
use crate::trouble::{Trouble, Watched};
use crate::{
    Cause, Crash, CrashPoint, Error, LocalBroker, Message, News, Origin, Settings, metrics, resolve, units,
};

/// How often a message is tried by itself before it is set aside, and the first of the pauses in between, which double: three
/// quarters of a second in all, for which the rest of its partition waits.
const TRIES_ALONE: u32 = 5;
const FIRST_PAUSE_ALONE: Duration = Duration::from_millis(50);

/// The road and what its tasks share. One per process.
#[derive(Debug)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) settings: Arc<Settings>,
    pub(crate) shards: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signals: Signals,
    pub(crate) backlog: Backlog,
    pub(crate) rush: Rush,
    pub(crate) crash: Crash,
    pub(crate) fingerprints: crate::submit::Fingerprints,
    pub(crate) bus: Option<LocalBroker>,
    pub(crate) content_trouble: Watched,
    pub(crate) bus_trouble: Watched,
}

/// What came of a piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The batch is at this revision now.
    Changed {
        /// The new revision.
        revision: i64,
    },
    /// Accepted, and nothing was to change: old news, or a wish that is granted already.
    Unchanged,
    /// This very message was applied before.
    Duplicate,
    /// We have no such batch: the news is somebody else's.
    Foreign,
    /// About our own, and impossible by the rules.
    Refused(Refusal),
}

impl Applied {
    /// What came of it in a word, for figures and tables.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "applied",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Foreign => "foreign",
            Self::Refused(_) => "refused",
        }
    }
}

impl Engine {
    /// An engine on this database. It does nothing by itself: spawn the tasks. With a `bus` in this very database, what a unit
    /// sends is on the bus with its COMMIT; without one it waits in the outbox for the relay.
    pub async fn open(
        store: Store,
        settings: Settings,
        clock: Arc<dyn Clock>,
        bus: Option<LocalBroker>,
        crash: Crash,
    ) -> Result<Arc<Self>, Error> {
        let fingerprints = crate::submit::Fingerprints::load(&store).await?;
        let shards = store.read(|tx| Box::pin(async move { tx.shards().await })).await?;
        let settings = Arc::new(settings);
        let backlog = Backlog::new(
            settings.staged_bytes_cap,
            settings.outbox_rows_cap,
            settings.backlog_resume_percent,
        );
        Ok(Arc::new(Self {
            store,
            settings,
            shards,
            clock,
            signals: Signals::default(),
            backlog,
            rush: Rush::default(),
            crash,
            fingerprints,
            bus,
            content_trouble: Watched::default(),
            bus_trouble: Watched::default(),
        }))
    }

    /// The database, for reads on behalf of callers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Why the Content Service could not be used when ingest last asked it; none when it could. Texts wait meanwhile, and
    /// everything else goes on.
    pub fn content_trouble(&self) -> Option<Trouble> {
        self.content_trouble.get()
    }

    pub(crate) fn set_content_trouble(&self, code: Option<&'static str>) {
        self.content_trouble.set(code, self.clock.as_ref());
    }

    /// Why the bus could not be used when the relay last sent something; none when it could. Messages wait meanwhile, and
    /// everything else goes on.
    pub fn bus_trouble(&self) -> Option<Trouble> {
        self.bus_trouble.get()
    }

    pub(crate) fn set_bus_trouble(&self, code: Option<&'static str>) {
        self.bus_trouble.set(code, self.clock.as_ref());
    }

    /// A bell that rings with the batch's new revision. A hint: on another replica nothing rings.
    pub fn watch(&self, batch: BatchId) -> watch::Receiver<i64> {
        self.signals.watch(batch)
    }

    /// Applies one piece of news.
    pub async fn apply(&self, batch: BatchId, news: News, cause: Cause) -> Result<Applied, Error> {
        let mut applied = self.apply_many(vec![(batch, news, cause)]).await?;
        Ok(applied.pop().unwrap_or(Applied::Unchanged))
    }

    /// Applies a run of news, all that is about one batch in order; what is about one batch and in one transaction makes one
    /// revision. When this fails, some of it may have been applied.
    pub async fn apply_many(&self, news: Vec<(BatchId, News, Cause)>) -> Result<Vec<Applied>, Error> {
        let mut outcomes = vec![Applied::Unchanged; news.len()];
        let at_once = self.store.max_concurrent_units();
        let units = units::of(news.iter().map(|(batch, ..)| *batch), at_once);
        let mut news: Vec<_> = news.into_iter().map(Some).collect();
        let mut take = |place: usize| news.get_mut(place).and_then(Option::take);
        let units = units.into_iter().map(|places| {
            let unit = places.iter().filter_map(|place| take(*place)).collect();
            async move { Ok::<_, Error>((places, self.apply_unit(unit).await?)) }
        });
        let units: Vec<_> = units.collect();
        // All of them to their end, also when one fails: what is tried again must not meet the rest still at work.
        let applied: Vec<_> = futures::stream::iter(units).buffer_unordered(at_once).collect().await;
        for unit in applied {
            let (places, unit) = unit?;
            for (place, outcome) in places.into_iter().zip(unit) {
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = outcome;
                }
            }
        }
        Ok(outcomes)
    }

    /// As [`Engine::apply_many`]; when one piece cannot be applied, each by itself, so that it holds up nobody else's. None
    /// for those that cannot: a row that cannot be read, a defect. What passes by itself is an error of the whole.
    pub(crate) async fn apply_each(
        &self,
        news: Vec<(BatchId, News, Cause)>,
    ) -> Result<Vec<Option<Applied>>, Error> {
        match self.apply_many(news.clone()).await {
            Ok(outcomes) => return Ok(outcomes.into_iter().map(Some).collect()),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => tracing::warn!(%error, "messages are applied one by one"),
        }
        let mut outcomes = Vec::with_capacity(news.len());
        for (batch, news, cause) in news {
            outcomes.push(self.apply_alone(batch, news, cause).await?);
        }
        Ok(outcomes)
    }

    /// Applies one piece of news that has failed in company, several times before it is given up.
    async fn apply_alone(&self, batch: BatchId, news: News, cause: Cause) -> Result<Option<Applied>, Error> {
        for failures in 0..TRIES_ALONE {
            if failures > 0 {
                self.clock.sleep(FIRST_PAUSE_ALONE * 2_u32.pow(failures - 1)).await;
            }
            match self.apply(batch, news.clone(), cause.clone()).await {
                Ok(outcome) => return Ok(Some(outcome)),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, batch.id = %batch, failures, "a message cannot be applied");
                }
            }
        }
        Ok(None)
    }

    async fn apply_unit(&self, news: Vec<(BatchId, News, Cause)>) -> Result<Vec<Applied>, Error> {
        let news = Arc::new(news);
        let settings = Arc::clone(&self.settings);
        let on_bus = self.bus.is_some();
        let (outcomes, done) = self
            .store
            .unit(Lane::Task, move |tx| {
                let (news, settings) = (Arc::clone(&news), Arc::clone(&settings));
                Box::pin(async move {
                    let (outcomes, done) = apply_in(tx, &news, &settings, on_bus).await?;
                    Ok::<_, Error>((outcomes, Committed::with(tx, done, on_bus).await?))
                })
            })
            .await?;
        self.crash.at(CrashPoint::BeforeWake)?;
        for outcome in &outcomes {
            metrics::count(metrics::NEWS, Some(("outcome", outcome.label())), 1);
        }
        self.wake(&done);
        Ok(outcomes)
    }

    /// Whether there is such a batch here.
    pub(crate) async fn has(&self, batch: BatchId) -> Result<bool, Error> {
        self.store.read(move |tx| Box::pin(async move { Ok(tx.batch(batch).await?.is_some()) })).await
    }

    /// Rings the bells of what was committed.
    pub(crate) fn wake(&self, committed: &Committed) {
        for batch in &committed.done {
            self.signals.changed(batch.batch, batch.revision);
        }
        if let (Some(bus), Some(moved)) = (&self.bus, committed.moved) {
            bus.ring(moved);
            if moved.is_cut() {
                self.signals.relay.notify_one();
            }
        } else if committed.done.iter().any(|batch| batch.sends) {
            let sending = committed.done.iter().filter(|batch| batch.sends);
            self.signals.sends(sending.map(|batch| batch.shard));
        }
    }
}

/// What a unit leaves to be done once it is committed.
pub(crate) struct Committed {
    done: Vec<Done>,
    /// What the unit put on the embedded bus, if that was its to do.
    moved: Option<Moved>,
}

impl Committed {
    /// Takes the relay's step for what the unit sends, where the bus is in the same database: one COMMIT instead of two.
    pub(crate) async fn with(tx: &mut Tx, done: Vec<Done>, on_bus: bool) -> Result<Self, Error> {
        let sends = done.iter().any(|batch| batch.sends);
        let moved = if on_bus && sends { Some(LocalBroker::move_in(tx).await?) } else { None };
        Ok(Self { done, moved })
    }
}

async fn apply_in(
    tx: &mut Tx,
    news: &[(BatchId, News, Cause)],
    settings: &Settings,
    on_bus: bool,
) -> Result<(Vec<Applied>, Vec<Done>), Error> {
    let mut batches: BTreeMap<BatchId, Vec<usize>> = BTreeMap::new();
    for (at, (batch, ..)) in news.iter().enumerate() {
        batches.entry(*batch).or_default().push(at);
    }
    // All batches are locked before any is touched, in one order for everybody.
    let ids: Vec<BatchId> = batches.keys().copied().collect();
    let mut rows: BTreeMap<BatchId, BatchRow> =
        tx.batches_for_update(&ids).await?.into_iter().map(|row| (row.batch.id, row)).collect();

    let mut outcomes = vec![Applied::Unchanged; news.len()];
    let mut changes = Vec::new();
    let (known, foreign): (Vec<_>, Vec<_>) =
        batches.into_iter().partition(|(batch, _)| rows.contains_key(batch));
    settle(&mut outcomes, foreign.into_iter().flat_map(|(_, members)| members), &Applied::Foreign);
    let duplicates = sift(tx, news, &known).await?;
    settle(&mut outcomes, duplicates.iter().copied(), &Applied::Duplicate);
    for (batch, members) in known {
        let Some(row) = rows.remove(&batch) else { continue };
        let fresh = members.into_iter().filter(|at| !duplicates.contains(at));
        let (own, strangers): (Vec<_>, Vec<_>) = fresh
            .filter_map(|at| news.get(at).map(|(_, news, cause)| (at, news, cause)))
            .partition(|(_, _, cause)| may_speak(&row, cause));
        settle(&mut outcomes, strangers.into_iter().map(|m| m.0), &Applied::Foreign);

        let mut change = Change::of(row, on_bus);
        let mut refused = Vec::new();
        for piece in resolve::merge(&own) {
            let causes: Vec<&Cause> =
                piece.members.iter().filter_map(|at| news.get(*at)).map(|(.., cause)| cause).collect();
            change.arrives(&piece.news, &causes);
            let outcome = match change.take_in(tx, &piece.news, settings).await {
                Ok(true) => Applied::Changed { revision: change.row.batch.revision + 1 },
                Ok(false) => Applied::Unchanged,
                Err(Error::Refused(refusal)) => {
                    refused.extend(piece.members.iter().filter_map(|at| event_id(news, *at)));
                    Applied::Refused(refusal)
                }
                Err(error) => return Err(error),
            };
            change.decided(outcome.label());
            change.correlation = change.correlation.or(piece.correlation);
            settle(&mut outcomes, piece.members.into_iter(), &outcome);
        }
        // Its dead letter comes in a unit of its own and is its own deduplication. Were the message recorded here, a crash in
        // between would make it a duplicate, and nobody would ever hear of it.
        if !refused.is_empty() {
            tx.delete_from_inbox(batch, CONSUMER, &refused).await?;
        }
        changes.push(change);
    }
    Ok((outcomes, change::save(tx, changes).await?))
}

fn event_id(news: &[(BatchId, News, Cause)], at: usize) -> Option<uuid::Uuid> {
    news.get(at).and_then(|(.., cause)| inbox_key(cause)).map(|key| key.event_id)
}

fn settle(outcomes: &mut [Applied], members: impl Iterator<Item = usize>, outcome: &Applied) {
    for at in members {
        if let Some(slot) = outcomes.get_mut(at) {
            slot.clone_from(outcome);
        }
    }
}

/// A caller speaks for its own batches only.
fn may_speak(row: &BatchRow, cause: &Cause) -> bool {
    match &cause.origin {
        Origin::Caller(owner) => row.owner == *owner,
        Origin::Bus(_) | Origin::Task(_) => true,
    }
}

/// Records the messages among these news in the inbox, and says which were applied before.
async fn sift(
    tx: &mut Tx,
    news: &[(BatchId, News, Cause)],
    batches: &[(BatchId, Vec<usize>)],
) -> Result<BTreeSet<usize>, Error> {
    let members = batches.iter().flat_map(|(batch, members)| members.iter().map(move |at| (*batch, *at)));
    let (places, keys): (Vec<usize>, Vec<(BatchId, InboxKey)>) =
        members.filter_map(|(batch, at)| Some((at, (batch, inbox_key(&news.get(at)?.2)?)))).unzip();
    let recorded = tx.record_inbox(CONSUMER, &keys).await?;
    Ok(places.into_iter().zip(recorded).filter(|(_, is_new)| !is_new).map(|(at, _)| at).collect())
}

fn inbox_key(cause: &Cause) -> Option<InboxKey> {
    match &cause.origin {
        Origin::Bus(Message { event_id, topic, partition, offset }) => Some(InboxKey {
            event_id: *event_id,
            topic: (*topic).to_owned(),
            partition: *partition,
            offset: *offset,
        }),
        Origin::Caller(_) | Origin::Task(_) => None,
    }
}
