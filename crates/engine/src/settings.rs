//! What the engine may be told; every number's home is the configuration.

use std::time::Duration;

/// The settings of the engine and its tasks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The rules' own settings: time-outs, grace, which phases are served.
    pub rules: domain::Settings,
    /// The language of a single essay that states none.
    pub default_language: domain::Language,
    /// The course that a batch which only stated `en` goes out under: ELS requires one.
    pub default_course_en: String,
    /// The same for `sv`.
    pub default_course_sv: String,
    /// Whether class designation and instructions may go on the bus, which cannot forget.
    pub events_include_class_context: bool,
    /// Which topic starts the nlp phase: 2 is the one that has a reader today.
    pub nlp_command_version: u8,
    /// How often the tasks look at their tables without being woken.
    pub relay_period: Duration,
    /// The same for timers.
    pub timer_period: Duration,
    /// How often a failing call is repeated before somebody should look; it is repeated on all the same.
    pub retry_limit: u32,
    /// First and longest pause between tries of a failing call.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_longest: Duration,
    /// Bytes of staged texts at which new essays are refused.
    pub staged_bytes_cap: u64,
    /// Outbox rows at which new essays are refused.
    pub outbox_rows_cap: u64,
    /// Once refused, new essays are taken again when the queues are down to this percentage of their caps.
    pub backlog_resume_percent: u16,
    /// How long the bus may take to acknowledge a message. A lease must outlast it: nothing that a process has handed to the
    /// bus may be sent after its shard went to another.
    pub message_timeout: Duration,
    /// How long a lease on a shard holds.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub lease_renewal: Duration,
    /// How long ended batches are kept.
    pub keep_batches: Duration,
    /// How long sent events are kept.
    pub keep_sent: Duration,
    /// How long the ids of applied events are kept.
    pub keep_inbox: Duration,
    /// How long answers to idempotency keys are kept.
    pub keep_answers: Duration,
    /// How often the pruner looks.
    pub prune_period: Duration,
}

impl Settings {
    /// The defaults of the one table of numbers, with these rules.
    pub fn with_rules(rules: domain::Settings) -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            rules,
            default_language: domain::Language::En,
            default_course_en: "ENG5".to_owned(),
            default_course_sv: "SV1".to_owned(),
            events_include_class_context: false,
            nlp_command_version: 2,
            relay_period: Duration::from_millis(200),
            timer_period: Duration::from_secs(1),
            retry_limit: 5,
            retry_first: Duration::from_secs(1),
            retry_longest: Duration::from_mins(1),
            staged_bytes_cap: 2 << 30,
            outbox_rows_cap: 1_000_000,
            backlog_resume_percent: 80,
            message_timeout: Duration::from_secs(8),
            lease: Duration::from_secs(15),
            lease_renewal: Duration::from_secs(3),
            keep_batches: 90 * DAY,
            keep_sent: 7 * DAY,
            keep_inbox: 14 * DAY,
            keep_answers: DAY,
            prune_period: Duration::from_mins(10),
        }
    }
}
