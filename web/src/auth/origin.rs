//! Where a request comes from: against names that rebind to loopback, and against pages of other sites.

use axum::http::{HeaderMap, Uri, header};

use super::Gate;
use crate::error::Problem;

/// Names of this machine.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The host of an absolute address, with its port.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// The host that the client asked for: HTTP/2 has it in the address, HTTP/1 in a header.
fn asked_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()))
}

/// Whether the client asked for this machine by a name of loopback.
pub(super) fn names_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let host = asked_host(uri, headers).unwrap_or_default();
    LOOPBACK_HOSTS.iter().any(|own| without_port(host).eq_ignore_ascii_case(own))
}

/// A loopback listener answers under the names of loopback and its public address only.
pub(super) fn check_host(gate: &Gate, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if !gate.is_loopback {
        return Ok(());
    }
    let host = asked_host(uri, headers).unwrap_or_default();
    let is_own = names_loopback(uri, headers);
    let is_public = gate.public_host.as_deref().is_some_and(|public| public.eq_ignore_ascii_case(host));
    if is_own || is_public {
        return Ok(());
    }
    Err(Problem::forbidden(
        "This address is not known: use localhost, or set public_url in the configuration.",
    ))
}

/// What a browser sends along has to name our own address. Programs send neither header and are let through:
/// they hold a key, or sit on this machine.
pub(super) fn check_origin(gate: &Gate, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || Problem::forbidden("A page of another site may not change anything here.");
    let Some(origin) = headers.get(header::ORIGIN) else {
        let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        return match site {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => Err(refused()),
        };
    };
    let origin = origin.to_str().ok().and_then(host_of).ok_or_else(refused)?;
    let own = asked_host(uri, headers);
    let is_own = [own, gate.public_host.as_deref()]
        .into_iter()
        .flatten()
        .any(|own| own.eq_ignore_ascii_case(origin));
    if is_own { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_and_without_ports() {
        for (url, host, name) in [
            ("http://localhost:8080/x", "localhost:8080", "localhost"),
            ("https://drift.example", "drift.example", "drift.example"),
            ("http://[::1]:8080?x", "[::1]:8080", "[::1]"),
            ("http://[::1]", "[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(url), Some(host));
            assert_eq!(without_port(host), name);
        }
        for wrong in ["null", "", "http://", "localhost"] {
            assert_eq!(host_of(wrong), None, "{wrong}");
        }
    }
}
