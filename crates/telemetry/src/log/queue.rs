//! The lines that wait to be written. Logging never blocks: a reader that is too slow loses lines, and is told how many.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::limit::Limit;
use crate::metrics::LOG_LINES_DROPPED;

/// Bytes that may wait (chosen): some ten thousand lines.
const CAPACITY: usize = 4 << 20;

/// How often it is said what [`Limit`] left out.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// A queue of lines, and the thread that writes them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that found the queue full.
    dropped: u64,
    /// Whether the thread is writing lines that it has taken.
    is_writing: bool,
}

impl Queue {
    /// Starts the thread, which writes to `output` for as long as the process lives.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(
        self: &Arc<Self>,
        limit: Arc<Limit>,
        output: impl Write + Send + 'static,
    ) -> io::Result<()> {
        let queue = Arc::clone(self);
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.write(&limit, output))?;
        Ok(())
    }

    /// Adds a line, or counts it as dropped.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > CAPACITY {
            waiting.dropped += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        self.changed.notify_all();
    }

    /// Waits until every line is written, for at most `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        // A time-out means that the reader is too slow; the lines are lost with the process.
        let _ = self.changed.wait_timeout_while(self.lock(), patience, is_busy);
    }

    fn write(&self, limit: &Limit, mut output: impl Write) {
        let mut lines = Vec::new();
        loop {
            let is_idle = |waiting: &mut Waiting| waiting.lines.is_empty() && waiting.dropped == 0;
            let (mut waiting, _) = self
                .changed
                .wait_timeout_while(self.lock(), REPORT_PERIOD, is_idle)
                .unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut waiting.lines, &mut lines);
            let dropped = mem::take(&mut waiting.dropped);
            waiting.is_writing = true;
            drop(waiting);
            // An error means that the reader has gone; the next lines may find another (a FIFO).
            let _ = output.write_all(&lines).and_then(|()| output.flush());
            lines.clear();
            self.lock().is_writing = false;
            self.changed.notify_all();
            if dropped > 0 {
                metrics::counter!(LOG_LINES_DROPPED, "reason" => "queue_full").increment(dropped);
                tracing::warn!(lines = dropped, "dropped lines of the log: its reader is too slow");
            }
            limit.report();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the log's layer writes a line to.
#[derive(Debug, Clone)]
pub(super) struct Pen(pub(super) Arc<Queue>);

impl Write for Pen {
    /// Takes `line` as a whole: the layers of `tracing_subscriber` write each line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A writer that blocks until the test takes what it writes.
    struct Blocked(SyncSender<Vec<u8>>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn blocked() -> (Arc<Queue>, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(0);
        let queue = Arc::<Queue>::default();
        queue.start(Arc::default(), Blocked(sender)).unwrap();
        (queue, receiver)
    }

    #[test]
    fn a_line_that_finds_the_queue_full_is_counted_and_blocks_no_caller() {
        let (queue, reader) = blocked();
        queue.push(b"first\n");
        while !queue.lock().is_writing {
            thread::yield_now();
        }
        let line = vec![b'x'; CAPACITY / 4];
        for _ in 0..20 {
            queue.push(&line);
        }
        assert_eq!(queue.lock().dropped, 16);
        assert_eq!(reader.recv().unwrap(), b"first\n");
        assert_eq!(reader.recv().unwrap().len(), CAPACITY);
    }

    #[test]
    fn flushing_waits_for_the_reader_but_not_for_ever() {
        let (queue, reader) = blocked();
        queue.push(b"one\n");
        queue.flush(Duration::from_millis(1));
        let reading = thread::spawn(move || reader.recv().unwrap());
        queue.flush(Duration::from_mins(1));
        assert_eq!(reading.join().unwrap(), b"one\n");
        assert!(queue.lock().lines.is_empty());
    }
}
