//! The corpus, token by token, against a gateway that knows one algorithm.

use super::bearer;
use crate::corpus::{AUDIENCE, Case, ISSUER, key_set, verdicts_of};
use crate::support::{Gateway, Keys, Origin, Setup, now};
use sluicegate::jose::{Algorithm, Algorithms, KeySet, LEEWAY, MAX_SIZE, Rules, Token, verify};
use std::time::{Duration, SystemTime};

/// Sends the tokens of some cases over one connection, and says which of them were judged otherwise.
async fn wrong_verdicts(gateway: &Gateway, cases: &[&Case]) -> Vec<String> {
    let mut client = gateway.connect().await;
    let mut wrong = Vec::new();
    for case in cases {
        let accepted = case.as_bearer.expect("cases that no field can carry are left out");
        let response = client.request(&bearer("/", &case.token)).await;
        let challenge = response.get("www-authenticate").unwrap_or_default();
        let is_right = match accepted {
            true => response.status == 200,
            false => response.status == 401 && challenge.starts_with("Bearer realm="),
        };
        if !is_right {
            wrong.push(format!("{}: {} ({challenge})", case.name, response.status));
        }
        if response.get("connection").is_some_and(|connection| connection == "close") {
            client = gateway.connect().await;
        }
    }
    wrong
}

async fn gateway(algorithm: Algorithm, keys: &str) -> (Gateway, Origin) {
    let origin = Origin::saying("in").await;
    let auth = format!(
        "auth: {{jwt: {{issuer: \"{ISSUER}\", audience: {AUDIENCE}, algorithms: [{algorithm}], \
         {keys}}}}}"
    );
    let gateway = Setup::one_route(&auth).with("app", origin.address()).start().await;
    (gateway, origin)
}

/// Where one key is known alone: a secret, or a public key in PEM.
async fn one_key_judges_the_corpus(algorithm: Algorithm) {
    let files = Keys::ours().files();
    let keys = match algorithm.is_symmetric() {
        true => format!("secret: $(file:{})", files.secret().display()),
        false => format!("public_key: {}", files.public(algorithm).display()),
    };
    let (gateway, _origin) = gateway(algorithm, &keys).await;
    let all = verdicts_of(algorithm, now());
    let cases: Vec<&Case> = all
        .iter()
        .filter(|case| !case.by_kid && !case.at_once && case.as_bearer.is_some())
        .collect();
    assert!(cases.len() > 1_000, "{algorithm}: {}", cases.len());
    let wrong = wrong_verdicts(&gateway, &cases).await;
    assert!(wrong.is_empty(), "{algorithm}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where keys have names: what a `kid` decides, and all that is good.
async fn a_key_set_judges_by_kid(algorithm: Algorithm) {
    let files = Keys::ours().files();
    let keys = files.add("keys.json", key_set(algorithm).to_string());
    let (gateway, _origin) = gateway(algorithm, &format!("jwks: {}", keys.display())).await;
    let all = verdicts_of(algorithm, now());
    let cases: Vec<&Case> = all
        .iter()
        .filter(|case| (case.by_kid || case.accepted) && !case.at_once && case.as_bearer.is_some())
        .collect();
    assert!(cases.iter().any(|case| case.by_kid) && cases.len() > 70);
    let wrong = wrong_verdicts(&gateway, &cases).await;
    assert!(wrong.is_empty(), "{algorithm}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! for_each_algorithm {
    ($($name:ident $by_kid:ident $algorithm:ident,)+) => {
        $(#[tokio::test]
        async fn $name() {
            one_key_judges_the_corpus(Algorithm::$algorithm).await;
        }

        #[tokio::test]
        async fn $by_kid() {
            a_key_set_judges_by_kid(Algorithm::$algorithm).await;
        })+
    };
}

for_each_algorithm! {
    no_verdict_of_hs256_is_wrong no_name_of_a_key_misleads_hs256 HS256,
    no_verdict_of_hs384_is_wrong no_name_of_a_key_misleads_hs384 HS384,
    no_verdict_of_hs512_is_wrong no_name_of_a_key_misleads_hs512 HS512,
    no_verdict_of_rs256_is_wrong no_name_of_a_key_misleads_rs256 RS256,
    no_verdict_of_rs384_is_wrong no_name_of_a_key_misleads_rs384 RS384,
    no_verdict_of_rs512_is_wrong no_name_of_a_key_misleads_rs512 RS512,
    no_verdict_of_ps256_is_wrong no_name_of_a_key_misleads_ps256 PS256,
    no_verdict_of_ps384_is_wrong no_name_of_a_key_misleads_ps384 PS384,
    no_verdict_of_ps512_is_wrong no_name_of_a_key_misleads_ps512 PS512,
    no_verdict_of_es256_is_wrong no_name_of_a_key_misleads_es256 ES256,
    no_verdict_of_es384_is_wrong no_name_of_a_key_misleads_es384 ES384,
    no_verdict_of_eddsa_is_wrong no_name_of_a_key_misleads_eddsa EdDSA,
}

/// The whole corpus at the moment that it was made for, to the second, without the network between.
#[test]
fn no_verdict_is_wrong_at_the_second_on_which_it_turns() {
    let now = 1_800_000_000;
    let mut count = 0;
    for algorithm in Algorithm::ALL {
        let (keys, _) = KeySet::jwks(key_set(algorithm).to_string().as_bytes(), true).unwrap();
        let rules = Rules {
            issuer: ISSUER.into(),
            audience: vec![AUDIENCE.into()],
            algorithms: [algorithm].into_iter().collect::<Algorithms>(),
            leeway: LEEWAY,
            typ: None,
            max_size: MAX_SIZE,
        };
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        for case in verdicts_of(algorithm, now) {
            let verdict = Token::read(&case.token, MAX_SIZE)
                .and_then(|token| verify(&token, &keys, &rules, moment));
            // What a token is bound to is for whoever knows the connection to compare.
            let accepted = verdict.as_ref().is_ok_and(|claims| claims.confirmation.is_none());
            assert_eq!(accepted, case.accepted, "{algorithm}: {}: {verdict:?}", case.name);
            count += 1;
        }
    }
    assert!(count > 12_000, "{count}");
}
