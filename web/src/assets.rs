//! The pages, embedded in the binary. Files with a hash in their name are cached for ever, the page itself never.

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::error::Problem;

/// Everything that the pages load comes from here; nothing is written into them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Shown where the binary was built without the pages.
const NOT_BUILT: &str =
    "<!doctype html><meta charset=utf-8><title>Driftlead</title><p>This binary was built without the pages. Run <code>make</code>.</p>";

#[derive(RustEmbed)]
#[folder = "ui/dist"]
struct Dist;

/// Any path that is not the API's: a file of the pages, else the page, whose script knows the path.
pub async fn serve(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, "The pages are read with GET.").into_response();
    }
    let path = uri.path().trim_start_matches('/');
    let mut response = match Dist::get(path) {
        Some(file) if !path.is_empty() => {
            let kind = file.metadata.mimetype().to_owned();
            let cache = if path.starts_with("assets/") {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache.to_owned())];
            (headers, file.data.into_owned()).into_response()
        }
        // A missing file must not come back as the page: a script that is HTML is hard to understand.
        _ if path.rsplit('/').next().is_some_and(|name| name.contains('.')) && path.starts_with("assets/") => {
            return Problem::not_found("There is no such file; reload the page.").into_response();
        }
        _ => page(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn page() -> Response {
    let html = match Dist::get("index.html") {
        Some(file) => String::from_utf8_lossy(&file.data).into_owned(),
        None => NOT_BUILT.to_owned(),
    };
    ([(header::CACHE_CONTROL, "no-cache")], Html(html)).into_response()
}
