//! What a template may refer to. The names are the contract of the configuration, and one that is
//! misspelt is told what was probably meant.

use std::fmt;
use std::str::FromStr;

use crate::value::token::check_token;
use crate::value::{BodyPath, HeaderName, Invalid, nearest};

/// Something about a request that a template names. An environment variable is none: it is
/// resolved before a template exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `client.ip`: the address of the client, behind trusted proxies if there are any.
    ClientIp,
    /// `header.NAME`: the value of a header of the request.
    Header(http::HeaderName),
    /// `query.NAME`: the value of a query parameter.
    Query(String),
    /// `cookie.NAME`: the value of a cookie.
    Cookie(String),
    /// `request.id`: the identifier that this gateway made or kept.
    RequestId,
    /// `request.method`: the method.
    RequestMethod,
    /// `request.host`: the host that the client asked for.
    RequestHost,
    /// `request.path`: the path, without its query.
    RequestPath,
    /// `route.name`: the name of the route.
    RouteName,
    /// `service.name`: the name of the service that answers the route, where there is exactly one.
    ServiceName,
    /// `path.NAME`: the part of the path that the route's pattern calls so, percent-decoded.
    Path(String),
    /// `identity.NAME`: what is known of who is asking, once that was checked: a claim, or one that
    /// dots lead to.
    Identity(Box<str>),
    /// `consumer.name` and its like: the consumer that who is asking belongs to.
    Consumer(ConsumerField),
    /// `answer.body…` or `answer.header.NAME`: what a service answered to a login.
    Answer(AnswerPart),
}

/// What may be asked of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsumerField {
    /// `consumer.name`: its name.
    Name,
    /// `consumer.tier`: its tier, if it has one.
    Tier,
    /// `consumer.roles`: its roles.
    Roles,
    /// `consumer.tags`: its tags.
    Tags,
}

/// What may be asked of a service's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AnswerPart {
    /// `answer.body`, or a place in it such as `answer.body.user.id`.
    Body(BodyPath),
    /// `answer.header.NAME`: the value of a header.
    Header(http::HeaderName),
}

/// The references that are whole words.
const PLAIN: [(&str, Reference); 11] = [
    ("client.ip", Reference::ClientIp),
    ("request.id", Reference::RequestId),
    ("request.method", Reference::RequestMethod),
    ("request.host", Reference::RequestHost),
    ("request.path", Reference::RequestPath),
    ("route.name", Reference::RouteName),
    ("service.name", Reference::ServiceName),
    ("consumer.name", Reference::Consumer(ConsumerField::Name)),
    ("consumer.tier", Reference::Consumer(ConsumerField::Tier)),
    ("consumer.roles", Reference::Consumer(ConsumerField::Roles)),
    ("consumer.tags", Reference::Consumer(ConsumerField::Tags)),
];

/// What stands before a name in the others.
const NAMED: [&str; 9] = [
    "header.",
    "query.",
    "cookie.",
    "path.",
    "identity.",
    "answer.body.",
    "answer.header.",
    "env:",
    "file:",
];

