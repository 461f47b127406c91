//! What the gateway tells services of who is asking, and what it therefore believes nobody else.
//!
//! The fields that carry an identity are taken out of every client's request, on every route, and
//! set from what was found out. A client could write them in other ways that a service reads the
//! same: where names become variables, as CGI has it (RFC 3875 §4.1.18), `X_User_Id` and `X.User.Id`
//! are `X-User-Id`. So a name counts by its letters and digits alone.

use super::assertion::{Alone, Assertion};
use super::{FieldValue, Identity, References};
use crate::jose::Signer;
use crate::value::{Fields, Invalid, Reference};
use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields that carry an identity.
#[derive(Debug, Default)]
pub struct Vouched {
    /// The fields whose values are the same for all requests of one identity.
    of_identity: Vec<(HeaderName, FieldValue)>,
    /// Those that each request makes.
    of_request: Vec<(HeaderName, FieldValue)>,
    /// Their names, as they are compared.
    names: Vec<Box<[u8]>>,
    /// What signs a token that carries it, if one does.
    assertion: Option<Assertion>,
    /// A bit for the length of each name, so that most fields are passed with one look.
    lengths: u64,
}

/// Where clients show who they are: taken out of their requests, it would be nobody's.
const SHOWN: [HeaderName; 3] = [AUTHORIZATION, COOKIE, HOST];

impl Vouched {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses fields that belong to the connection or carry the token, and text that is no field
    /// value.
    pub fn compile(fields: &Fields, assertion: Option<Assertion>) -> Result<Self, Invalid> {
        let fields = FieldValue::compile(fields)?;
        if let Some((name, _)) = fields.iter().find(|(name, _)| SHOWN.contains(name)) {
            let message = "clients show what they have here, so that it cannot be the gateway's: use a \
                           field of its own, or `token` for `authorization`";
            return Err(Invalid::new(message).under(name.as_str()));
        }
        let names = fields.iter().map(|(name, _)| name);
        let carries = |assertion: &Assertion| names.clone().any(|name| *name == assertion.header);
        if let Some(assertion) = assertion.as_ref().filter(|assertion| carries(assertion)) {
            let message = format!("`{}` carries the token already", assertion.header);
            return Err(Invalid::new(message).under(assertion.header.as_str()));
        }
        // Everyone sends `Authorization`, which is taken out elsewhere.
        let token = assertion.iter().map(|assertion| &assertion.header);
        let names = names.chain(token.filter(|name| **name != AUTHORIZATION));
        let names: Vec<Box<[u8]>> = names.map(|name| letters(name.as_str()).collect()).collect();
        let lengths = names.iter().fold(0, |lengths, name| lengths | length_bit(name.len()));
        let is_of_identity = |value: &FieldValue| {
            value.references().all(|reference| {
                matches!(reference, Reference::Identity(_) | Reference::Consumer(_))
            })
        };
        let (of_identity, of_request) =
            fields.into_iter().partition(|(_, value)| is_of_identity(value));
        Ok(Vouched { of_identity, of_request, names, assertion, lengths })
    }

    /// Removes what a client says of who it is.
    pub fn strip(&self, fields: &mut HeaderMap) {
        if self.names.is_empty() {
            return;
        }
        let claimed: Vec<HeaderName> =
            fields.keys().filter(|name| self.is_vouched(name.as_str())).cloned().collect();
        claimed.iter().for_each(|name| drop(fields.remove(name)));
    }

    /// Whether a service may read a field as one of these.
    pub fn is_vouched(&self, name: &str) -> bool {
        // What is left out of a name makes it no longer, and nearly all names have a length that
        // none of these has.
        self.lengths & length_bit(name.len()) != 0
            && self.names.iter().any(|known| letters(name).eq(known.iter().copied()))
    }

    /// Makes the values that are the same for all requests of an identity.
    pub fn of_identity(&self, identity: &Identity) -> Vec<(HeaderName, HeaderValue)> {
        let value = |(name, value): &(HeaderName, FieldValue)| {
            Some((name.clone(), value.of_someone(&Alone(identity))?))
        };
        self.of_identity.iter().filter_map(value).collect()
    }

    /// Sets the fields of a request whose client is known.
    pub fn set(&self, fields: &mut HeaderMap, identity: &Identity, references: References<'_>) {
        for (name, value) in &identity.vouched {
            fields.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.of_request {
            if let Some(value) = value.of_someone(&references) {
                fields.insert(name.clone(), value);
            }
        }
        if let Some(assertion) = &self.assertion
            && let Some(value) = assertion.value(identity, references.facts.time)
        {
            fields.insert(assertion.header.clone(), value);
        }
    }

    /// What signs the tokens that carry it.
    pub fn signers(&self) -> &[Signer] {
        self.assertion.as_ref().map_or(&[], |assertion| &assertion.signers)
    }

    /// Walks what its templates refer to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let fields = self.of_identity.iter().chain(&self.of_request);
        fields.flat_map(|(_, value)| value.references())
    }
}

/// A name as it is compared: `-`, `_` and all other signs are one.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
        _ => b'-',
    })
}

fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::sample;
    use crate::telemetry::metrics::Way;
    use serde_json::json;
    use std::sync::Arc;

    fn vouched() -> Vouched {
        let fields = "{x-user-id: $(identity.sub), x-email: $(identity.email), \
                      x-asked: $(identity.sub) $(request.method)}";
        Vouched::compile(&serde_yaml::from_str(fields).unwrap(), None).unwrap()
    }

    fn fields(names: &[&'static str]) -> HeaderMap {
        let value = HeaderValue::from_static("theirs");
        names.iter().map(|name| (HeaderName::from_static(name), value.clone())).collect()
    }

    #[test]
    fn a_name_counts_by_its_letters_and_digits_alone() {
        let mut theirs = fields(&[
            "x-user-id",
            "x_user_id",
            "x.user.id",
            "x-user_id",
            "x-email",
            "x~email",
            "x_asked",
        ]);
        vouched().strip(&mut theirs);
        assert!(theirs.is_empty(), "{theirs:?}");
        let others = ["x-user-ids", "x-userid", "xx-user-id", "x-user", "host", "email"];
        let mut theirs = fields(&others);
        vouched().strip(&mut theirs);
        assert_eq!(theirs.len(), others.len());
    }

    #[test]
    fn what_is_known_is_set_and_what_is_not_is_left_out() {
        let vouched = vouched();
        let mut identity = Identity::new(
            Way::Jwt,
            Arc::new(serde_json::Map::from_iter([("sub".to_owned(), json!("ann"))])),
        );
        identity.vouched = vouched.of_identity(&identity);
        let mut facts = sample::facts();
        let identity = std::sync::Arc::new(identity);
        facts.authentication = crate::exchange::Authentication::Known(identity.clone());
        let head = http::Request::new(()).into_parts().0;
        let mut ours = HeaderMap::new();
        vouched.set(&mut ours, &identity, References { head: &head, facts: &facts });
        assert_eq!(ours["x-user-id"], "ann");
        assert_eq!(ours["x-asked"], "ann GET");
        assert!(!ours.contains_key("x-email"));
    }
}
