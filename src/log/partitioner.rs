//! Which partition a key belongs to: the choice of Kafka's Java client, so that Java producers and tools land where we do.
//!
//! Source: Apache Kafka, `org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner.partitionForKey`.

use super::PartitionId;

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition of a key among `partitions` (at least 1).
#[must_use]
pub fn partition_of(key: &[u8], partitions: PartitionId) -> PartitionId {
    let positive = murmur2(key) & 0x7fff_ffff;
    #[expect(clippy::cast_possible_wrap, reason = "the sign bit was just cleared")]
    let positive = positive as i32;
    positive % partitions.max(1)
}

/// The 32-bit murmur2 hash, with the seed of the Java client.
fn murmur2(data: &[u8]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the algorithm takes the length modulo 2^32")]
    let mut hash = SEED ^ (data.len() as u32);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        k = (k ^ (k >> SHIFT)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ k;
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Apache Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_as_the_java_client_does() {
        let cases: [(&str, i32); 5] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in cases {
            #[expect(clippy::cast_possible_wrap, reason = "Java's int is the same bits")]
            let ours = murmur2(key.as_bytes()) as i32;
            assert_eq!(ours, hash, "{key}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        for number in 0..1000 {
            let partition = partition_of(format!("PROD_{number:04}").as_bytes(), 4);
            assert!((0..4).contains(&partition));
        }
    }
}
