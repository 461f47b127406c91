//! A good token is good to the last bit.

use super::mint::{Mint, good};
use crate::jose::Algorithm;
use proptest::prelude::*;

/// Every byte of a token, one after another: each of its bits is turned, and it is swapped for
/// another character of the alphabet.
#[test]
fn a_token_with_one_byte_changed_is_refused_for_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let mint = Mint::new(algorithm);
        let (keys, rules) = (mint.keys(), mint.rules());
        let token = mint.claims(&good());
        assert!(super::mint::judge(&token, &keys, &rules).is_ok(), "{algorithm}");
        for place in 0..token.len() {
            let others = (0..7).map(|bit| token.as_bytes()[place] ^ (1 << bit));
            for other in others.chain(*b"A_.= ") {
                if other == token.as_bytes()[place] {
                    continue;
                }
                let mut bytes = token.clone().into_bytes();
                bytes[place] = other;
                let forged = String::from_utf8(bytes).unwrap();
                let verdict = super::mint::judge(&forged, &keys, &rules);
                assert!(verdict.is_err(), "{algorithm}: byte {place} became {other}: {forged}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_token_that_is_cut_joined_or_mended_is_refused(
        from in 0..400usize, to in 0..400usize, put in "[ -~]{0,12}",
    ) {
        thread_local! {
            static MINT: (Mint, String) = {
                let mint = Mint::new(Algorithm::ES256);
                let token = mint.claims(&good());
                (mint, token)
            };
        }
        MINT.with(|(mint, token)| {
            let (from, to) = (from.min(token.len()), to.min(token.len()));
            let (from, to) = (from.min(to), from.max(to));
            let forged = format!("{}{put}{}", &token[..from], &token[to..]);
            prop_assert_eq!(mint.judge(&forged).is_ok(), forged == *token);
            Ok(())
        })?;
    }

    #[test]
    fn random_claims_never_panic(payload in "\\{(\"(iss|aud|exp|nbf|iat|cnf)\":[-0-9eE.\\[\\]{}\"]{1,9},?)*\\}") {
        let mint = Mint::new(Algorithm::HS256);
        let token = mint.token(mint.header().to_string(), payload);
        prop_assert!(mint.judge(&token).is_err());
    }
}
