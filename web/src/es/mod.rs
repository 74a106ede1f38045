//! `/es`: the part of Elasticsearch's API that its clients need to read errors: stock clients, Grafana's data source, and
//! tools like Kibana.
//!
//! The flow: a body's query becomes the same [`Expression`](driftlead_store::index::query::Expression) that the search box
//! makes (`query`), its aggregations become tantivy's, which have Elasticsearch's form (`aggregations`), both are looked up
//! in one pass, and the answer is put into Elasticsearch's words (`document`, `search`). What is not supported is refused
//! with what is missing; nothing is guessed. Nothing can be written.

mod aggregations;
mod document;
mod error;
mod indexes;
mod intervals;
mod names;
mod pages;
mod query;
mod request;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use driftlead_store::index::{Day, place_of};
use driftlead_store::state::keys::Scope;
use serde_json::{Value, json};

use self::error::EsError;
use self::request::{EsRequest, MAX_BODY_BYTES, object};
use self::search::{Parameters, Search, Where};
use crate::auth::{self, Access};
use crate::error::Problem;
use crate::serve::{Server, traced};
use crate::state::WebState;

/// What every path begins with.
pub(crate) const PREFIX: &str = "/es";

const PRODUCT: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-elastic-product"),
    HeaderValue::from_static("Elasticsearch"),
);
/// The type of JSON that clients from version 8 on ask for, and want back.
const VERSIONED_JSON: &str = "application/vnd.elasticsearch+json";
/// Most searches of one `_msearch`.
const MAX_SEARCHES: usize = 64;

type App = State<Arc<WebState>>;
type Answer = Result<axum::Json<Value>, EsError>;

/// The routes. Who asks is found out by the layers around them.
pub(crate) fn router() -> Router<Server> {
    let routes: [(&[&'static str], MethodRouter<Server>); 13] = [
        (&["/es", "/es/"], get(information)),
        (&["/es/_cluster/health", "/es/_cluster/health/{index}"], get(health)),
        (&["/es/_cat/indices", "/es/_cat/indices/{index}"], get(cat)),
        (&["/es/_search", "/es/{index}/_search"], get(find).post(find)),
        (&["/es/_msearch", "/es/{index}/_msearch"], get(find_many).post(find_many)),
        (&["/es/_count", "/es/{index}/_count"], get(count).post(count)),
        (&["/es/_field_caps", "/es/{index}/_field_caps"], get(field_caps).post(field_caps)),
        (
            &["/es/_mapping", "/es/_mappings", "/es/{index}/_mapping", "/es/{index}/_mappings"],
            get(mappings),
        ),
        (&["/es/{index}/_pit"], post(open_point)),
        (&["/es/_pit"], delete(close_point)),
        (
            &["/es/_search/scroll", "/es/_search/scroll/{scroll_id}"],
            get(scroll).post(scroll).delete(close_scroll),
        ),
        (&["/es/{index}/_doc/{id}"], get(show)),
        (&["/es/{index}"], get(describe)),
    ];
    let mut router = Router::new();
    for (paths, handler) in routes {
        for path in paths {
            router = router.route(path, guarded(path, handler.clone()));
        }
    }
    router.method_not_allowed_fallback(no_handler)
}

fn guarded(path: &'static str, handler: MethodRouter<Server>) -> MethodRouter<Server> {
    handler
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(|request: Request, next: Next| {
            auth::require(Access::Scope(Scope::Read), request, next)
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| traced(path, request, next)))
}

/// Answers what there is no route for.
pub(crate) async fn no_handler(request: Request) -> Response {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let mut response = EsError::no_handler(request.method().as_str(), path).into_response();
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

/// Puts every answer into the form that clients read: the product's header, the type of JSON that was asked for, and
/// refusals of the layers below in Elasticsearch's shape.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let versioned = accepted.and_then(|accepted| accepted.split(',').map(str::trim).find(|one| one.starts_with(VERSIONED_JSON)));
    let versioned = versioned.and_then(|accepted| HeaderValue::from_str(accepted).ok());
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions().get::<Problem>() {
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).cloned();
        response = EsError::from(problem).into_response();
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    let headers = response.headers_mut();
    headers.insert(PRODUCT.0, PRODUCT.1);
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if let Some(versioned) = versioned.filter(|_| is_json) {
        headers.insert(header::CONTENT_TYPE, versioned);
    }
    response
}

impl EsRequest {
    fn place(&self) -> Where {
        Where {
            index: self.index().to_owned(),
            ignore_unavailable: self.flag("ignore_unavailable"),
        }
    }
}

async fn information() -> axum::Json<Value> {
    axum::Json(indexes::information())
}

async fn health() -> axum::Json<Value> {
    axum::Json(indexes::health())
}

async fn cat(State(app): App, headers: HeaderMap, request: EsRequest) -> Result<Response, EsError> {
    indexes::cat(&app, &request, &headers).await
}

async fn field_caps(State(app): App, request: EsRequest) -> Answer {
    indexes::field_caps(&app, &request).await.map(axum::Json)
}

async fn mappings(State(app): App, request: EsRequest) -> Answer {
    indexes::mappings(&app, &request).await.map(axum::Json)
}

async fn describe(State(app): App, request: EsRequest) -> Answer {
    indexes::describe(&app, &request).await.map(axum::Json)
}

async fn find(State(app): App, request: EsRequest) -> Result<Response, EsError> {
    let (at, body) = (request.place(), request.body()?);
    let search = Search::read(&app, &request.caller, &at, &body, &request)?;
    let warning = warning(&search.ignored);
    let answer = match request.parameter("scroll") {
        Some(keep_alive) => pages::begin(&app, &at, pages::whole(body, &request), search, keep_alive).await?,
        None => search.run(&app).await?.0,
    };
    let mut response = axum::Json(answer).into_response();
    if let Some(warning) = warning {
        response.headers_mut().insert(header::WARNING, warning);
    }
    Ok(response)
}

/// Says what of a body was left out.
fn warning(ignored: &[String]) -> Option<HeaderValue> {
    // A header takes visible ASCII; nobody's keys are more.
    let is_plain = |name: &&String| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    let names: Vec<&str> = ignored.iter().filter(is_plain).take(10).map(String::as_str).collect();
    let text = format!(
        "299 Elasticsearch-{} \"ignored unknown keys of the search: {}\"",
        indexes::VERSION,
        names.join(", ")
    );
    (!ignored.is_empty()).then(|| HeaderValue::from_str(&text).ok())?
}

async fn find_many(State(app): App, request: EsRequest) -> Answer {
    let mut lines = request
        .bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    let mut responses = Vec::new();
    while let Some(header) = lines.next() {
        if responses.len() == MAX_SEARCHES {
            return Err(EsError::illegal(format!("at most {MAX_SEARCHES} searches come in one request")));
        }
        let body = lines
            .next()
            .ok_or_else(|| EsError::parsing("every line that says where to search needs one that says what"))?;
        responses.push(match one_of_many(&app, &request, header, body).await {
            Ok(mut answer) => {
                answer["status"] = json!(StatusCode::OK.as_u16());
                answer
            }
            Err(error) => error.body(),
        });
    }
    if responses.is_empty() {
        return Err(EsError::illegal("there is no search in the body"));
    }
    Ok(axum::Json(json!({"took": took(&responses), "responses": responses})))
}

fn took(responses: &[Value]) -> u64 {
    responses.iter().filter_map(|response| response["took"].as_u64()).sum()
}

/// What of an address holds for each of its searches.
struct OfEach<'a>(&'a EsRequest);

impl Parameters for OfEach<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        let holds = matches!(name, "rest_total_hits_as_int" | "typed_keys");
        self.0.parameter(name).filter(|_| holds)
    }
}

