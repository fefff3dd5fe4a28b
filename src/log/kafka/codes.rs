//! What librdkafka's error codes mean for the log. There are about 200; the ones here need more than another try.

use rdkafka::types::RDKafkaErrorCode;

use crate::log::LogError;

/// Whether the brokers refuse a writer or member because the group or another producer has gone on without it.
pub(super) fn is_too_late(code: RDKafkaErrorCode) -> bool {
    is_fenced_producer(code)
        || matches!(
            code,
            RDKafkaErrorCode::IllegalGeneration | RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::FencedInstanceId
        )
}

/// Whether a newer producer has the same transactional id, or the broker aborted a transaction that was open for too long.
pub(super) fn is_fenced_producer(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

/// Whether reading the same record again fails again.
pub(super) fn is_unreadable(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotImplemented
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::UnsupportedCompressionType
    )
}

/// Whether a password or a certificate is wrong.
pub(super) fn is_credentials(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
    )
}

/// What an operator should check.
#[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; most need no advice beyond their text")]
pub(super) fn advice(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism => {
            Some("check KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME, …__SASL_PASSWORD and …__SASL_MECHANISM")
        }
        RDKafkaErrorCode::SSL => Some("check KARTSHOPPE__KAFKA__PROPERTIES__SECURITY_PROTOCOL and …__SSL_CA_LOCATION"),
        RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve => {
            Some("check that the broker is up, KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS and …__PROPERTIES__SECURITY_PROTOCOL")
        }
        _ => None,
    }
}

/// The refusal that a code stands for; `None` for codes that are worth a retry.
#[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; the rest is worth a retry")]
pub(super) fn refused(code: RDKafkaErrorCode, what: &str) -> Option<LogError> {
    let advice = match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => "grant READ, WRITE, DESCRIBE and DESCRIBE_CONFIGS on its topics",
        RDKafkaErrorCode::GroupAuthorizationFailed => "grant READ and DESCRIBE on the group",
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => "grant WRITE and DESCRIBE on its transactional ids",
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "grant CREATE and IDEMPOTENT_WRITE on the cluster, or create the topics yourself"
        }
        RDKafkaErrorCode::MessageSizeTooLarge => {
            "raise KARTSHOPPE__KAFKA__PROPERTIES__MESSAGE_MAX_BYTES if the record is larger than that (8388608 unless set), else \
             max.message.bytes of the topic"
        }
        RDKafkaErrorCode::InvalidRecord => "compare the topic's settings with the contract (`kartshoppe topics list`)",
        _ => return None,
    };
    Some(LogError::Refused(format!("{what}: Kafka refused it ({code}): {advice}")))
}
