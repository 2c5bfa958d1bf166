//! Dropping librdkafka's clients.

use std::sync::Arc;
use std::thread;

/// Drops a handle of a client. The last handle closes the client on a thread of its own, because closing waits without a limit
/// for librdkafka's threads (its #2145, #4884) and callers run on a thread of the async runtime.
pub(crate) fn drop_in_background<C: Send + Sync + 'static>(client: Arc<C>) {
    if let Some(last) = Arc::into_inner(client) {
        // Without a thread, the closure is dropped here, and the client with it.
        let _ = thread::Builder::new().name("kafka client ends".to_owned()).spawn(move || drop(last));
    }
}
