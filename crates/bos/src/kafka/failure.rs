//! What an error of Kafka means for the message that met it.

use engine::ports::SendError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::denial::Denial;

/// Sorts an error of the producer.
pub(super) fn of_send(error: &KafkaError) -> SendError {
    let Some(code) = error.rdkafka_error_code() else {
        return SendError::Unavailable { code: "broker_unreachable" };
    };
    if let Some(denial) = Denial::of(code) {
        return SendError::Unavailable { code: denial.code() };
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has over a hundred codes, with more to come"
    )]
    match code {
        // Never to be taken, whoever sends it and whenever.
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            SendError::Refused { code: "record_too_large" }
        }
        // We write none of these; what a broker can object to is its time, by more than an hour, and clocks are put right.
        Code::InvalidRecord
        | Code::InvalidMessage
        | Code::InvalidTimestamp
        | Code::UnsupportedForMessageFormat => SendError::Failed { code: "record_invalid" },
        // The cluster's or the network's state: nobody's attempt.
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
        // The producer is replaced; the message is as good as before.
        Code::Fatal
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId
        | Code::InvalidProducerEpoch
        | Code::ProducerFenced
        | Code::DuplicateSequenceNumber => SendError::Unavailable { code: "producer_replaced" },
        _ => SendError::Failed { code: "broker_error" },
    }
}

/// Whether the producer that said so will never send again, or not for long: after an epoch has run over (librdkafka's #3720)
/// each error brings it one step nearer to the one that the broker remembers, of thousands.
pub(super) fn is_fatal(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::Fatal | Code::InvalidProducerEpoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_one_record_is_held_against_it() {
        let of = |code| of_send(&KafkaError::MessageProduction(code));
        assert_eq!(of(Code::MessageSizeTooLarge), SendError::Refused { code: "record_too_large" });
        for away in
            [Code::MessageTimedOut, Code::NotEnoughReplicas, Code::TopicAuthorizationFailed, Code::Fatal]
        {
            assert!(matches!(of(away), SendError::Unavailable { .. }), "{away:?}");
        }
        // What a wrong clock looks like, and a record that came with one such.
        assert_eq!(of(Code::InvalidTimestamp), SendError::Failed { code: "record_invalid" });
        assert_eq!(of(Code::InvalidRecord), SendError::Failed { code: "record_invalid" });
        assert_eq!(of(Code::InvalidRequiredAcks), SendError::Failed { code: "broker_error" });
    }

    #[test]
    fn a_producer_is_given_up_only_when_librdkafka_gives_it_up() {
        assert!(is_fatal(&KafkaError::MessageProduction(Code::Fatal)));
        assert!(is_fatal(&KafkaError::MessageProduction(Code::InvalidProducerEpoch)));
        assert!(!is_fatal(&KafkaError::MessageProduction(Code::OutOfOrderSequenceNumber)));
    }
}
