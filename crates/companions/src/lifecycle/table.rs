//! The lifecycle service's tables: `els_batches`, `els_essays`, `els_phases`.

use std::str::FromStr;

use contract::PhaseName;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::batch::{Batch, Changes, Essay, Registration};

/// Reads a batch with its essays and commands; an unknown batch is empty.
pub(super) fn load(conn: &Connection, id: Uuid) -> rusqlite::Result<Batch> {
    let mut batch = Batch::new(id);
    batch.registration = conn
        .prepare_cached(
            "SELECT event_id, correlation_id, expected, course_code, user_id, complete FROM els_batches \
             WHERE batch_id = ?1",
        )?
        .query_row([id.as_bytes()], registration)
        .optional()?;
    batch.essays = conn
        .prepare_cached(
            "SELECT essay_id, position, text_storage_id, status, moved_by FROM els_essays WHERE batch_id = ?1",
        )?
        .query_map([id.as_bytes()], essay)?
        .collect::<rusqlite::Result<_>>()?;
    batch.commands = conn
        .prepare_cached("SELECT phase, correlation_id FROM els_phases WHERE batch_id = ?1")?
        .query_map([id.as_bytes()], |row| Ok((parse_column(row, 0)?, uuid(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(batch)
}

fn registration(row: &Row<'_>) -> rusqlite::Result<Registration> {
    Ok(Registration {
        event_id: uuid(row, 0)?,
        correlation_id: uuid(row, 1)?,
        expected: row.get(2)?,
        course_code: parse_column(row, 3)?,
        user_id: row.get(4)?,
        complete: row.get(5)?,
    })
}

fn essay(row: &Row<'_>) -> rusqlite::Result<(Uuid, Essay)> {
    let status: Option<String> = row.get(3)?;
    let essay = Essay {
        position: row.get(1)?,
        text_storage_id: row.get(2)?,
        status: status.map(|_| parse_column(row, 3)).transpose()?,
        moved_by: row.get::<_, Option<[u8; 16]>>(4)?.map(Uuid::from_bytes),
    };
    Ok((uuid(row, 0)?, essay))
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

fn parse_column<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get::<_, String>(column)?
        .parse()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// The changed rows of one batch.
#[derive(Debug)]
pub(super) struct Rows {
    batch_id: Uuid,
    registration: Option<Registration>,
    essays: Vec<(Uuid, Essay)>,
    commands: Vec<(PhaseName, Uuid, Uuid)>,
}

impl Rows {
    /// Takes the changes since the last call; `None` when there are none.
    pub(super) fn changed(batch: &mut Batch) -> Option<Self> {
        let Changes { registration, essays, commands } = std::mem::take(&mut batch.changes);
        if !registration && essays.is_empty() && commands.is_empty() {
            return None;
        }
        let essays = essays.into_iter().filter_map(|id| Some((id, batch.essays.get(&id)?.clone())));
        Some(Self {
            batch_id: batch.id,
            registration: batch.registration.clone().filter(|_| registration),
            essays: essays.collect(),
            commands,
        })
    }

    /// Writes them.
    pub(super) fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        let batch_id = self.batch_id.as_bytes();
        if let Some(batch) = &self.registration {
            conn.prepare_cached(
                "INSERT INTO els_batches (batch_id, event_id, correlation_id, expected, course_code, user_id, complete) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET complete = excluded.complete",
            )?
            .execute(params![
                batch_id,
                batch.event_id.as_bytes(),
                batch.correlation_id.as_bytes(),
                batch.expected,
                batch.course_code.as_str(),
                batch.user_id,
                batch.complete,
            ])?;
        }
        let mut save_essay = conn.prepare_cached(
            "INSERT INTO els_essays (batch_id, essay_id, position, text_storage_id, status, moved_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET position = excluded.position, \
             text_storage_id = excluded.text_storage_id, status = excluded.status, moved_by = excluded.moved_by",
        )?;
        for (essay_id, essay) in &self.essays {
            let status = essay.status.map(contract::EssayStatus::as_str);
            save_essay.execute(params![
                batch_id,
                essay_id.as_bytes(),
                essay.position,
                essay.text_storage_id,
                status,
                essay.moved_by.as_ref().map(Uuid::as_bytes),
            ])?;
        }
        let mut save_command = conn.prepare_cached(
            "INSERT INTO els_phases (batch_id, phase, correlation_id, event_id) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO NOTHING",
        )?;
        for (phase, correlation_id, event_id) in &self.commands {
            save_command.execute(params![
                batch_id,
                phase.as_str(),
                correlation_id.as_bytes(),
                event_id.as_bytes()
            ])?;
        }
        Ok(())
    }
}

/// The number of essays of a batch in each status; empty for an unknown batch.
pub(super) fn count_statuses(conn: &Connection, id: Uuid) -> rusqlite::Result<Vec<(String, u32)>> {
    conn.prepare_cached(
        "SELECT COALESCE(status, 'content_ingesting'), count(*) FROM els_essays WHERE batch_id = ?1 AND position IS NOT NULL GROUP BY 1",
    )?
    .query_map([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}
