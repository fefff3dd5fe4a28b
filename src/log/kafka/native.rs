//! What the safe client cannot do well, and the only `unsafe` of the shop.
//!
//! - Commit and abort: the safe client's calls flush in steps of 100 ms, and hang for ever after one failed delivery.
//!   librdkafka's calls flush by themselves and can be resumed, so they are made in slices, between which delivery reports are
//!   served.
//! - Reading in batches: 2.7 times as cheap as one message at a time, and the end of a partition comes with topic and offset,
//!   which shows how far the markers of transactions reach. Only for clients that never join a group: a member gets its
//!   partitions from rebalances and must poll the safe way.
//! - The id of a topic, which changes with a reset, and what we are permitted to do with it.
//! - A partition without a leader, which would end the process (docs/adr/0011).
#![expect(unsafe_code, reason = "librdkafka's own calls; each block says why it holds")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;
use tokio::time::Instant;

use super::permissions::Access;
use super::records::Seen;
use crate::domain::EpochMs;
use crate::log::{Offset, PartitionId};

/// One slice of a commit or abort.
const SLICE: Duration = Duration::from_millis(200);
/// How long delivery reports are served between slices.
const SERVE: Duration = Duration::from_millis(5);
/// Messages taken from the queue at once.
const BATCH: usize = 1_000;

/// Why a transactional call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text} ({code:?})")]
pub(super) struct Failure {
    pub code: RDKafkaErrorCode,
    pub is_retriable: bool,
    pub text: String,
}

/// Flushes and commits the open transaction. `Ok` means that it is decided; readers may see it a moment later.
pub(super) fn commit<C: ProducerContext>(producer: &BaseProducer<C>, patience: Duration) -> Result<(), Failure> {
    in_slices(producer, patience, |native, slice_ms| {
        // SAFETY: the pointer is the living producer's, and this thread alone calls it.
        unsafe { sys::rd_kafka_commit_transaction(native, slice_ms) }
    })
}

/// Aborts the open transaction.
pub(super) fn abort<C: ProducerContext>(producer: &BaseProducer<C>, patience: Duration) -> Result<(), Failure> {
    in_slices(producer, patience, |native, slice_ms| {
        // SAFETY: as in `commit`.
        unsafe { sys::rd_kafka_abort_transaction(native, slice_ms) }
    })
}

fn in_slices<C: ProducerContext>(
    producer: &BaseProducer<C>,
    patience: Duration,
    call: impl Fn(*mut sys::rd_kafka_t, i32) -> *mut sys::rd_kafka_error_t,
) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match failure(call(producer.client().native_ptr(), milliseconds(SLICE))) {
            Some(failure)
                if failure.is_retriable
                    && failure.code == RDKafkaErrorCode::OperationTimedOut
                    && started.elapsed() < patience =>
            {
                producer.poll(SERVE);
            }
            Some(failure) => return Err(failure),
            None => return Ok(()),
        }
    }
}

fn failure(error: *mut sys::rd_kafka_error_t) -> Option<Failure> {
    if error.is_null() {
        return None;
    }
    // SAFETY: librdkafka gave us this error; it is read, then destroyed once, here.
    let failure = unsafe {
        let failure = Failure {
            code: sys::rd_kafka_error_code(error).into(),
            is_retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            text: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
        };
        sys::rd_kafka_error_destroy(error);
        failure
    };
    Some(failure)
}

/// What a consumer's queue holds.
pub(super) enum Taken<'a> {
    Message(Seen<'a, HeaderIter<'a>>),
    /// The partition was read to its end, which lies here: beyond every record and marker.
    End {
        topic: &'a str,
        partition: PartitionId,
        offset: Offset,
    },
    Trouble {
        topic: &'a str,
        partition: PartitionId,
        offset: Offset,
        code: RDKafkaErrorCode,
        text: String,
    },
}

/// The queue of a consumer whose partitions were assigned by hand.
pub(super) struct Queue<'c, C: ConsumerContext> {
    queue: *mut sys::rd_kafka_queue_t,
    _consumer: &'c BaseConsumer<C>,
}

impl<'c, C: ConsumerContext> Queue<'c, C> {
    pub fn of(consumer: &'c BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the consumer is alive for as long as `Self`, which gives the queue's reference back.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        (!queue.is_null()).then_some(Self { queue, _consumer: consumer })
    }

