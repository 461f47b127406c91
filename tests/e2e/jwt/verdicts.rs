//! Every token of the corpus, shown to a gateway that accepts one algorithm: a test for each.

use super::{assert_refused, show};
use crate::corpus::{AUDIENCE, Case, ISSUER, LEEWAY, key_set, verdicts_of};
use crate::support::{Gateway, Keys, Origin, Setup, now};
use sluicegate::jose::Algorithm;

/// How many connections show tokens at once.
const CONNECTIONS: usize = 4;

/// Shows cases one after the other on a connection that is kept, and tells the wrong verdicts.
async fn shown(gateway: &Gateway, cases: Vec<&Case>) -> Vec<String> {
    let mut client = gateway.connect().await;
    let mut wrong = Vec::new();
    for case in cases {
        let Some(accepted) = case.as_bearer else { continue };
        let response = show(&mut client, &case.token).await;
        match (accepted, response.status) {
            (true, 200) => assert_eq!(response.text(), "origin"),
            (false, 401) => assert_refused(&response, "error=\"invalid_token\""),
            (_, status) => {
                let Case { algorithm, name, .. } = case;
                wrong.push(format!("{status} for {algorithm}: {name}, accepted: {accepted}"));
            }
        }
        if response.head.lists("connection", "close") {
            client = gateway.connect().await;
        }
    }
    wrong
}

/// Shows cases on several connections; each verdict has to be right.
async fn judge(algorithm: Algorithm, keys: &str, cases: &[&Case]) {
    let origin = Origin::saying("origin").await;
    let gateway = Setup::one_route(&format!(
        "auth: {{jwt: {{issuer: \"{ISSUER}\", audience: {AUDIENCE}, algorithms: {algorithm}, \
         leeway: {LEEWAY}s, {keys}}}}}"
    ));
    let gateway = gateway.with("app", origin.address()).start().await;
    let parts: [Vec<&Case>; CONNECTIONS] = std::array::from_fn(|first| {
        cases.iter().skip(first).step_by(CONNECTIONS).copied().collect()
    });
    let [a, b, c, d] = parts.map(|part| shown(&gateway, part));
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let wrong = [a, b, c, d].concat();
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

async fn every_token_gets_its_verdict(algorithm: Algorithm) {
    let cases = verdicts_of(algorithm, now());
    let cases = cases.iter().filter(|case| !case.at_once && case.as_bearer.is_some());
    let by_name: Vec<&Case> = cases.collect();
    let by_key: Vec<&Case> = by_name.iter().filter(|case| !case.by_kid).copied().collect();
    let files = Keys::ours().files();
    let one = match algorithm.is_symmetric() {
        true => format!("secret: \"$(file:{})\"", files.secret().display()),
        false => format!("public_key: {}", files.public(algorithm).display()),
    };
    judge(algorithm, &one, &by_key).await;
    let set = files.add("set.json", key_set(algorithm).to_string());
    judge(algorithm, &format!("jwks: {}", set.display()), &by_name).await;
}

/// A test for each algorithm, so that they run beside each other.
macro_rules! algorithms {
    ($($test:ident: $algorithm:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $test() {
            every_token_gets_its_verdict(Algorithm::$algorithm).await;
        }
    )*};
}

algorithms! {
    each_token_for_hs256_gets_its_verdict: HS256,
    each_token_for_hs384_gets_its_verdict: HS384,
    each_token_for_hs512_gets_its_verdict: HS512,
    each_token_for_rs256_gets_its_verdict: RS256,
    each_token_for_rs384_gets_its_verdict: RS384,
    each_token_for_rs512_gets_its_verdict: RS512,
    each_token_for_ps256_gets_its_verdict: PS256,
    each_token_for_ps384_gets_its_verdict: PS384,
    each_token_for_ps512_gets_its_verdict: PS512,
    each_token_for_es256_gets_its_verdict: ES256,
    each_token_for_es384_gets_its_verdict: ES384,
    each_token_for_eddsa_gets_its_verdict: EdDSA,
}
