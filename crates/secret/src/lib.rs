//! Secrets that can be read again while the process runs.
//!
//! A password is rotated by writing the new one into its file. The holder of a [`Secret`] asks for its value each time that the
//! value is used, so the new value takes effect without a restart. A secret is read again when it was refused
//! ([`Secret::read_again_after_refusal`]), and when an operator asks for it ([`Secret::read_again`]).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};

/// The least time between two reads after refusals, so that a crowd of refusals does not read a file as often; chosen.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

type Read = Box<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// A secret. Clones share its value.
#[derive(Clone)]
pub struct Secret {
    shared: Arc<Shared>,
}

struct Shared {
    value: RwLock<SecretString>,
    version: AtomicU64,
    /// `None`: it was not read from a file and never changes.
    read: Option<Read>,
    read_at: Mutex<Option<Instant>>,
}

impl Secret {
    /// A secret that never changes.
    pub fn new(value: SecretString) -> Self {
        Self::make(value, None)
    }

    /// A secret that `read` reads again. Its errors are predicates without the value, such as "cannot be read".
    pub fn with_source(
        value: SecretString,
        read: impl Fn() -> Result<SecretString, String> + Send + Sync + 'static,
    ) -> Self {
        Self::make(value, Some(Box::new(read)))
    }

    fn make(value: SecretString, read: Option<Read>) -> Self {
        let (value, version, read_at) = (RwLock::new(value), AtomicU64::new(0), Mutex::default());
        Self { shared: Arc::new(Shared { value, version, read, read_at }) }
    }

    /// The present value.
    pub fn get(&self) -> SecretString {
        self.shared.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of changes so far. What was made with an earlier value has to be made again.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Reads the secret again. Returns whether it has changed; false if it has no source.
    ///
    /// # Errors
    /// The source cannot be read or holds no valid value; the secret keeps its value.
    pub fn read_again(&self) -> Result<bool, String> {
        let Some(read) = &self.shared.read else { return Ok(false) };
        let fresh = read()?;
        let mut value = self.shared.value.write().unwrap_or_else(PoisonError::into_inner);
        if value.expose_secret() == fresh.expose_secret() {
            return Ok(false);
        }
        *value = fresh;
        self.shared.version.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// Reads the secret again because `name` was refused, at most once in a second. Returns whether it has changed.
    pub fn read_again_after_refusal(&self, name: &str) -> bool {
        self.read_again_at(name, Instant::now())
    }

    fn read_again_at(&self, name: &str, now: Instant) -> bool {
        if self.shared.read.is_none() {
            return false;
        }
        {
            let mut read_at = self.shared.read_at.lock().unwrap_or_else(PoisonError::into_inner);
            if read_at.is_some_and(|at| now.saturating_duration_since(at) < LEAST_PAUSE) {
                return false;
            }
            *read_at = Some(now);
        }
        match self.read_again() {
            Ok(true) => {
                tracing::info!(
                    secret = name,
                    "a secret was refused; its file has a new value, which is used from now on"
                );
                true
            }
            Ok(false) => false,
            Err(problem) => {
                tracing::warn!(
                    secret = name,
                    problem,
                    "a secret was refused, and its file cannot be used; trying again"
                );
                false
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<redacted>)")
    }
}

impl From<SecretString> for Secret {
    fn from(value: SecretString) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(SecretString::from(value))
    }
}

impl From<&String> for Secret {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret, and the place from which it is read.
    fn placed(value: &str) -> (Secret, Arc<Mutex<Result<&'static str, String>>>) {
        let place = Arc::new(Mutex::new(Ok("old")));
        let source = Arc::clone(&place);
        let read = move || source.lock().unwrap().clone().map(SecretString::from);
        (Secret::with_source(SecretString::from(value), read), place)
    }

    #[test]
    fn a_secret_that_is_read_again_changes_for_all_who_hold_it() {
        let (secret, place) = placed("old");
        let other = secret.clone();
        assert_eq!((secret.read_again(), secret.version()), (Ok(false), 0));
        *place.lock().unwrap() = Ok("new");
        assert_eq!((secret.read_again(), other.version()), (Ok(true), 1));
        assert_eq!(other.get().expose_secret(), "new");
    }

    #[test]
    fn a_source_that_cannot_be_read_changes_nothing() {
        let (secret, place) = placed("old");
        *place.lock().unwrap() = Err("cannot be read".to_owned());
        assert_eq!(secret.read_again(), Err("cannot be read".to_owned()));
        assert_eq!((secret.get().expose_secret(), secret.version()), ("old", 0));
    }

    #[test]
    fn a_crowd_of_refusals_reads_the_source_once_a_second() {
        let (secret, place) = placed("old");
        let start = Instant::now();
        assert!(!secret.read_again_at("password", start));
        *place.lock().unwrap() = Ok("new");
        assert!(!secret.read_again_at("password", start + LEAST_PAUSE / 2));
        assert!(secret.read_again_at("password", start + LEAST_PAUSE));
    }

    #[test]
    fn a_secret_without_a_source_never_changes_and_debug_output_does_not_show_it() {
        let secret = Secret::from("hunter2");
        assert_eq!(secret.read_again(), Ok(false));
        assert!(!secret.read_again_after_refusal("password"));
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
