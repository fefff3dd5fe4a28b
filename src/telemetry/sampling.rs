//! What is traced, decided where a trace enters the shop; everything below follows the flag.
//!
//! Orders are few and each of them matters; reads and the stream of product updates are many and alike.

use super::context::TraceContext;

/// Where a trace begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Few, and each may matter: a cart, a checkout, an order.
    Few,
    /// One of very many: a read of the catalogue, a product update.
    Stream,
    /// Probes of health.
    Never,
}

/// What decides about traces that begin here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampler {
    /// The few always, the stream by this ratio.
    ByRoot {
        stream: f64,
    },
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
}

/// How this process samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    pub sampler: Sampler,
    /// A client's flag decides (`telemetry.trust_client_sampling`), where the sampler asks parents at all.
    pub trusts_clients: bool,
    /// Contexts of clients are read (`OTEL_PROPAGATORS`).
    pub joins_traces: bool,
}

impl Sampling {
    /// Whether a trace that begins here is recorded; a client's by its id, so that all parts of it decide alike.
    #[must_use]
    pub fn wants(&self, root: Root, client: Option<&TraceContext>) -> bool {
        let by_ratio = |ratio: f64| match client {
            Some(client) => is_below(ratio, u64::from_be_bytes(low_half(&client.trace_id))),
            None => ratio > 0.0 && is_below(ratio, rand::random()),
        };
        match (root, self.sampler) {
            (Root::Never, _) | (_, Sampler::AlwaysOff) => false,
            (_, Sampler::AlwaysOn) | (Root::Few, Sampler::ByRoot { .. }) => true,
            (_, Sampler::Ratio(ratio)) | (Root::Stream, Sampler::ByRoot { stream: ratio }) => by_ratio(ratio),
        }
    }

    /// Whether a client's trace that it samples is recorded here, too.
    #[must_use]
    pub fn keeps(&self, root: Root, client: &TraceContext) -> bool {
        self.trusts_clients || self.wants(root, Some(client))
    }
}

fn low_half(trace_id: &[u8; 16]) -> [u8; 8] {
    let mut half = [0; 8];
    half.copy_from_slice(&trace_id[8..]);
    half
}

/// As the SDKs compare: by 63 bits.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a ratio of 63 bits")]
fn is_below(ratio: f64, id: u64) -> bool {
    ratio >= 1.0 || (id >> 1) < (ratio.max(0.0) * (1_u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: u8) -> TraceContext {
        TraceContext { trace_id: [id; 16], span_id: [1; 8], flags: 1, state: None, is_remote: true }
    }

    #[test]
    fn roots_decide_and_a_clients_flag_only_where_it_is_trusted() {
        let of = |sampler, trusts_clients| Sampling { sampler, trusts_clients, joins_traces: true };
        let none = of(Sampler::ByRoot { stream: 0.0 }, false);
        assert!(none.wants(Root::Few, None) && !none.wants(Root::Stream, None) && !none.wants(Root::Never, None));
        assert!(!none.keeps(Root::Stream, &client(0)), "its flag does not count");
        assert!(of(Sampler::Ratio(0.0), true).keeps(Root::Stream, &client(0)));
        assert!(!of(Sampler::AlwaysOff, false).keeps(Root::Few, &client(0)));
        let half = of(Sampler::Ratio(0.5), false);
        assert!(half.keeps(Root::Stream, &client(0x7f)) && !half.keeps(Root::Stream, &client(0x80)));
        assert!(of(Sampler::Ratio(1.0), false).wants(Root::Stream, Some(&client(0xff))));
        assert!(of(Sampler::AlwaysOn, false).wants(Root::Stream, None));
    }
}