impl FromStr for Reference {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some((_, reference)) = PLAIN.iter().find(|(word, _)| *word == text) {
            return Ok(reference.clone());
        }
        if let Some(name) = text.strip_prefix("header.") {
            return Ok(Reference::Header(name.parse::<HeaderName>()?.into_inner()));
        }
        if let Some(name) = text.strip_prefix("cookie.") {
            check_token(name, "cookie name")?;
            return Ok(Reference::Cookie(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("query.") {
            if name.is_empty() {
                return Err(Invalid::new("a query parameter's name is missing after `query.`"));
            }
            return Ok(Reference::Query(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("path.") {
            if name.is_empty() {
                return Err(Invalid::new("the name of a placeholder is missing after `path.`"));
            }
            return Ok(Reference::Path(name.to_owned()));
        }
        if text == "identity" || text == "identity." {
            return Err(Invalid::new(
                "`identity` alone says nothing: name a claim, as `identity.sub` does",
            ));
        }
        if let Some(name) = text.strip_prefix("identity.") {
            return Ok(Reference::Identity(name.into()));
        }
        if let Some(part) = text.strip_prefix("answer.") {
            return part.parse().map(Reference::Answer);
        }
        Err(unknown(text))
    }
}

/// Whether text that is no reference was probably meant to be one: `client.pi`, and not
/// `127.0.0.1:8080`.
pub(super) fn looks_like_one(text: &str) -> bool {
    let heads = NAMED.iter().map(|beginning| head(beginning));
    let heads = heads.chain(["client", "request", "route", "service", "consumer"]);
    text.contains(['.', ':']) && nearest(head(text), heads).is_some()
}

/// The first word of a reference.
fn head(text: &str) -> &str {
    text.find(['.', ':']).map_or(text, |at| &text[..at])
}

impl FromStr for AnswerPart {
    type Err = Invalid;

    /// Reads what stands behind `answer.`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        match text.split_at(end) {
            ("body", _) => text.parse().map(AnswerPart::Body),
            ("header", name) if name.starts_with('.') => {
                Ok(AnswerPart::Header(name[1..].parse::<HeaderName>()?.into_inner()))
            }
            (word, rest) => Err(Invalid::new(match nearest(word, ["body", "header"]) {
                Some("header") if rest.is_empty() => {
                    format!("unknown reference `answer.{text}`: did you mean `answer.header.NAME`?")
                }
                Some(meant) => {
                    let meant = format!("answer.{meant}{rest}");
                    format!("unknown reference `answer.{text}`: did you mean `{meant}`?")
                }
                None => format!(
                    "unknown reference `answer.{text}`: there are `answer.body`, `answer.body.NAME` \
                     and `answer.header.NAME`"
                ),
            })),
        }
    }
}

/// Answers a reference that means nothing with the one that was probably meant.
fn unknown(text: &str) -> Invalid {
    let plain = || PLAIN.iter().map(|(word, _)| *word);
    let word = head(text);
    let tail = text.get(word.len() + 1..).unwrap_or_default();
    // A whole word is the better guess: `client.pi` is closer to `client.ip` than to a header.
    let meant = nearest(text, plain()).map(str::to_owned).or_else(|| {
        let meant = nearest(word, NAMED.map(head))?;
        let beginning = NAMED.iter().find(|beginning| head(beginning) == meant)?;
        Some(match tail {
            "" => format!("{beginning}NAME"),
            // Its second word may be right, or be told the next time.
            tail if meant == "answer" => format!("answer.{tail}"),
            tail => format!("{beginning}{tail}"),
        })
    });
    Invalid::new(match meant {
        Some(meant) => format!("unknown reference `{text}`: did you mean `{meant}`?"),
        None if plain().any(|known| head(known) == word) => {
            let same: Vec<_> = plain().filter(|known| head(known) == word).collect();
            format!("unknown reference `{text}`: there are {}", same.join(", "))
        }
        None => {
            let plain: Vec<_> = plain().collect();
            format!(
                "unknown reference `{text}`: there are {}, {}NAME",
                plain.join(", "),
                NAMED.join("NAME, ")
            )
        }
    })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Header(name) => write!(f, "header.{name}"),
            Reference::Query(name) => write!(f, "query.{name}"),
            Reference::Cookie(name) => write!(f, "cookie.{name}"),
            Reference::Path(name) => write!(f, "path.{name}"),
            Reference::Identity(name) => write!(f, "identity.{name}"),
            Reference::Answer(AnswerPart::Body(path)) => write!(f, "answer.{path}"),
            Reference::Answer(AnswerPart::Header(name)) => write!(f, "answer.header.{name}"),
            Reference::ClientIp => f.write_str("client.ip"),
            Reference::RequestId => f.write_str("request.id"),
            Reference::RequestMethod => f.write_str("request.method"),
            Reference::RequestHost => f.write_str("request.host"),
            Reference::RequestPath => f.write_str("request.path"),
            Reference::RouteName => f.write_str("route.name"),
            Reference::ServiceName => f.write_str("service.name"),
            Reference::Consumer(ConsumerField::Name) => f.write_str("consumer.name"),
            Reference::Consumer(ConsumerField::Tier) => f.write_str("consumer.tier"),
            Reference::Consumer(ConsumerField::Roles) => f.write_str("consumer.roles"),
            Reference::Consumer(ConsumerField::Tags) => f.write_str("consumer.tags"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Reference>().unwrap_err().to_string()
    }

    #[test]
    fn display_parses_back() {
        let named = [
            "header.x-id",
            "query.page[size]",
            "cookie.session",
            "path.id",
            "identity.sub",
            "identity.realm_access.roles",
            "identity.https://example.com/roles",
            "answer.body",
            "answer.body.user.id",
            "answer.body.roles[0]",
            "answer.body[0].id",
            "answer.body[\"a.b\"]",
            "answer.header.x-user",
        ];
        for text in PLAIN.iter().map(|(word, _)| *word).chain(named) {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn header_names_fold_case() {
        let folded = Reference::Header(http::HeaderName::from_static("x-id"));
        assert_eq!("header.X-Id".parse(), Ok(folded));
    }

    #[test]
    fn typing_mistake_is_told_what_was_meant() {
        assert!(refusal("client.pi").contains("did you mean `client.ip`?"));
        assert!(refusal("request.methods").contains("did you mean `request.method`?"));
        assert!(refusal("headers.x-id").contains("did you mean `header.x-id`?"));
        assert!(refusal("env.HOME").contains("did you mean `env:HOME`?"));
        assert!(refusal("header").contains("did you mean `header.NAME`?"));
        assert!(refusal("banana.split").contains("there are client.ip, request.id"));
    }

    #[test]
    fn what_is_known_of_who_is_asking_is_told_apart_from_typing_mistakes() {
        assert_eq!("identity.a.b".parse(), Ok(Reference::Identity("a.b".into())));
        assert_eq!("consumer.tier".parse(), Ok(Reference::Consumer(ConsumerField::Tier)));
        for alone in ["identity", "identity."] {
            assert!(refusal(alone).contains("as `identity.sub` does"));
        }
        assert!(refusal("consumer.tiers").contains("did you mean `consumer.tier`?"));
        assert!(refusal("consumer").contains("there are consumer.name, consumer.tier, consumer.r"));
        assert!(refusal("customer.name").contains("did you mean `consumer.name`?"));
        assert!(refusal("identiy.sub").contains("did you mean `identity.sub`?"));
    }

    #[test]
    fn an_answer_has_a_body_and_headers() {
        assert_eq!(
            "answer.body.id".parse(),
            Ok(Reference::Answer(AnswerPart::Body("body.id".parse().unwrap())))
        );
        let header = AnswerPart::Header(http::HeaderName::from_static("x-id"));
        assert_eq!("answer.header.X-Id".parse(), Ok(Reference::Answer(header)));
        assert!(refusal("answer.body.").contains("no place in a body"));
        assert!(refusal("answer.header.").contains("a header name is missing"));
        assert!(refusal("answer.header").contains("did you mean `answer.header.NAME`?"));
        assert!(refusal("answer.headers.x-id").contains("did you mean `answer.header.x-id`?"));
        assert!(refusal("answer.bdy.id").contains("did you mean `answer.body.id`?"));
        assert!(refusal("answer.status").contains("there are `answer.body`, `answer.body.NAME`"));
        assert!(refusal("answer").contains("did you mean `answer.body.NAME`?"));
        assert!(refusal("anwser.header.x-id").contains("did you mean `answer.header.x-id`?"));
    }

    #[test]
    fn named_reference_needs_a_good_name() {
        assert!(refusal("header.").contains("a header name is missing"));
        assert!(refusal("header.a/b").contains("must not hold '/'"));
        assert!(refusal("cookie.a=b").contains("must not hold '='"));
        assert!(refusal("query.").contains("is missing after `query.`"));
        assert!(refusal("path.").contains("is missing after `path.`"));
    }
}
