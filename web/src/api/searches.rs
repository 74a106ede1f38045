//! Searches that people keep under a name.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use driftlead_store::state::searches::{Kept, MAX_SEARCHES, SavedSearch};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use crate::auth::Asked;
use crate::error::Problem;
use crate::extract::{Body, Path};
use crate::state::WebState;

const MAX_NAME_CHARACTERS: usize = 200;
/// Longest address: one with a query of the greatest length.
const MAX_ADDRESS_BYTES: usize = 16 * 1024;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/searches", "Searches that people kept, by name.", list),
        Endpoint::post("/api/v1/searches", "Keep a search under a name: {name, address}.", keep).status(201),
        Endpoint::delete("/api/v1/searches/{id}", "Forget a search that was kept.", forget),
    ]
}

#[derive(Debug, Serialize)]
struct Searches {
    searches: Vec<SavedSearch>,
}

async fn list(State(app): State<Arc<WebState>>) -> Result<axum::Json<Searches>, Problem> {
    let searches = app.state.searches().await?;
    Ok(axum::Json(Searches { searches }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keep {
    name: String,
    address: String,
}

async fn keep(
    State(app): State<Arc<WebState>>,
    Asked(caller): Asked,
    Body(asked): Body<Keep>,
) -> Result<(StatusCode, axum::Json<SavedSearch>), Problem> {
    let name = asked.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARACTERS {
        return Err(Problem::unprocessable(format!(
            "A name has from 1 to {MAX_NAME_CHARACTERS} characters."
        )));
    }
    if asked.address.len() > MAX_ADDRESS_BYTES || asked.address.chars().any(char::is_control) {
        return Err(Problem::unprocessable(format!(
            "address has at most {MAX_ADDRESS_BYTES} bytes and no control characters."
        )));
    }
    match app.state.keep_search(name, &asked.address, caller.name(), app.clock.now()).await? {
        Kept::Yes(search) => Ok((StatusCode::CREATED, axum::Json(search))),
        Kept::NameTaken => Err(Problem::conflict(format!(
            "There is a search called {name:?} already: choose another name."
        ))),
        Kept::Full => Err(Problem::unprocessable(format!(
            "{MAX_SEARCHES} searches are kept, which is the most: forget some first."
        ))),
    }
}

async fn forget(State(app): State<Arc<WebState>>, Asked(caller): Asked, Path(id): Path<String>) -> Result<axum::Json<Value>, Problem> {
    match app.state.forget_search(&id, caller.name(), app.clock.now()).await? {
        true => Ok(axum::Json(json!({ "forgotten": id }))),
        false => Err(Problem::not_found(format!("There is no search {id}."))),
    }
}
