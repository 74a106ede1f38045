//! A request of ClickHouse's HTTP interface, read and taken apart.
//!
//! The query is in the URL, in the body, or both; a form (`multipart/form-data`) may carry `query` and
//! `param_…` instead. Whatever else the URL names is a setting.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart};
use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, request};
use base64::Engine as _;

use super::compression::{Encoding, decode_content, decode_native};
use super::exception::{Exception, code};
use super::statement::Statement;

/// A body may have this many bytes, before and after decompression: four times the largest batch that
/// the drain makes, so that a batch always fits and one request cannot take the machine's memory.
pub const MAX_BODY_BYTES: usize = 256 << 20;

/// Names in the URL that are not settings and that the front acts on or may ignore: progress headers and
/// buffering do not exist here, because a failed answer is always cut off visibly.
const IGNORED: [&str; 6] = [
    "wait_end_of_query",
    "buffer_size",
    "quota_key",
    "stacktrace",
    "close_session",
    "session_timeout",
];
/// Names in the URL that promise something that the engine does not have.
const REFUSED: [&str; 3] = ["session_id", "role", "client_protocol_version"];

/// What a request asks for.
#[derive(Debug)]
pub struct Request {
    /// The statement, cut for the engine.
    pub statement: Statement,
    /// `database`, when the request names one.
    pub database: Option<String>,
    /// `default_format`, or ClickHouse's own default.
    pub default_format: String,
    /// Settings by name; the last one of a name counts.
    pub settings: Vec<(String, String)>,
    /// Bound parameters by name.
    pub parameters: Vec<(String, String)>,
    /// How the answer is compressed.
    pub encoding: Encoding,
    /// The caller's name for the query, given back.
    pub query_id: Option<String>,
}

/// What the URL and the form say, before the statement is known.
#[derive(Default)]
struct Fields {
    query: String,
    database: Option<String>,
    default_format: Option<String>,
    settings: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
    compress: bool,
    decompress: bool,
    query_id: Option<String>,
}

impl Fields {
    fn take(&mut self, name: &str, value: String) -> Result<(), Exception> {
        if let Some(parameter) = name.strip_prefix("param_") {
            self.parameters.push((parameter.to_owned(), value));
            return Ok(());
        }
        match name {
            "query" => self.query.push_str(&value),
            "database" => self.database = Some(value).filter(|database| !database.is_empty()),
            "default_format" => self.default_format = Some(value),
            "compress" => self.compress = is_true(&value),
            "decompress" => self.decompress = is_true(&value),
            "query_id" => self.query_id = Some(value),
            "user" | "password" => {}
            name if IGNORED.contains(&name) => {}
            name if REFUSED.contains(&name) => {
                if value != "0" && !value.is_empty() {
                    return Err(Exception::new(
                        code::NOT_IMPLEMENTED,
                        "NOT_IMPLEMENTED",
                        format_args!("The embedded engine has no {name}"),
                    ));
                }
            }
            name => {
                if !is_setting_name(name) {
                    return Err(Exception::new(115, "UNKNOWN_SETTING", format_args!("Unknown setting {name:?}")));
                }
                self.settings.retain(|(known, _)| known != name);
                self.settings.push((name.to_owned(), value));
            }
        }
        Ok(())
    }
}

/// Names of settings go into a SET statement as they are, so they are words and nothing else.
fn is_setting_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true")
}

/// Who asks, from the headers or the URL.
#[derive(Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The password, when there is one.
    pub password: Option<String>,
}

impl Credentials {
    /// `X-ClickHouse-Key`, else basic authentication, else `password` of the URL.
    pub fn of(parts: &request::Parts) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let basic = || {
            let encoded = header(AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
            let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
            let text = String::from_utf8(decoded).ok()?;
            text.split_once(':').map(|(_, password)| password.to_owned())
        };
        let in_url = || url_fields(parts).find(|(name, _)| name == "password").map(|(_, value)| value);
        Self {
            password: header("X-ClickHouse-Key").map(str::to_owned).or_else(basic).or_else(in_url),
        }
    }
}

fn url_fields(parts: &request::Parts) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned()
}

impl Request {
    /// Reads the whole request.
    ///
    /// # Errors
    /// In ClickHouse's terms: a body that is too large or broken, an unknown form field, a feature that
    /// the engine does not have.
    pub async fn read(parts: request::Parts, body: Body) -> Result<Self, Exception> {
        let mut fields = Fields::default();
        for (name, value) in url_fields(&parts) {
            fields.take(&name, value)?;
        }
        let body = read_body(body).await?;
        let body = decode(&parts.headers, fields.decompress, body)?;
        let body = if is_form(&parts.headers) {
            read_form(&parts.headers, body, &mut fields).await?;
            Bytes::new()
        } else {
            body
        };
        let asked_read_only = fields.settings.iter().any(|(name, _)| name == "readonly");
        if parts.method == Method::GET && !asked_read_only {
            // As in ClickHouse: a GET must not change anything.
            fields.settings.push(("readonly".to_owned(), "2".to_owned()));
        }
        Ok(Self {
            statement: Statement::new(&fields.query, body),
            encoding: encoding(&parts.headers, &fields),
            database: fields.database,
            default_format: fields.default_format.unwrap_or_else(|| "TabSeparated".to_owned()),
            settings: fields.settings,
            parameters: fields.parameters,
            query_id: fields.query_id,
        })
    }
}

