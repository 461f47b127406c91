//! The proof that a contender does what it is measured for. Nobody is measured without it.

use super::{Arguments, Failure};
use crate::contender::Contender;
use crate::http::{Answer, Client};
use crate::stage::Stage;
use crate::token::{Flaw, fields, subject};

/// What is asked for in a measurement.
pub const PATH: &str = "/load?of=test";
/// Where the origin says what it was told of who is asking.
const SEEN: &str = "/seen";
/// How many answers are compared with the origin's, and how many tokens with what it was told.
const REPEATED: u64 = 3;

/// Proves it, and says how many requests that took.
pub fn prove(
    stage: &Stage,
    arguments: &Arguments,
    contender: Contender,
    port: u16,
) -> Result<u64, Failure> {
    let forwarded = forwards(stage, port, contender.works(arguments.plain))?;
    let forwarded = match arguments.scenario.limits(contender) {
        true => forwarded + counts(stage, port)?,
        false => forwarded,
    };
    match contender.checks_tokens(arguments.scenario) {
        true => Ok(forwarded + tells(stage, port)? + refuses(stage, port)?),
        false => Ok(forwarded),
    }
}

/// How many of a scenario's tokens a proof has used at most.
pub fn tokens_used() -> u64 {
    2 * REPEATED
}

/// Proves that what comes back is the origin's answer, on a kept connection, and that a contender
/// that is asked for work gives each request an id.
fn forwards(stage: &Stage, port: u16, works: bool) -> Result<u64, Failure> {
    let mut client = Client::connect(port)?;
    let mut ids = Vec::new();
    for number in 0..REPEATED {
        let answer = client.get(PATH, &stage.tokens.fields(number))?;
        must_be_the_origins(stage, &answer)?;
        if works {
            let id = answer.field("x-request-id").ok_or("its answer has no x-request-id")?;
            if ids.iter().any(|known| known == id) {
                return Err("it gives two requests one id".into());
            }
            ids.push(id.to_owned());
        }
    }
    Ok(REPEATED)
}

/// Proves that a request is counted: its answer says what is left.
fn counts(stage: &Stage, port: u16) -> Result<u64, Failure> {
    let answer = Client::connect(port)?.get(PATH, &stage.tokens.fields(0))?;
    let said = answer.field("ratelimit").or(answer.field("x-ratelimit-remaining"));
    said.map(|_| 1).ok_or_else(|| "it says nothing of a limit".into())
}

/// Proves that the origin is told whose token it is, whatever the client says, and that it does
/// not get the token.
fn tells(stage: &Stage, port: u16) -> Result<u64, Failure> {
    let mut client = Client::connect(port)?;
    for number in REPEATED..2 * REPEATED {
        let mut request = fields(Some(stage.tokens.good(number)));
        request.push(("X-User-Id", "root".to_owned()));
        request.push(("X-User-Roles", "admin".to_owned()));
        let answer = client.get(SEEN, &request)?;
        must_be_the_origins(stage, &answer)?;
        let whose = answer.field("x-seen-user-id").unwrap_or("nobody");
        if whose != subject(number) {
            return Err(format!("{}'s token is {whose}'s to the origin", subject(number)).into());
        }
        // Each says them in its own way, some in base64.
        match answer.field("x-seen-user-roles") {
            None => return Err("the origin is not told the roles".into()),
            Some("admin") => return Err("the origin is told the roles that the client says".into()),
            Some(_) => {}
        }
        if answer.field("x-seen-authorization").is_some() {
            return Err("the origin gets the token itself".into());
        }
    }
    Ok(REPEATED)
}

/// Proves that nobody is let in without a token, nor with a bad one.
fn refuses(stage: &Stage, port: u16) -> Result<u64, Failure> {
    let mut asked = 0;
    let mut refuses = |what: &str, token: Option<String>, statuses: &[u16]| {
        asked += 1;
        // Some close the connection on which they refuse.
        let answer = Client::connect(port)?.get(PATH, &fields(token))?;
        match statuses.contains(&answer.status) {
            true => Ok::<(), Failure>(()),
            false => Err(format!("it answers {} to {what}", answer.status).into()),
        }
    };
    refuses("a request without a token", None, &[401])?;
    for flaw in Flaw::ALL {
        let statuses: &[u16] = match flaw {
            // Envoy says that this token is good, but not here.
            Flaw::Audience => &[401, 403],
            _ => &[401],
        };
        refuses(&format!("a bad token ({flaw:?})"), Some(stage.tokens.bad(flaw)), statuses)?;
    }
    Ok(asked)
}

fn must_be_the_origins(stage: &Stage, answer: &Answer) -> Result<(), Failure> {
    match answer.status == 200 && answer.body == stage.body {
        true => Ok(()),
        false => {
            let length = answer.body.len();
            Err(format!("it answers {} with {length} bytes", answer.status).into())
        }
    }
}
