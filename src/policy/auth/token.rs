//! Tokens that a client shows: found where they may stand, and verified by whoever issued them.
//!
//! A token names its issuer, which says whose keys verify it. One that was found good is not
//! verified again by the same worker while it holds. What is no signed token of a known issuer can
//! be shown to whoever knows (introspection), where there is somebody.

use super::found::{Found, Refused};
use super::introspect::Introspect;
use super::jwt::{Jwt, Keys};
use super::verified::{self, Entry, Key};
use crate::credential::{Malformed, Place, find_one};
use crate::exchange::{Connection, Facts, Unproven};
use crate::issuer::Missing;
use crate::jose::{Claims, Confirmation, Refusal, Token, verify};
use crate::telemetry::metrics::Way;
use http::request;
use std::sync::Arc;
use std::time::SystemTime;

/// All the tokens that a route takes.
#[derive(Debug)]
pub struct Tokens {
    /// Those that are verified here.
    jwts: Vec<Jwt>,
    /// Those that somebody is asked about.
    introspections: Vec<Introspect>,
    /// Where any of them may stand.
    places: Vec<Place>,
    /// How large any of them may be, in bytes.
    max_size: usize,
    verifier: u64,
}

/// What verifying a token comes to.
enum Verdict {
    Good(Entry),
    Refused(Refusal),
    Undecided(&'static str),
}

impl Verdict {
    /// How close it is to being good.
    fn closeness(&self) -> i8 {
        match self {
            Verdict::Good(_) => 3,
            Verdict::Undecided(_) => 2,
            Verdict::Refused(Refusal::Expired) => 1,
            Verdict::Refused(_) => 0,
        }
    }
}

impl Tokens {
    /// The tokens of some issuers.
    pub fn new(jwts: Vec<Jwt>, introspections: Vec<Introspect>) -> Self {
        let mut places: Vec<Place> = Vec::new();
        let from = jwts.iter().map(|one| &one.from);
        for place in from.chain(introspections.iter().map(|one| &one.from)).flatten() {
            if !places.contains(place) {
                places.push(place.clone());
            }
        }
        let max_size = jwts.iter().map(|jwt| jwt.rules.max_size).max().unwrap_or(0);
        let verifier = verified::verifier();
        Tokens { jwts, introspections, places, max_size, verifier }
    }

    /// Where they may stand.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Those that are verified here.
    pub fn jwts(&self) -> &[Jwt] {
        &self.jwts
    }

    /// Those that somebody is asked about.
    pub fn introspections(&self) -> &[Introspect] {
        &self.introspections
    }

    /// Finds the token of a request, and whose it is.
    pub async fn check(&self, head: &request::Parts, facts: &Facts) -> Found {
        let (place, token) = match find_one(&self.places, head) {
            Ok(Some(found)) => found,
            Ok(None) => return Found::Nothing,
            Err(malformed) => return malformed_token(malformed).into(),
        };
        let now = facts.time;
        let key = Key::new(self.verifier, token.as_bytes());
        if let Some(entry) = verified::find(&key)
            && self.holds(&entry, place, now)
        {
            return shown(&entry, &facts.connection);
        }
        match self.verify(place, &token, now).await {
            Ok(Verdict::Good(entry)) => {
                let found = shown(&entry, &facts.connection);
                verified::keep(key, entry);
                found
            }
            Ok(Verdict::Refused(refusal)) => refused(refusal).into(),
            Ok(Verdict::Undecided(why)) => Found::Undecided(why.into()),
            Err(refusal) => self.introspect(place, &token, refusal, facts).await,
        }
    }

    /// Whether what was found out of a token still holds.
    fn holds(&self, entry: &Entry, place: &Place, now: SystemTime) -> bool {
        let Some(jwt) = self.jwts.get(entry.jwt) else { return false };
        now < entry.expires && jwt.keys.generation() == entry.generation && jwt.from.contains(place)
    }

    /// Verifies a token by the keys of its issuer. It is an error where that is no issuer whose
    /// tokens are verified here.
    async fn verify(&self, place: &Place, text: &str, now: SystemTime) -> Result<Verdict, Refusal> {
        let token = Token::read(text, self.max_size)?;
        let issuer = token.issuer();
        let mut verdict: Result<Verdict, Refusal> = Err(Refusal::Issuer);
        for (number, jwt) in self.jwts.iter().enumerate() {
            let is_its = issuer.is_some_and(|issuer| *issuer == *jwt.rules.issuer);
            if !is_its || !jwt.from.contains(place) {
                continue;
            }
            // An issuer may have tokens for several audiences, each with its own rules: what comes
            // closest to being good is what is told.
            let one = jwt.verify(number, &token, now).await;
            if matches!(one, Verdict::Good(_)) {
                return Ok(one);
            }
            if verdict.as_ref().map_or(-1, Verdict::closeness) < one.closeness() {
                verdict = Ok(one);
            }
        }
        verdict
    }

