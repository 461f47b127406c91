//! Limits, as operators see them: how each is, how one caller stands, and that it begins anew.

use super::{Admitted, json_of};
use crate::policy::rate_limit::{Limit, NoLook, Report};
use crate::value::nobody;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::json;
use std::sync::Arc;
use std::time::SystemTime;

/// The limits.
pub async fn all(State(admitted): State<Arc<Admitted>>) -> Response {
    let limits = admitted.snapshot.limits();
    let limits: Vec<Report> = limits.iter().map(|limit| Report::of(limit)).collect();
    json_of(&json!({ "limits": limits }))
}

/// How a caller stands: `?key=…`, and `&tier=…` where the limit has tiers.
pub async fn standing(
    State(admitted): State<Arc<Admitted>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Asked { limit, key, tier } = match Asked::read(&admitted, &id, query.as_deref()) {
        Ok(asked) => asked,
        Err(told) => return told.into_response(),
    };
    match limit.look(&key, tier.as_deref(), SystemTime::now()).await {
        Ok(caller) => json_of(&json!(caller)),
        Err(why @ NoLook::Tier(_)) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// Lets a caller begin anew.
pub async fn reset(
    State(admitted): State<Arc<Admitted>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = match Asked::read(&admitted, &id, query.as_deref()) {
        Ok(asked) => asked,
        Err(told) => return told.into_response(),
    };
    match asked.limit.forget(&asked.key).await {
        Ok(()) => {
            tracing::info!(limit = id, "a caller begins anew, as an operator has asked");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// What is wrong with a question.
type Told = (StatusCode, String);

/// Whom an operator asks about.
struct Asked {
    limit: Arc<Limit>,
    key: Vec<u8>,
    tier: Option<String>,
}

impl Asked {
    fn read(admitted: &Admitted, id: &str, query: Option<&str>) -> Result<Self, Told> {
        let limits = admitted.snapshot.limits();
        // The name alone is enough where only one limit has it.
        let mut known = limits.iter().filter(|limit| *limit.id == *id || *limit.name == *id);
        let limit = match (known.next(), known.next()) {
            (Some(only), None) => Arc::clone(only),
            (Some(_), Some(_)) => {
                let which: Vec<&str> = limits.iter().map(|limit| &*limit.id).collect();
                let told = format!("`{id}` is several limits: {}\n", which.join(", "));
                return Err((StatusCode::CONFLICT, told));
            }
            (None, _) => {
                let names = limits.iter().map(|limit| &*limit.name);
                let names = limits.iter().map(|limit| &*limit.id).chain(names);
                let told = nobody("limit", id, names);
                return Err((StatusCode::NOT_FOUND, format!("{told}\n")));
            }
        };
        let parameter = |wanted: &str| {
            let pairs = query.unwrap_or_default().split('&');
            let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
            let value = pairs.find(|(name, _)| *name == wanted)?.1;
            Some(percent_decode_str(value).collect::<Vec<u8>>())
        };
        let Some(key) = parameter("key") else {
            let told = "whom to look at is missing: `?key=`\n".to_owned();
            return Err((StatusCode::BAD_REQUEST, told));
        };
        let tier = parameter("tier").map(|tier| String::from_utf8_lossy(&tier).into_owned());
        Ok(Asked { limit, key, tier })
    }
}
