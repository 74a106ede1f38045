//! How Elasticsearch's clients send a key: as a bearer's token, as an API key, or as a password.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use driftlead_store::state::keys::SECRET_PREFIX;

use crate::error::Problem;

/// The key of a request; `None` without one.
pub(super) fn secret(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let (scheme, credentials) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    let credentials = credentials.trim();
    let found = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(credentials.to_owned()),
        "apikey" if credentials.starts_with(SECRET_PREFIX) => Some(credentials.to_owned()),
        "apikey" | "basic" => after_colon(credentials),
        _ => None,
    };
    found.map(Some).ok_or_else(|| {
        Problem::unauthorized("Send the key as Authorization: Bearer dl_…, as ApiKey dl_…, or as the password of basic authentication.")
    })
}

fn after_colon(encoded: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    decoded.split_once(':').map(|(_, secret)| secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        secret(&headers).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_key_is_taken_in_each_way_that_clients_have() {
        let key = Ok(Some("dl_abc".to_owned()));
        assert_eq!(secret(&HeaderMap::new()).unwrap(), None);
        assert_eq!(of("Bearer dl_abc"), key);
        assert_eq!(of("ApiKey dl_abc"), key);
        assert_eq!(of(&format!("ApiKey {}", STANDARD.encode("id:dl_abc"))), key);
        assert_eq!(of(&format!("Basic {}", STANDARD.encode("grafana:dl_abc"))), key);
        for wrong in ["Digest x", "Basic ????", "Basic ZGxfYWJj", "dl_abc"] {
            assert_eq!(of(wrong), Err(401), "{wrong}");
        }
    }
}