    /// Asks whoever knows what a token means.
    async fn introspect(
        &self,
        place: &Place,
        token: &str,
        refusal: Refusal,
        facts: &Facts,
    ) -> Found {
        let mut found = Found::from(refused(refusal));
        for introspection in &self.introspections {
            if !introspection.from.contains(place) {
                continue;
            }
            match (introspection.check(token, facts).await, &found) {
                (known @ Found::Known(_), _) => return known,
                // Nobody else can say what who did not answer would have said.
                (_, Found::Undecided(_)) => {}
                (other, _) => found = other,
            }
        }
        found
    }
}

impl Jwt {
    async fn verify(&self, number: usize, token: &Token<'_>, now: SystemTime) -> Verdict {
        // Read before the keys, so that what they say is never taken for newer than it is.
        let mut generation = self.keys.generation();
        let verified = match &self.keys {
            Keys::Fixed(keys) => verify(token, keys, &self.rules, now),
            Keys::Fetched(issuer) => {
                let keys = match issuer.keys() {
                    Some(keys) => keys,
                    None => match issuer.loaded().await {
                        Ok(keys) => keys,
                        Err(_) => return Verdict::Undecided("the issuer's keys are not known"),
                    },
                };
                match (verify(token, &keys, &self.rules, now), token.header().kid.as_deref()) {
                    (Err(Refusal::UnknownKey), Some(kid)) => {
                        generation = issuer.generation();
                        match issuer.refreshed(kid).await {
                            Ok(keys) => verify(token, &keys, &self.rules, now),
                            Err(Missing::Unknown) => Err(Refusal::UnknownKey),
                            Err(Missing::Unavailable) => {
                                return Verdict::Undecided(
                                    "the issuer could not be asked for a key",
                                );
                            }
                        }
                    }
                    // An issuer may change its keys and not their names, or give them none.
                    (
                        Err(
                            refusal @ (Refusal::Signature
                            | Refusal::KeyMismatch
                            | Refusal::UnknownKey),
                        ),
                        _,
                    ) => {
                        generation = issuer.generation();
                        match issuer.newer(&keys).await {
                            Ok(keys) => verify(token, &keys, &self.rules, now),
                            Err(_) => Err(refusal),
                        }
                    }
                    (verdict, _) => verdict,
                }
            }
        };
        match verified {
            Ok(claims) => Verdict::Good(self.entry(number, claims, generation)),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn entry(&self, number: usize, claims: Claims, generation: u64) -> Entry {
        let Claims { all, expires, confirmation } = claims;
        let bound_to = confirmation.map(|Confirmation::Certificate(fingerprint)| fingerprint);
        let identity = self.maker.of_claims(Way::Jwt, all, Some(expires));
        Entry { identity, expires, jwt: number, generation, bound_to }
    }
}

/// What a good token leads to on a connection.
fn shown(entry: &Entry, connection: &Connection) -> Found {
    match may_come_on(connection, entry.bound_to.as_ref()) {
        true => Found::Known(Arc::clone(&entry.identity)),
        false => Refused::invalid(Way::Jwt, "the token is bound to another certificate").into(),
    }
}

/// Whether a token may be shown on a connection: one that is bound to a certificate by whoever has
/// its key alone (RFC 8705 §3).
pub fn may_come_on(connection: &Connection, bound_to: Option<&[u8; 32]>) -> bool {
    let Some(bound_to) = bound_to else { return true };
    let certificate = connection.certificate.as_ref();
    certificate.is_some_and(|certificate| certificate.fingerprint == *bound_to)
}

fn refused(refusal: Refusal) -> Refused {
    let why = match refusal {
        Refusal::Expired => Unproven::Expired,
        _ => Unproven::Invalid,
    };
    let reason = format!("the token is refused: {refusal}").into();
    Refused { way: Some(Way::Jwt), why, reason, claimed: None }
}

/// What is wrong with a credential before it is looked at.
pub fn malformed(way: Way, malformed: Malformed) -> Refused {
    let why = match malformed {
        Malformed::Repeated | Malformed::Several => Unproven::Ambiguous,
        _ => Unproven::Invalid,
    };
    Refused { way: Some(way), why, reason: malformed.to_string().into(), claimed: None }
}

fn malformed_token(what: Malformed) -> Refused {
    malformed(Way::Jwt, what)
}
