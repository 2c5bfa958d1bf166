//! The settings of the engine. The service fills them from its configuration.

use std::time::Duration;

/// The settings of the engine and its tasks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The settings of the rules: time-outs, grace, which phases are served.
    pub rules: domain::Settings,
    /// The language of a single essay whose request states none. Default: English.
    pub default_language: domain::Language,
    /// The course code sent for a batch that stated only the language `en`, because ELS requires one. Default: `ENG5`.
    pub default_course_en: String,
    /// The course code sent for a batch that stated only the language `sv`. Default: `SV1`.
    pub default_course_sv: String,
    /// Whether the class designation and the essay instructions are sent in commands. Default: no, because records on the bus
    /// cannot be erased.
    pub events_include_class_context: bool,
    /// The version of the command that starts the nlp phase, 1 or 2. Default: 2, which today's nlp service reads.
    pub nlp_command_version: u8,
    /// The period at which ingest and the relay read their tables without a signal. Default: 200 ms.
    pub relay_period: Duration,
    /// The period at which due timers are read. Default: 1 s.
    pub timer_period: Duration,
    /// Retries of a call to the Content Service before the batch needs attention; retries continue after that. Default: 5.
    pub retry_limit: u32,
    /// The bound of the first pause of the back-off of such retries, which doubles. Default: 1 s.
    pub retry_first: Duration,
    /// The bound of the longest pause of that back-off. Default: 1 min.
    pub retry_longest: Duration,
    /// Bytes of staged texts above which new essays are refused. Default: 2 GiB.
    pub staged_bytes_cap: u64,
    /// Outbox rows above which new essays are refused. Default: 1,000,000.
    pub outbox_rows_cap: u64,
    /// After a refusal, new essays are accepted again when the queues are down to this percentage of their caps. Default: 80.
    pub backlog_resume_percent: u16,
    /// The time in which the bus must acknowledge a message. A lease must outlast it, so that no message is sent after its shard
    /// went to another process. Default: 8 s.
    pub message_timeout: Duration,
    /// The duration of a lease on a shard. Default: 15 s.
    pub lease: Duration,
    /// The period at which leases are renewed. Default: 3 s.
    pub lease_renewal: Duration,
    /// How long ended batches are kept. Default: 90 days.
    pub keep_batches: Duration,
    /// How long sent messages and records of the embedded log are kept. Default: 7 days.
    pub keep_sent: Duration,
    /// How long the ids of consumed messages are kept in the inbox. Default: 14 days.
    pub keep_inbox: Duration,
    /// How long the answers under Idempotency-Keys are kept. Default: 1 day.
    pub keep_answers: Duration,
    /// The period at which rows past their retention are deleted. Default: 10 min.
    pub prune_period: Duration,
}

impl Settings {
    /// The default settings, with these rules.
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
