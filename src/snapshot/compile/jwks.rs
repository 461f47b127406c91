//! The route at which anyone may ask for the public keys of the tokens that the gateway signs.

use super::Problems;
use super::routes::Compiled;
use super::scopes::everywhere;
use crate::answer::Answer;
use crate::answer::respond::Respond;
use crate::config::Document;
use crate::exchange::{PathRules, Vouched};
use crate::jose::{Signer, jwks};
use crate::policy::{Block, Compiler, Scope, Setting};
use crate::reply::Reply;
use crate::route::{HostPattern, PathPattern, Rule};
use crate::snapshot::Route;
use crate::upstream::adaptive::Priority;
use crate::value::Invalid;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};

/// What the route is called, in logs and metrics.
const NAME: &str = "jwks";

/// Compiles the route, if the document asks for one: for any host and, since what names a host comes
/// before what names none, for each that the document names. Its number is one that no route of the
/// document has.
pub fn routes(
    document: &Document,
    routes: &[Compiled],
    vouched: &Vouched,
    paths: PathRules,
    compiler: &mut Compiler,
    problems: &mut Problems,
) -> Option<Vec<Compiled>> {
    let within = |invalid: Invalid| invalid.under("jwks").under("identity");
    let path = document.identity.jwks.as_ref()?;
    if document.routes.iter().any(|route| route.name.as_str() == NAME) {
        let message =
            format!("the route at this path is called `{NAME}`, as one of the `routes` is");
        problems.push(within(Invalid::new(message)));
        return None;
    }
    let logins = routes.iter().filter_map(|compiled| compiled.route.answer.login());
    let signers = vouched.signers().iter().chain(logins.flat_map(|login| login.signers()));
    let signers: Vec<&Signer> = signers.filter(|signer| signer.kid().is_some()).collect();
    if signers.is_empty() {
        let message = "the gateway signs nothing with a key that could be published";
        problems.push(within(Invalid::new(message)));
        return None;
    }
    let pattern = PathPattern::exact(path, paths);
    let pattern = problems.take(pattern.map_err(within))?;
    let reply = Reply {
        status: StatusCode::OK,
        headers: vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")),
            // A key that is new comes before the first token that it signs, where it is put second
            // first; five minutes are what most verifiers keep a set for.
            (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        ],
        body: jwks(signers).into(),
    };
    let open =
        Block { auth: Some(Setting::Off), authorize: Some(Setting::Off), ..Block::default() };
    let number = document.routes.len();
    let id = usize::MAX;
    let scopes = [
        everywhere(document),
        Scope { id, at: vec!["identity".into()], name: "identity".to_owned(), block: &open },
    ];
    let (chain, stages) = compiler.compile(&scopes, problems.all())?;
    let mut hosts: Vec<HostPattern> = Vec::new();
    for host in routes.iter().flat_map(|compiled| &compiled.rule.hosts) {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    let compiled = |hosts| Compiled {
        route: Route {
            name: NAME.into(),
            parameters: vec![None],
            chain: chain.clone(),
            answer: Answer::Respond(Respond::fixed(reply.clone())),
            time: stages.timeouts.as_deref().and_then(|timeouts| timeouts.request),
            priority: Priority::default(),
        },
        rule: Rule {
            hosts,
            paths: vec![pattern.clone()],
            methods: vec![Method::GET, Method::HEAD],
            ..Rule::default()
        },
        number,
    };
    let named = (!hosts.is_empty()).then(|| compiled(hosts));
    Some(named.into_iter().chain([compiled(Vec::new())]).collect())
}
