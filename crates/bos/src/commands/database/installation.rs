//! The configured database, for operators' commands that work on it directly: they must work when no server does.

use std::sync::Arc;

use engine::ports::{Clock, SystemClock};
use store::Store;

use service::Error;
use service::backends;
use service::config::Config;

/// Opens the database of this configuration. An embedded one must be there, and no server may have it open: one process has
/// it at a time.
pub(crate) async fn open(config: &Config) -> Result<Store, Error> {
    let file = config.data_dir.join("bos.db");
    if config.database_url.is_none() && !file.exists() {
        let problem = format!("there is no {}; name the folder with --data-dir", file.display());
        return Err(store::Error::Unfit { problem }.into());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    backends::store(config, &clock).await
}
