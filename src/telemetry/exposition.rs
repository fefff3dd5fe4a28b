//! From OpenMetrics to Prometheus' text format 0.0.4, which curl, older scrapers and people read.
//!
//! They differ in the name of a counter's family, in what only OpenMetrics has (units, exemplars, the end's mark), and in little
//! else: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

/// Rewrites an exposition that `prometheus_client` made.
#[must_use]
pub fn as_text(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    // The help comes first and does not say yet whether its family is a counter.
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take() {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with("# ") {
            text.extend([without_exemplar(line), "\n"]);
        }
    }
    text
}

/// A sample as it stands before its exemplar; the same characters within a label's value stay.
pub(super) fn without_exemplar(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let begins = |byte: u8| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = quoted && !was_escaped,
            b'"' if !was_escaped => quoted = !quoted,
            b'#' => return !quoted,
            _ => {}
        }
        false
    };
    line.bytes().position(begins).map_or(line, |at| line[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_same_in_the_other_format() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_sum{r=\"x # {\\\"y\"} 1.5\na_seconds_bucket{le=\"1.0\",r=\"x # {\"} 2 # {trace_id=\"ab\"} 0.5 1.0\n\
                    # HELP b Things.\n# TYPE b counter\nb_total 3\n# HELP v Version.\n# TYPE v info\nv_info{n=\"1\"} 1\n# EOF\n";
        let text = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n\
                    a_seconds_sum{r=\"x # {\\\"y\"} 1.5\na_seconds_bucket{le=\"1.0\",r=\"x # {\"} 2\n\
                    # HELP b_total Things.\n# TYPE b_total counter\nb_total 3\n# HELP v_info Version.\n# TYPE v_info gauge\nv_info{n=\"1\"} 1\n";
        assert_eq!(as_text(open), text);
    }
}
