//! Which pages may send telemetry from a browser.
//!
//! A page of any site can make a browser send requests to a collector that listens on the user's own
//! machine. Where keys are configured the key protects the collector and any origin may send; without keys
//! only loopback origins and those that are listed may.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue, ORIGIN, RETRY_AFTER, VARY,
};
use http::{HeaderMap, Uri};

/// What browsers may send when they do not ask for anything in particular.
const DEFAULT_HEADERS: HeaderValue = HeaderValue::from_static("content-type, content-encoding, authorization");
/// How long a browser may remember the answer, in seconds: a day.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("86400");

/// Whether an origin may send.
pub(crate) fn is_allowed(origin: &HeaderValue, listed: &[String], keys_required: bool) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    keys_required || listed.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) || is_loopback(origin)
}

/// The answer to a preflight of an origin that may send.
pub(crate) fn preflight_headers(request: &HeaderMap) -> HeaderMap {
    let mut headers = answer_headers(request);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(DEFAULT_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
    headers
}

/// What every answer to such an origin carries.
pub(crate) fn answer_headers(request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(origin) = request.get(ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from(RETRY_AFTER));
        headers.insert(VARY, HeaderValue::from(ORIGIN));
    }
    headers
}

fn is_loopback(origin: &str) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let host = origin.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_only_loopback_and_listed_origins_may_send() {
        let listed = ["https://shop.example".to_owned()];
        for (origin, without_keys) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]", true),
            ("https://shop.example", true),
            ("https://SHOP.example", true),
            ("https://shop.example.evil.test", false),
            ("http://localhost.evil.test", false),
            ("https://evil.test", false),
            ("null", false),
            ("", false),
        ] {
            let origin = HeaderValue::from_static(origin);
            assert_eq!(is_allowed(&origin, &listed, false), without_keys, "{origin:?}");
            assert!(is_allowed(&origin, &listed, true), "{origin:?}");
        }
        assert!(is_allowed(&HeaderValue::from_static("https://any.test"), &["*".to_owned()], false));
    }
}
