//! Classifies a producer's errors by what they mean for the message.

use engine::ports::SendError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::denial::Denial;

/// Classifies an error of the producer.
pub(crate) fn classify(error: &KafkaError) -> SendError {
    let Some(code) = error.rdkafka_error_code() else {
        return SendError::Unavailable { code: "broker_unreachable" };
    };
    if let Some(denial) = Denial::from_code(code) {
        return SendError::Unavailable { code: denial.code() };
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has over a hundred codes, with more to come"
    )]
    match code {
        // Permanent: another attempt fails in the same way.
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            SendError::Refused { code: "record_too_large" }
        }
        // We write no invalid records; what a broker can object to is a timestamp more than an hour off, and clocks get corrected.
        Code::InvalidRecord
        | Code::InvalidMessage
        | Code::InvalidTimestamp
        | Code::UnsupportedForMessageFormat => SendError::Failed { code: "record_invalid" },
        // Transient: the state of the cluster or the network; not counted as an attempt.
        Code::MessageTimedOut | Code::RequestTimedOut | Code::OperationTimedOut => {
            SendError::Unavailable { code: "broker_timeout" }
        }
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::NetworkException
        | Code::NodeUpdate
        | Code::PurgeQueue
        | Code::PurgeInflight
        | Code::Retry => SendError::Unavailable { code: "broker_unreachable" },
        Code::QueueFull => SendError::Unavailable { code: "queue_full" },
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            SendError::Unavailable { code: "topic_unknown" }
        }
        Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::BrokerNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::KafkaStorageError
        | Code::PolicyViolation => SendError::Unavailable { code: "broker_not_ready" },
        // The producer is replaced; the message is not at fault.
        Code::Fatal
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId
        | Code::InvalidProducerEpoch
        | Code::ProducerFenced
        | Code::DuplicateSequenceNumber => SendError::Unavailable { code: "producer_replaced" },
        _ => SendError::Failed { code: "broker_error" },
    }
}

/// Whether the producer must be replaced: after a fatal error it never sends again; after its epoch has wrapped (librdkafka
/// #3720) each error advances the epoch by one of thousands before the broker accepts it again.
pub(crate) fn is_fatal(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::Fatal | Code::InvalidProducerEpoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_about_one_record_counts_against_that_record() {
        let of = |code| classify(&KafkaError::MessageProduction(code));
        assert_eq!(of(Code::MessageSizeTooLarge), SendError::Refused { code: "record_too_large" });
        for away in
            [Code::MessageTimedOut, Code::NotEnoughReplicas, Code::TopicAuthorizationFailed, Code::Fatal]
        {
            assert!(matches!(of(away), SendError::Unavailable { .. }), "{away:?}");
        }
        // A wrong clock, and a record in the same batch as one with a wrong timestamp.
        assert_eq!(of(Code::InvalidTimestamp), SendError::Failed { code: "record_invalid" });
        assert_eq!(of(Code::InvalidRecord), SendError::Failed { code: "record_invalid" });
        assert_eq!(of(Code::InvalidRequiredAcks), SendError::Failed { code: "broker_error" });
    }

    #[test]
    fn only_an_error_that_ends_a_producer_has_it_replaced() {
        assert!(is_fatal(&KafkaError::MessageProduction(Code::Fatal)));
        assert!(is_fatal(&KafkaError::MessageProduction(Code::InvalidProducerEpoch)));
        assert!(!is_fatal(&KafkaError::MessageProduction(Code::OutOfOrderSequenceNumber)));
    }
}