    /// Waits for the first message, and takes what is there with it. Returns how many there were.
    pub fn take(&self, wait: Duration, mut visit: impl FnMut(Taken<'_>)) -> usize {
        // SAFETY: the queue is ours until drop.
        let first = unsafe { sys::rd_kafka_consume_queue(self.queue, milliseconds(wait)) };
        if first.is_null() {
            return 0;
        }
        let mut messages = [ptr::null_mut(); BATCH];
        messages[0] = first;
        // SAFETY: room for BATCH - 1 further pointers follows the first.
        let more = unsafe { sys::rd_kafka_consume_batch_queue(self.queue, 0, messages[1..].as_mut_ptr(), BATCH - 1) };
        let count = 1 + usize::try_from(more).unwrap_or(0);
        for message in &messages[..count] {
            // SAFETY: librdkafka handed this message to us; it lives until it is destroyed, once, after the visit.
            unsafe {
                visit(taken(*message));
                sys::rd_kafka_message_destroy(*message);
            }
        }
        count
    }
}

impl<C: ConsumerContext> Drop for Queue<'_, C> {
    fn drop(&mut self) {
        // SAFETY: the reference that `of` took.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// # Safety
/// `message` must be a living message of librdkafka; what is returned must not outlive it.
unsafe fn taken<'a>(message: *mut sys::rd_kafka_message_t) -> Taken<'a> {
    // SAFETY: the caller's promise.
    unsafe {
        let known = &*message;
        let (partition, offset) = (known.partition, known.offset);
        let topic = if known.rkt.is_null() { "" } else { text(sys::rd_kafka_topic_name(known.rkt)) };
        if known.err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return Taken::End { topic, partition, offset };
        }
        if known.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let text = text(sys::rd_kafka_message_errstr(message)).to_owned();
            return Taken::Trouble { topic, partition, offset, code: known.err.into(), text };
        }
        Taken::Message(Seen {
            topic,
            partition,
            offset,
            timestamp_ms: timestamp_of(message),
            key: part(known.key, known.key_len),
            value: part(known.payload, known.len),
            headers: HeaderIter::of(message),
        })
    }
}

/// # Safety
/// As [`taken`].
unsafe fn timestamp_of(message: *mut sys::rd_kafka_message_t) -> EpochMs {
    let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the caller's promise.
    unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) }
}

/// # Safety
/// `start` is null or begins `length` bytes that live for `'a`.
unsafe fn part<'a, T>(start: *const T, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// # Safety
/// `start` is null or a C string that lives for `'a`.
unsafe fn text<'a>(start: *const c_char) -> &'a str {
    if start.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start) }.to_str().unwrap_or_default()
}

/// The headers of a message, in order. A header whose name is not UTF-8 is left out; one without a value is empty.
pub(super) struct HeaderIter<'a> {
    headers: *mut sys::rd_kafka_headers_t,
    next: usize,
    _message: std::marker::PhantomData<&'a ()>,
}

impl HeaderIter<'_> {
    /// # Safety
    /// As [`taken`].
    unsafe fn of(message: *mut sys::rd_kafka_message_t) -> Self {
        let mut headers = ptr::null_mut();
        // SAFETY: the caller's promise. Without headers the pointer stays null.
        unsafe { sys::rd_kafka_message_headers(message, &raw mut headers) };
        Self { headers, next: 0, _message: std::marker::PhantomData }
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.headers.is_null() {
                return None;
            }
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the message lives for 'a, and its headers with it.
            let (error, name, value) = unsafe {
                let error = sys::rd_kafka_header_get_all(self.headers, self.next, &raw mut name, &raw mut value, &raw mut size);
                let name = if name.is_null() { None } else { CStr::from_ptr(name).to_str().ok() };
                (error, name, part(value, size).unwrap_or_default())
            };
            if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            self.next += 1;
            if let Some(name) = name {
                return Some((name, value));
            }
        }
    }
}

/// A topic as the brokers describe it to us.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub id: String,
    /// What we may do with it; empty from brokers that do not say.
    operations: Vec<sys::rd_kafka_AclOperation_t>,
}