fn encoding(headers: &HeaderMap, fields: &Fields) -> Encoding {
    let switched_off = fields
        .settings
        .iter()
        .any(|(name, value)| name == "enable_http_compression" && !is_true(value));
    if fields.compress {
        Encoding::Native
    } else if switched_off {
        Encoding::Identity
    } else {
        Encoding::accepted(
            headers
                .get(ACCEPT_ENCODING)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default(),
        )
    }
}

async fn read_body(body: Body) -> Result<Bytes, Exception> {
    axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        if std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            Exception::new(
                code::QUERY_IS_TOO_LARGE,
                "QUERY_IS_TOO_LARGE",
                format_args!("The body is larger than {MAX_BODY_BYTES} bytes"),
            )
        } else {
            Exception::new(code::BAD_ARGUMENTS, "BAD_ARGUMENTS", format_args!("The body ended early: {error}"))
        }
    })
}

fn decode(headers: &HeaderMap, native: bool, body: Bytes) -> Result<Bytes, Exception> {
    let content_encoding = headers
        .get(CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let body = match content_encoding {
        "" | "identity" => body,
        encoding => decode_content(encoding, &body, MAX_BODY_BYTES)?.into(),
    };
    if native {
        Ok(decode_native(&body, MAX_BODY_BYTES)?.into())
    } else {
        Ok(body)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("multipart/form-data"))
}

async fn read_form(headers: &HeaderMap, body: Bytes, fields: &mut Fields) -> Result<(), Exception> {
    let broken = |error: &dyn std::fmt::Display| {
        Exception::new(
            code::BAD_ARGUMENTS,
            "BAD_ARGUMENTS",
            format_args!("The form cannot be read: {error}"),
        )
    };
    let mut request = axum::http::Request::new(Body::from(body));
    request
        .headers_mut()
        .extend(headers.get(CONTENT_TYPE).map(|value| (CONTENT_TYPE, value.clone())));
    request.extensions_mut().insert(axum::extract::DefaultBodyLimit::disable());
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error))?;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() || !(name == "query" || name.starts_with("param_")) {
            return Err(Exception::new(
                code::NOT_IMPLEMENTED,
                "NOT_IMPLEMENTED",
                format_args!("The embedded engine takes no form field {name:?}: only query and param_…"),
            ));
        }
        let value = field.text().await.map_err(|error| broken(&error))?;
        fields.take(&name, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Request, Exception> {
        let mut request = axum::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = request.body(Body::from(body.to_vec())).unwrap().into_parts();
        Request::read(parts, body).await
    }

    #[tokio::test]
    async fn the_url_names_settings_parameters_and_the_rest() {
        let uri =
            "/?query=SELECT+1&database=d&default_format=JSON&max_threads=1&max_threads=2&param_x=a%20b&query_id=q&wait_end_of_query=1";
        let request = read("GET", uri, &[("accept-encoding", "gzip")], b"").await.unwrap();
        assert_eq!(request.database.as_deref(), Some("d"));
        assert_eq!(request.default_format, "JSON");
        assert_eq!(
            request.settings,
            [("max_threads".into(), "2".into()), ("readonly".into(), "2".into())]
        );
        assert_eq!(request.parameters, [("x".into(), "a b".into())]);
        assert_eq!(request.encoding, Encoding::Gzip);
        assert_eq!(request.query_id.as_deref(), Some("q"));
    }

    #[tokio::test]
    async fn a_form_carries_the_query_and_its_parameters() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {x: String}\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"param_x\"\r\n\r\nline\r\nbreak\r\n--b--\r\n";
        let headers = [("content-type", "multipart/form-data; boundary=b")];
        let request = read("POST", "/", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(request.parameters, [("x".into(), "line\r\nbreak".into())]);
        assert!(matches!(request.statement, Statement::Other { text, .. } if text == "SELECT {x: String}"));
        let other = body.replace("param_x", "table");
        assert_eq!(
            read("POST", "/", &headers, other.as_bytes()).await.unwrap_err().code,
            code::NOT_IMPLEMENTED
        );
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_refused() {
        let check = async |uri: &str, expected| assert_eq!(read("POST", uri, &[], b"").await.unwrap_err().code, expected, "{uri}");
        check("/?session_id=s", code::NOT_IMPLEMENTED).await;
        check("/?role=admin", code::NOT_IMPLEMENTED).await;
        check("/?max%20threads=1", 115).await;
        assert!(read("POST", "/?client_protocol_version=0", &[], b"").await.is_ok());
    }

    #[test]
    fn the_password_is_found_where_clients_put_it() {
        let check = |uri: &str, header: Option<(&str, &str)>, expected: Option<&str>| {
            let mut request = axum::http::Request::builder().uri(uri);
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(Credentials::of(&parts).password.as_deref(), expected);
        };
        check("/", None, None);
        check("/", Some(("X-ClickHouse-Key", "k")), Some("k"));
        check("/", Some(("Authorization", "Basic dTpwOnc=")), Some("p:w"));
        check("/?password=w", None, Some("w"));
    }
}
