//! Lists that come page by page, from a server or from the database.

use client::documents::Page;
use client::{Client, Failure, read};
use serde::de::DeserializeOwned;

/// Rows in a page: the most that the API gives.
const PAGE: usize = 500;

/// Reads page after page, until there are `limit` rows or no more. `read` gets the number of rows of a page and the cursor of the
/// previous one. It returns the page and what else the list says; that of the last page is returned.
///
/// # Errors
/// Those of `read`.
pub(crate) async fn collect<T, R>(
    limit: usize,
    mut read: impl AsyncFnMut(u32, Option<String>) -> anyhow::Result<(Page<T>, R)>,
) -> anyhow::Result<(Vec<T>, R)> {
    let mut rows: Vec<T> = Vec::new();
    let mut cursor = None;
    loop {
        let wanted = limit.saturating_sub(rows.len()).min(PAGE);
        let (page, rest) = read(u32::try_from(wanted)?, cursor).await?;
        rows.extend(page.data);
        cursor = page.next_cursor;
        if cursor.is_none() || rows.len() >= limit {
            return Ok((rows, rest));
        }
    }
}

/// Gets a page of a list of the API.
///
/// # Errors
/// When the request fails, or the answer cannot be read.
pub(crate) async fn get<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    filter: &[(&str, &str)],
    rows: u32,
    cursor: Option<&str>,
) -> Result<T, Failure> {
    let rows = rows.to_string();
    let mut query = filter.to_vec();
    query.push(("limit", &rows));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    read(client.get(path, &query).await?)
}

#[cfg(test)]
mod tests {
    use client::documents::Page;

    use super::collect;

    /// A list of this many rows, whose cursor is the number of rows before a page. Returns what was read, and the sizes asked for.
    async fn read(available: usize, limit: usize) -> (usize, Vec<u32>) {
        let mut asked = Vec::new();
        let read = collect(limit, async |rows, cursor: Option<String>| {
            asked.push(rows);
            let before = cursor.map_or(0, |cursor| cursor.parse().unwrap());
            let end = available.min(before + usize::try_from(rows).unwrap());
            let next_cursor = (end < available).then(|| end.to_string());
            Ok((Page { data: (before..end).collect(), has_more: next_cursor.is_some(), next_cursor }, ()))
        });
        let rows: Vec<usize> = read.await.unwrap().0;
        assert_eq!(rows, (0..rows.len()).collect::<Vec<_>>(), "in order, and each once");
        (rows.len(), asked)
    }

    #[tokio::test]
    async fn pages_are_read_until_there_are_enough_rows_or_no_more() {
        assert_eq!(read(0, 50).await, (0, vec![50]));
        assert_eq!(read(700, 50).await, (50, vec![50]));
        assert_eq!(read(700, 600).await, (600, vec![500, 100]));
        assert_eq!(read(700, 5_000).await, (700, vec![500, 500]));
        assert_eq!(read(1_000, usize::MAX).await, (1_000, vec![500, 500]));
    }
}
