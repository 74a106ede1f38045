//! What an endpoint is: its route, who may use it, and what is said about it. The router and the description
//! that clients read are both made from one list of these.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use driftlead_store::state::keys::Scope;

use crate::auth::Access;
use crate::serve::Server;

/// Most bytes of a JSON body: names, reasons, announcements.
pub const MAX_JSON_BYTES: usize = 1024 * 1024;
/// Most bytes of an upload: the bound that telemetry has.
pub const MAX_UPLOAD_BYTES: usize = 64 * 1024 * 1024;

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// There is none.
    Nothing,
    /// A JSON object.
    Json,
    /// JSON, or these types beside it, up to [`MAX_UPLOAD_BYTES`].
    Upload(&'static [&'static str]),
}

/// What comes back when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
}

const JSON: Answers = Answers {
    status: 200,
    content_type: "application/json",
};

/// One endpoint.
pub(crate) struct Endpoint {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub summary: &'static str,
    /// Names and meanings of the query's parameters.
    pub query: &'static [(&'static str, &'static str)],
    pub accepts: Accepts,
    pub answers: Answers,
    pub handler: MethodRouter<Server>,
}

impl Endpoint {
    /// An endpoint that needs the scope `read` and answers JSON.
    pub fn get<H: Handler<T, Server>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Self::new(Method::GET, MethodFilter::GET, path, summary, Scope::Read, handler)
    }

    /// An endpoint that needs the scope `operate`, takes and answers JSON.
    pub fn post<H: Handler<T, Server>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Self::new(Method::POST, MethodFilter::POST, path, summary, Scope::Operate, handler).accepts(Accepts::Json)
    }

    /// Likewise, with PUT.
    pub fn put<H: Handler<T, Server>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, MethodFilter::PUT, path, summary, Scope::Operate, handler).accepts(Accepts::Json)
    }

    /// Likewise, with DELETE and without a body.
    pub fn delete<H: Handler<T, Server>, T: 'static>(path: &'static str, summary: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, MethodFilter::DELETE, path, summary, Scope::Operate, handler)
    }

    fn new<H: Handler<T, Server>, T: 'static>(
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        summary: &'static str,
        scope: Scope,
        handler: H,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Scope(scope),
            summary,
            query: &[],
            accepts: Accepts::Nothing,
            answers: JSON,
            handler: on(filter, handler),
        }
    }

    /// Who may use it.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// What its query may hold.
    pub fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    /// What its body may be.
    pub fn accepts(mut self, accepts: Accepts) -> Self {
        self.accepts = accepts;
        self
    }

    /// The status of a good answer.
    pub fn status(mut self, status: u16) -> Self {
        self.answers.status = status;
        self
    }

    /// The content type of a good answer.
    pub fn content_type(mut self, content_type: &'static str) -> Self {
        self.answers.content_type = content_type;
        self
    }

    /// Most bytes of its body.
    pub fn body_limit(&self) -> usize {
        match self.accepts {
            Accepts::Nothing | Accepts::Json => MAX_JSON_BYTES,
            Accepts::Upload(_) => MAX_UPLOAD_BYTES,
        }
    }
}
