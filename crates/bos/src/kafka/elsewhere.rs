//! The end of librdkafka's clients.

use std::sync::Arc;
use std::thread;

/// Lets go of a client; the last to do so ends it, on a thread of its own, since that waits for librdkafka's threads, for as long
/// as they like (its #2145, #4884), and whoever calls this has a runtime's thread.
pub(super) fn let_go<C: Send + Sync + 'static>(client: Arc<C>) {
    if let Some(last) = Arc::into_inner(client) {
        // A machine that has no thread to give has it done here.
        let _ = thread::Builder::new().name("kafka client ends".to_owned()).spawn(move || drop(last));
    }
}