impl Described {
    /// Whether this access is not known to be refused.
    pub fn may(&self, access: Access) -> bool {
        let operation = match access {
            Access::Read => sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            Access::Write => sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
        };
        self.operations.is_empty() || self.operations.contains(&operation)
    }
}

/// Describes topics, in the order asked; `None` for one that does not exist or is not shown to us.
pub(super) fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    names: &[String],
    timeout: Duration,
) -> Result<Vec<Option<Described>>, RDKafkaErrorCode> {
    let owned: Vec<CString> = names.iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
    let mut pointers: Vec<*const c_char> = owned.iter().map(|name| name.as_ptr()).collect();
    let native = client.native_ptr();
    // SAFETY: every object is made here, used on this thread only, and given back at the end; names outlive the request's making.
    unsafe {
        let collection = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = sys::rd_kafka_queue_new(native);
        let options = sys::rd_kafka_AdminOptions_new(native, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, milliseconds(timeout), ptr::null_mut(), 0);
        failure(sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1));
        sys::rd_kafka_DescribeTopics(native, collection, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, milliseconds(timeout + SLICE));
        let answer = if event.is_null() { Err(RDKafkaErrorCode::OperationTimedOut) } else { described_in(event, &owned) };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_TopicCollection_destroy(collection);
        answer
    }
}

/// # Safety
/// `event` must be the living answer to a DescribeTopics request.
unsafe fn described_in(event: *mut sys::rd_kafka_event_t, names: &[CString]) -> Result<Vec<Option<Described>>, RDKafkaErrorCode> {
    // SAFETY: the caller's promise; what the result points to lives as long as the event.
    unsafe {
        let error = sys::rd_kafka_event_error(event);
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(error.into());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let mut described = vec![None; names.len()];
        for index in 0..count {
            let topic = *topics.add(index);
            if !sys::rd_kafka_TopicDescription_error(topic).is_null()
                && sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic))
                    != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                continue;
            }
            let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic));
            let id = text(sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic)));
            if let Some(place) = names.iter().position(|known| known.as_c_str() == name) {
                let mut many = 0;
                let first = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut many);
                let operations = if first.is_null() { &[][..] } else { std::slice::from_raw_parts(first, many) };
                described[place] = Some(Described { id: id.to_owned(), operations: operations.to_vec() });
            }
        }
        Ok(described)
    }
}

/// librdkafka's `rd_kafka_Uuid_t`.
#[repr(C)]
struct Uuid {
    bits: [i64; 2],
    base64: [c_char; 23],
}

unsafe extern "C" {
    /// librdkafka's own function; the linker gives it this name (`build.rs`).
    fn __real_rd_kafkap_leader_discovery_set_topic(
        buffer: *mut c_void,
        metadata: *mut sys::rd_kafka_metadata_t,
        index: c_int,
        id: Uuid,
        name: *mut c_char,
        partitions: c_int,
    );
}

/// Makes room for the partitions of a topic whose leaders a broker reports. librdkafka calls this instead of its own function,
/// which leaves the entries uninitialised and later fills in only those that have a leader. Here every entry starts with a
/// partition number that no topic has, which librdkafka passes over.
///
/// # Safety
/// As librdkafka calls it: `metadata` has more than `index` topics.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafkap_leader_discovery_set_topic(
    buffer: *mut c_void,
    metadata: *mut sys::rd_kafka_metadata_t,
    index: c_int,
    id: Uuid,
    name: *mut c_char,
    partitions: c_int,
) {
    // SAFETY: the caller's promise; librdkafka's function has just made an array of this length.
    unsafe {
        __real_rd_kafkap_leader_discovery_set_topic(buffer, metadata, index, id, name, partitions);
        let topic = &*(*metadata).topics.add(usize::try_from(index).unwrap_or_default());
        for partition in 0..usize::try_from(topic.partition_cnt).unwrap_or_default() {
            (*topic.partitions.add(partition)).id = c_int::MAX;
        }
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn rd_kafkap_leader_discovery_set_topic();
    }

    #[test]
    fn librdkafka_calls_our_function_instead_of_its_own() {
        let called = rd_kafkap_leader_discovery_set_topic as *const ();
        assert_eq!(called, __wrap_rd_kafkap_leader_discovery_set_topic as *const ());
        assert_ne!(called, __real_rd_kafkap_leader_discovery_set_topic as *const ());
    }
}
