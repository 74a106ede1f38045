//! Which ids of traces and spans are valid. The receiver answers with these rules and the decoder leaves
//! out records by the same ones, so what a client was told is what happened.

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// Stands for an id that could not be read at all: no id has this length.
pub(crate) const INVALID_ID: [u8; 1] = [0xFF];

/// A log record's ids may be absent (empty or all zeros) but not of another length.
pub(crate) fn log_ids_valid(trace_id: &[u8], span_id: &[u8]) -> bool {
    matches!(trace_id.len(), 0 | TRACE_ID_BYTES) && matches!(span_id.len(), 0 | SPAN_ID_BYTES)
}

/// A span has a trace id and a span id that are not all zeros; its parent may be absent.
pub(crate) fn span_ids_valid(trace_id: &[u8], span_id: &[u8], parent_span_id: &[u8]) -> bool {
    let present = |id: &[u8], length: usize| id.len() == length && !is_zero(id);
    present(trace_id, TRACE_ID_BYTES) && present(span_id, SPAN_ID_BYTES) && matches!(parent_span_id.len(), 0 | SPAN_ID_BYTES)
}

/// An id of a trace in lower-case hex; empty when it is absent or of another length.
pub(crate) fn trace_id_text(id: &[u8]) -> String {
    text(id, TRACE_ID_BYTES)
}

/// An id of a span in lower-case hex; empty when it is absent or of another length.
pub(crate) fn span_id_text(id: &[u8]) -> String {
    text(id, SPAN_ID_BYTES)
}

fn text(id: &[u8], length: usize) -> String {
    if id.len() == length && !is_zero(id) {
        hex::encode(id)
    } else {
        String::new()
    }
}

fn is_zero(id: &[u8]) -> bool {
    id.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_may_lack_ids_and_spans_may_not() {
        let (trace, span) = ([1; 16], [2; 8]);
        for (trace_id, span_id, as_log, as_span) in [
            (&trace[..], &span[..], true, true),
            (&[], &[], true, false),
            (&[0; 16], &[0; 8], true, false),
            (&trace[..15], &span[..], false, false),
            (&trace[..], &span[..7], false, false),
            (&[], &span[..], true, false),
        ] {
            assert_eq!(log_ids_valid(trace_id, span_id), as_log, "{trace_id:?} {span_id:?}");
            assert_eq!(span_ids_valid(trace_id, span_id, &[]), as_span, "{trace_id:?} {span_id:?}");
        }
        assert!(span_ids_valid(&trace, &span, &[0; 8]));
        assert!(!span_ids_valid(&trace, &span, &[3; 4]));
    }

    #[test]
    fn absent_ids_are_empty_text() {
        assert_eq!(trace_id_text(&[0xAB; 16]), "ab".repeat(16));
        assert_eq!(trace_id_text(&[0; 16]), "");
        assert_eq!(span_id_text(&[1; 4]), "");
    }
}
