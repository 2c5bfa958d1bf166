//! A connection whose client must read its answers at a minimum pace.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytesize::ByteSize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How slowly a client may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time that a client may be behind in all.
    pub(crate) patience: Duration,
    /// The bytes per second that win time back.
    pub(crate) min_rate: ByteSize,
}

/// Smallest and largest send buffer. A buffer of 128 KiB carries 2 to 5 MB/s at a round trip of 50 ms.
const SEND_BYTES: (u64, u64) = (16 << 10, 128 << 10);

impl Pace {
    /// The size of the send buffer, which the system doubles for its own use.
    ///
    /// The system reports a full buffer as writable again after a third of it was taken. A client at the minimum rate must take
    /// that within its patience, and by default a buffer grows to 4 MB. A fixed buffer also limits what unread answers cost.
    pub(crate) fn send_buffer(self) -> usize {
        let (least, most) = SEND_BYTES;
        let taken = self.patience.as_secs().saturating_mul(self.min_rate.as_u64());
        usize::try_from(taken.clamp(least, most)).unwrap_or(usize::MAX)
    }

    /// The time that bytes win back.
    fn earned(self, bytes: usize) -> Duration {
        let rate = self.min_rate.as_u64().max(1);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Passes reads and writes on, and ends a connection whose client reads too slowly with an error (`TimedOut`).
///
/// Time in which a write waits for the client makes the client late; each byte that it takes wins time back at the minimum rate.
/// A client that is late by more than its patience loses the connection. The lateness is kept from one answer to the next, so
/// that a client cannot hold a connection by taking a few bytes of each of many answers. It never becomes negative, so that fast
/// reading earns no longer pause later.
#[derive(Debug)]
pub(crate) struct Paced<T> {
    io: T,
    pace: Pace,
    /// How late the client was when the last write ended.
    late: Duration,
    /// Since when a write waits, and the end of the client's patience.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    gave_up: bool,
}

impl<T> Paced<T> {
    pub(crate) fn new(io: T, pace: Pace) -> Self {
        Self { io, pace, late: Duration::ZERO, waiting: None, gave_up: false }
    }

    /// Whether the client read too slowly.
    pub(crate) fn gave_up(&self) -> bool {
        self.gave_up
    }

    pub(crate) fn into_inner(self) -> T {
        self.io
    }

    /// Counts the bytes of a write, or the time for which it waits.
    fn account(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.late = self.late.saturating_add(since.elapsed());
                }
                self.late = self.late.saturating_sub(self.pace.earned(bytes));
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let left = self.pace.patience.saturating_sub(self.late);
                let (_, end) = self.waiting.get_or_insert_with(|| {
                    let now = Instant::now();
                    (now, Box::pin(sleep_until(now + left)))
                });
                ready!(end.as_mut().poll(context));
                self.gave_up = true;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.account(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.account(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use bytesize::ByteSize;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{Instant, advance};

    use super::{Pace, Paced};

    const PACE: Pace = Pace { patience: Duration::from_secs(30), min_rate: ByteSize::b(100) };

    /// A connection that holds 1,000 bytes before its client reads them.
    fn connection() -> (Paced<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(1_000);
        (Paced::new(server, PACE), client)
    }

    /// Reads `bytes` each `period` for as long as the connection lives.
    async fn read_slowly(mut client: DuplexStream, bytes: usize, period: Duration) {
        let mut some = vec![0; bytes];
        loop {
            advance(period).await;
            if client.read_exact(&mut some).await.is_err() {
                return;
            }
        }
    }

    #[test]
    fn a_client_at_the_minimum_rate_empties_a_third_of_the_send_buffer_within_its_patience() {
        for (seconds, rate) in [(30, ByteSize::kib(4)), (10, ByteSize::kib(4)), (30, ByteSize::kib(1))] {
            let pace = Pace { patience: Duration::from_secs(seconds), min_rate: rate };
            let third = u64::try_from(2 * pace.send_buffer() / 3).unwrap();
            assert!(third <= seconds * rate.as_u64(), "{third} bytes in {seconds} s");
        }
        assert_eq!(PACE.send_buffer(), 16 << 10, "not less than one read of a client");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up_after_its_patience() {
        let (mut server, _client) = connection();
        let began = Instant::now();
        let error = server.write_all(&[0; 1_001]).await.expect_err("one byte waits");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::TimedOut, 30));
        assert!(server.gave_up());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_keeps_the_pace_gets_an_answer_of_any_length() {
        let (mut server, client) = connection();
        let answer = async {
            server.write_all(&vec![0; 50_000]).await.expect("200 bytes in 2 s are the minimum");
            drop(server);
        };
        tokio::join!(answer, read_slowly(client, 200, Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_below_the_pace_is_given_up_although_it_never_pauses_for_long() {
        let (mut server, client) = connection();
        let answer = async {
            let error = server.write_all(&vec![0; 50_000]).await.expect_err("10 bytes a second are too few");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            drop(server);
        };
        tokio::join!(answer, read_slowly(client, 10, Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn many_short_answers_do_not_renew_the_patience() {
        let (mut server, mut client) = connection();
        server.write_all(&[0; 1_000]).await.expect("it fits");
        let began = Instant::now();
        let answers = async {
            loop {
                if let Err(error) = server.write_all(&[0; 10]).await {
                    drop(server);
                    return error.kind();
                }
                server.flush().await.expect("the answer was taken");
            }
        };
        let reads = async {
            let mut some = [0; 10];
            loop {
                tokio::time::sleep(Duration::from_secs(9)).await;
                if client.read_exact(&mut some).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            kind = answers => assert_eq!(kind, ErrorKind::TimedOut),
            () = reads => panic!("the connection is given up before the client has read everything"),
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn fast_reading_earns_no_longer_pause() {
        let (mut server, mut client) = connection();
        let all = vec![0; 100_000];
        let read = async {
            client.read_exact(&mut vec![0; 100_000]).await.expect("it is read at once");
        };
        let (written, ()) = tokio::join!(server.write_all(&all), read);
        written.expect("the client reads");
        let began = Instant::now();
        let error = server.write_all(&[0; 1_001]).await.expect_err("one byte waits");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::TimedOut, 30));
    }
}
