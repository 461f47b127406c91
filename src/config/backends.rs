//! The backends that share a route, and what each of them gets.

use super::Conditions;
use crate::answer::split::{Side, Split, When};
use crate::route::Condition;
use crate::value::{HeaderName, Invalid, Name, Reference, Template};
use schemars::JsonSchema;
use serde::Deserialize;

/// One of the backends that share a route.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Backend")]
pub struct BackendConfig {
    /// The service.
    pub service: Name,
    /// Its share beside those of the others: weights need not add up to anything. 0 gets it nothing
    /// but what `when` names. 1 where it is left out, which it may not be beside `when`.
    pub weight: Option<u32>,
    /// Which exchanges are its, whatever the weights; the first backend whose `when` holds gets
    /// them. None where it is left out.
    pub when: Option<WhenConfig>,
}

/// What an exchange must have: all that is given must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "When")]
pub struct WhenConfig {
    /// What header fields say; several lines of one field are one value with commas. Nothing is
    /// asked where it is left out.
    pub headers: Conditions<HeaderName>,
    /// What query parameters say, percent-decoded; of several values the first counts. Nothing is
    /// asked where it is left out.
    pub query: Conditions<String>,
    /// What cookies say; of several values the first counts. Nothing is asked where it is left out.
    pub cookies: Conditions<String>,
}

/// Compiles the backends of the route of this name, which keep their numbers, and its `split_key`.
///
/// # Errors
///
/// Refuses a service that has two weights, weights that are all 0, a backend whose weight beside
/// `when` is anybody's guess, a `when` that names nothing, and a key that knows nobody.
pub fn split(
    route: &str,
    backends: &[BackendConfig],
    key: Option<&Template>,
) -> Result<Split, Invalid> {
    if let Some(key) = key.filter(|key| key.as_literal().is_some()) {
        let message = format!(
            "`{key}` is the same for every request: write what tells callers apart, such as \
             `$(cookie.user)`"
        );
        return Err(Invalid::new(message).under("split_key"));
    }
    if backends.is_empty() {
        let message = "no backend stands here: write `- service: NAME`";
        return Err(Invalid::new(message).under("backends"));
    }
    let mut sides = Vec::with_capacity(backends.len());
    for (number, backend) in backends.iter().enumerate() {
        let within = |invalid: Invalid| invalid.under(number).under("backends");
        once(backend, &backends[..number]).map_err(within)?;
        sides.push(backend.side().map_err(within)?);
    }
    Split::new(route, sides, key.cloned()).map_err(|invalid| invalid.under("backends"))
}

/// Refuses a second weight of a service. Further entries that only have a `when` are welcome: they
/// say "or".
fn once(backend: &BackendConfig, before: &[BackendConfig]) -> Result<(), Invalid> {
    let weighs = |one: &BackendConfig| one.weight != Some(0);
    let again = before.iter().any(|one| one.service == backend.service && weighs(one));
    if again && weighs(backend) {
        let message = format!(
            "service `{}` has a weight already: give one entry the sum, and any other \
             `weight: 0` and `when`",
            backend.service
        );
        return Err(Invalid::new(message).under("service"));
    }
    Ok(())
}

impl BackendConfig {
    fn side(&self) -> Result<Side, Invalid> {
        let when = self.when.as_ref().map(WhenConfig::compile).transpose();
        let when = when.map_err(|invalid| invalid.under("when"))?;
        let weight = match (self.weight, &when) {
            (Some(weight), _) => weight,
            (None, None) => 1,
            (None, Some(_)) => {
                let message = "a `weight` is missing beside `when`: 0 gives the backend nothing \
                               else";
                return Err(Invalid::new(message));
            }
        };
        Ok(Side::new(self.service.as_str(), weight, when))
    }
}

impl WhenConfig {
    fn compile(&self) -> Result<When, Invalid> {
        if self.headers.is_empty() && self.query.is_empty() && self.cookies.is_empty() {
            let message = "nothing is asked here, so that every exchange would be this backend's: \
                           write `headers`, `query` or `cookies`";
            return Err(Invalid::new(message));
        }
        let headers = self.headers.compile(|name| (**name).clone());
        let query = self.query.compile(String::clone);
        Ok(When {
            headers: headers.map_err(|invalid| invalid.under("headers"))?,
            query: query.map_err(|invalid| invalid.under("query"))?,
            cookies: self.cookies().map_err(|invalid| invalid.under("cookies"))?,
        })
    }

    fn cookies(&self) -> Result<Vec<Condition<Reference>>, Invalid> {
        for (name, _) in self.cookies.iter() {
            // A reference knows what a cookie's name may be.
            let checked = format!("cookie.{name}").parse::<Reference>();
            checked.map_err(|invalid| invalid.under(name.as_str()))?;
        }
        self.cookies.compile(|name| Reference::Cookie(name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{References, sample::facts};
    use http::HeaderValue;

    fn compile(backends: &str, key: Option<&str>) -> Result<Split, String> {
        let backends: Vec<BackendConfig> =
            serde_yaml::from_str(backends).map_err(|error| error.to_string())?;
        let key = key.map(|key| key.parse().unwrap());
        split("orders", &backends, key.as_ref()).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn backends_share_by_weight_and_testers_choose() {
        let yaml = "[{service: v1, weight: 100}, \
                     {service: v2, weight: 0, when: {headers: {x-canary: 1}}}, \
                     {service: v2, weight: 0, when: {cookies: {canary: {present: true}}}}]";
        let split = compile(yaml, Some("$(client.ip)")).unwrap();
        let facts = facts();
        let picked = |name: &'static str, value: &'static str| {
            let mut head = http::Request::new(()).into_parts().0;
            head.headers.insert(name, HeaderValue::from_static(value));
            split.pick(&References { head: &head, facts: &facts }, 0)
        };
        assert_eq!(picked("x-canary", "0"), 0);
        assert_eq!(picked("x-canary", "1"), 1);
        assert_eq!(picked("cookie", "canary="), 2);
        assert_eq!(split.references().count(), 1);
    }

    #[test]
    fn a_weight_that_is_left_out_is_one() {
        let split = compile("[{service: a}, {service: b}, {service: c, weight: 0}]", None).unwrap();
        assert_eq!((split.choose(None, 0), split.choose(None, u64::MAX)), (0, 1));
    }

    #[test]
    fn what_would_surprise_is_refused_at_its_place() {
        for (backends, key, refusal) in [
            ("[{service: a, weight: 0}]", None, "backends: every weight is 0"),
            ("[]", None, "backends: no backend stands here"),
            ("[{service: a}, {service: a}]", None, "backends[1].service: service `a` has a weight"),
            ("[{service: a}, {service: b, when: {}}]", None, "backends[1].when: nothing is asked"),
            (
                "[{service: a}, {service: b, when: {query: {b: 1}}}]",
                None,
                "backends[1]: a `weight` is missing",
            ),
            (
                "[{service: a, weight: 1, when: {cookies: {\"a b\": 1}}}]",
                None,
                "backends[0].when.cookies.a b: the cookie name",
            ),
            ("[{service: a}]", Some("all"), "split_key: `all` is the same for every request"),
        ] {
            let told = compile(backends, key).unwrap_err();
            assert!(told.starts_with(refusal), "{told}");
        }
    }
}