async fn one_of_many(app: &WebState, request: &EsRequest, header: &[u8], body: &[u8]) -> Result<Value, EsError> {
    let header = object(header)?;
    let index = match header.get("index").or_else(|| header.get("indices")) {
        None | Some(Value::Null) => request.index().to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(_) => return Err(EsError::parsing("[index] takes a name or a list of names")),
    };
    let at = Where {
        index,
        ignore_unavailable: header.get("ignore_unavailable") == Some(&Value::Bool(true)) || request.flag("ignore_unavailable"),
    };
    let search = Search::read(app, &request.caller, &at, &object(body)?, &OfEach(request))?;
    Ok(search.run(app).await?.0)
}

async fn count(State(app): App, request: EsRequest) -> Answer {
    let (at, body) = (request.place(), request.body()?);
    search::count(&app, &request.caller, &at, &body, &request).await.map(axum::Json)
}

async fn open_point(State(app): App, request: EsRequest) -> Answer {
    pages::open_point(&app, &request.place(), request.parameter("keep_alive"))
        .await
        .map(axum::Json)
}

async fn close_point(State(app): App, request: EsRequest) -> Result<Response, EsError> {
    Ok(freed(pages::close_point(&app, &request.body()?)?))
}

async fn scroll(State(app): App, request: EsRequest) -> Answer {
    let id = scroll_id(&request)?;
    let id = id.as_str().ok_or_else(|| EsError::parsing("[scroll_id] is needed"))?;
    pages::next(&app, &request.caller, id).await.map(axum::Json)
}

async fn close_scroll(State(app): App, request: EsRequest) -> Result<Response, EsError> {
    Ok(freed(pages::close(&app, &scroll_id(&request)?)?))
}

fn scroll_id(request: &EsRequest) -> Result<Value, EsError> {
    let named = Some(request.in_path("scroll_id")).filter(|id| !id.is_empty());
    Ok(match named.or_else(|| request.parameter("scroll_id")) {
        Some(id) => json!(id),
        None => request.body()?.get("scroll_id").cloned().unwrap_or_default(),
    })
}

fn freed(count: usize) -> Response {
    let status = if count > 0 { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, axum::Json(json!({"succeeded": true, "num_freed": count}))).into_response()
}

async fn show(State(app): App, request: EsRequest) -> Result<Response, EsError> {
    let id = request.in_path("id");
    let found = match place_of(id) {
        Ok(_) => app.index.error(id, request.caller.environments()).await?,
        Err(_) => None,
    };
    let Some(hit) = found else {
        let body = json!({"_index": request.index(), "_id": id, "found": false});
        return Ok((StatusCode::NOT_FOUND, axum::Json(body)).into_response());
    };
    let index = names::index_name(Day::of(hit.error.time));
    let body = json!({"_index": index, "_id": hit.id, "_version": 1, "found": true, "_source": document::source(&hit)});
    Ok(axum::Json(body).into_response())
}
