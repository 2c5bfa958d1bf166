//! The rate of the relay, compared with the table alone and a producer alone.

use anyhow::{Context as _, Result};

use super::{Place, bus, bus::Messages, stage::Stage};
use crate::{
    essays,
    limit::postgres::Pgbench,
    load::{self, on_this_thread},
    report::{Figure, Target},
};

const ROW: &str = "relay";
const MESSAGES: u32 = 20_000;
/// The part of the slower limit that must be reached: a relay waits for Kafka before it updates the table.
const SHARE: f64 = 0.25;

/// Inserts 4,000 keys with five messages of 1 kB each, as if many batches had just been commanded.
fn backlog(shards: i64) -> String {
    format!(
        "INSERT INTO outbox (shard, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, not_before, created_at) \
         SELECT key % {shards}, gen_random_uuid(), 'bench-' || key, seq, '{}', 'bench-' || key, \
         convert_to(repeat('x', 1000), 'UTF8'), \
         jsonb_build_object('event_id', gen_random_uuid()::text, 'key_seq', seq::text), now(), now() \
         FROM generate_series(1, 5) AS seq, generate_series(1, 4000) AS key ORDER BY seq, key",
        bus::WARM_UP
    )
}

/// The relay's work on the table alone: the first message of each key is selected, archived and deleted, 500 per transaction, in
/// one of eight shards after the other.
const MOVE_500: &str = "\
\\set n :n + 1
\\set shard :n % 8
WITH heads AS MATERIALIZED (SELECT shard, id FROM outbox o WHERE shard = :shard AND id >= 0 AND state = 0 \
AND not_before <= now() AND (SELECT p.key_seq FROM outbox p WHERE p.shard = o.shard AND p.ordering_key = o.ordering_key \
AND p.key_seq < o.key_seq ORDER BY p.key_seq LIMIT 1) IS NULL ORDER BY shard, id LIMIT 500 FOR UPDATE SKIP LOCKED), \
moved AS (DELETE FROM outbox o USING heads WHERE o.shard = heads.shard AND o.id = heads.id RETURNING o.*) \
INSERT INTO outbox_sent (shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, created_at, \
kafka_partition, kafka_offset, sent_at) SELECT shard, id, event_id, ordering_key, key_seq, topic, kafka_key, payload, headers, \
created_at, 0, 0, now() FROM moved;
";
const MOVED: u32 = 500;

/// The rate from the first `sent_at` to the last, without the messages of the first, which have the same time.
const RATE: &str = "\
SELECT CAST(count(*) FILTER (WHERE sent_at > first) / extract(epoch FROM max(sent_at) - min(sent_at)) AS double precision) \
FROM outbox_sent, (SELECT min(sent_at) AS first FROM outbox_sent) AS f";

pub(super) fn measure(place: &Place<'_>) -> Result<Vec<Figure>> {
    let setting = place.setting;
    let pgbench = setting.pgbench.context("pgbench is needed for the limit")?;
    let (mut rates, mut bus, mut table) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        let mut stage = Stage::new(place)?;
        bus.push(producer_alone(&stage)?);
        table.push(table_alone(&mut stage, pgbench)?);
        let _replica = stage.replica()?;
        stage.database.run(backlog(64))?;
        stage.database.wait_for("SELECT count(*) FROM outbox_sent", MESSAGES.into())?;
        rates.push(stage.database.number(RATE)?);
    }
    let slower = table.iter().zip(&bus).map(|(table, bus)| table.min(*bus)).collect();
    let backlog = Figure::new(ROW, "a backlog of 20,000", "messages/s", rates.clone());
    let mut figures = vec![
        backlog.beside("the slower of table and producer alone", slower).must(Target::TimesLimit(SHARE)),
        Figure::new(ROW, "a backlog of 20,000, quiet machine", "messages/s", rates)
            .must(Target::AtLeast(10_000.0)),
        Figure::new(ROW, "table alone: heads taken, archived, deleted", "messages/s", table),
        Figure::new(ROW, "producer alone", "messages/s", bus),
    ];
    figures.extend(sustained(place)?);
    Ok(figures)
}

fn producer_alone(stage: &Stage<'_>) -> Result<f64> {
    let messages = Messages { topic: bus::WARM_UP, bytes: 1_000, keys: 4_000 };
    on_this_thread(bus::produce(&stage.kafka(), &messages, 2 * 20_000))
}

fn table_alone(stage: &mut Stage<'_>, pgbench: &Pgbench) -> Result<f64> {
    stage.database.run(backlog(8))?;
    let transactions = pgbench.repeated(&stage.database.url, MOVE_500, MESSAGES / MOVED)?;
    stage.database.wait_for("SELECT count(*) FROM outbox_sent", MESSAGES.into())?;
    stage.database.run("TRUNCATE outbox, outbox_sent".to_owned())?;
    Ok(transactions * f64::from(MOVED))
}

/// Measures that messages are sent as fast as 32 clients cause them.
fn sustained(place: &Place<'_>) -> Result<Vec<Figure>> {
    const CLIENTS: usize = 32;
    const MADE: &str = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM outbox_sent)";
    const AGE: &str = "\
        SELECT CAST(coalesce(extract(epoch FROM clock_timestamp() - min(created_at)) * 1000, 0) AS double precision) FROM outbox";
    let setting = place.setting;
    let time = setting.load_time() * 2;
    let request = essays::batch(essays::CLASS, &["spellcheck", "nlp"]);
    let (mut sent, mut made, mut ages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        let mut stage = Stage::new(place)?;
        let _companions = stage.companions(&[])?;
        let replica = stage.replica()?;
        load::closed_loop(replica.address, CLIENTS, time, &request, 202)?;
        let age = stage.database.number(AGE)?;
        let per_second = |messages: i64| {
            #[expect(clippy::cast_precision_loss, reason = "a run sends fewer than 2^52 messages")]
            let messages = messages as f64;
            // The messages of the load's warm-up count too, which takes a fifth of the time in addition.
            messages / (time.as_secs_f64() * 1.2)
        };
        let all = stage.database.number(MADE)?;
        made.push(per_second(all));
        sent.push(per_second(stage.database.number("SELECT count(*) FROM outbox_sent")?));
        ages.push(age);
    }
    Ok(vec![
        Figure::new(ROW, "while 32 clients submit", "messages/s", sent)
            .beside("messages made meanwhile", made)
            .must(Target::TimesLimit(0.95)),
        Figure::new(ROW, "age of the oldest message when the load ends", "ms", ages),
    ])
}
