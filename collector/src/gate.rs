//! What happens to a request before its body is read, the same over HTTP and over gRPC: who sends, and from
//! where.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, ORIGIN};
use tracing::Span;

use crate::admit::{KeyChecker, KeyGrant, KeyRefusal};
use crate::cors;
use crate::receive::Receiver;
use crate::refusal::Refusal;
use crate::signal::Signal;

/// Header of requests that carry Driftlead's own telemetry: they are received as any other, without a span of their own.
pub const OWN_TELEMETRY: &str = "driftlead-own-telemetry";

/// The span of a request; none where the request carries our own spans, which would make another with each.
pub(crate) fn span_of(signal: Signal, transport: &'static str, headers: &HeaderMap) -> Span {
    if headers.contains_key(OWN_TELEMETRY) {
        return Span::none();
    }
    tracing::debug_span!(
        "otlp.receive",
        otel.kind = "server",
        otlp.signal = signal.name(),
        otlp.transport = transport,
        error.r#type = tracing::field::Empty
    )
}

/// What both listeners share.
pub(crate) struct Gate {
    pub(crate) receiver: Receiver,
    keys: Arc<dyn KeyChecker>,
    allowed_origins: Vec<String>,
}

impl Gate {
    pub(crate) fn new(receiver: Receiver, keys: Arc<dyn KeyChecker>, allowed_origins: Vec<String>) -> Self {
        Self {
            receiver,
            keys,
            allowed_origins,
        }
    }

    /// Lets a request in, or says why not.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<KeyGrant, Refusal> {
        if !self.origin_allowed(headers).await {
            return Err(Refusal::OriginRefused);
        }
        self.keys.check(bearer(headers)).await.map_err(|refusal| match refusal {
            KeyRefusal::Missing => Refusal::KeyMissing,
            KeyRefusal::Unknown => Refusal::KeyUnknown,
            KeyRefusal::Scope => Refusal::ScopeMissing,
            KeyRefusal::TooFast { wait } => Refusal::TooFast { wait },
            KeyRefusal::Unavailable => Refusal::KeysUnavailable,
        })
    }

    /// Whether the request comes from no page at all, or from one that may send.
    pub(crate) async fn origin_allowed(&self, headers: &HeaderMap) -> bool {
        match headers.get(ORIGIN) {
            None => true,
            Some(origin) => cors::is_allowed(origin, &self.allowed_origins, self.keys.keys_required().await),
        }
    }

    /// Counts a refusal and passes it on.
    pub(crate) fn refused(&self, refusal: Refusal) -> Refusal {
        self.receiver.status().refused_request(refusal.reason());
        Span::current().record("error.type", refusal.reason());
        refusal
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_read_from_the_authorization_header() {
        for (header, key) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("abc", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]);
            assert_eq!(bearer(&headers), key, "{header}");
        }
    }
}
