use super::*;
use proptest::prelude::*;

const OLD: &str = "an old secret of at least 32 bytes";
const NEW: &str = "a new secret, of at least 32 bytes";

fn sealer(purpose: &str, secrets: &[&str]) -> Sealer {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| secret.parse().unwrap()).collect();
    Sealer::new(purpose, &secrets).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!("the tests write objects") };
    object
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// What a key seals that was never meant to be.
fn forged(sealer: &Sealer, content: &[u8]) -> String {
    let key = &sealer.keys[0];
    let mut content = content.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let aad = Aad::from(key.header.as_bytes());
    let tag = key.key.seal_in_place_separate_tag(nonce, aad, &mut content).unwrap();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}..{}.{}.{}", key.header, part(&[0; 12]), part(&content), part(tag.as_ref()))
}

#[test]
fn what_was_sealed_opens_until_it_expires() {
    let sealer = sealer("session", &[NEW]);
    let object = object(json!({"exp": 100, "sub": "ann", "groups": ["a", {"b": null}]}));
    let text = sealer.seal(&object).unwrap();
    assert_eq!(sealer.open(&text, at(0)), Ok(object.clone()));
    assert_eq!(sealer.open(&text, at(100) - Duration::from_nanos(1)), Ok(object.clone()));
    assert_eq!(sealer.open(&text, at(100)), Err(Unsealed::Expired));
    assert_eq!(sealer.open(&text, at(0) - Duration::from_secs(9)), Ok(object));
}

#[test]
fn it_is_a_compact_jwe_with_a_new_nonce_each_time() {
    let sealer = sealer("session", &[NEW]);
    let object = object(json!({"exp": 100, "sub": "ann"}));
    let (one, other) = (sealer.seal(&object).unwrap(), sealer.seal(&object).unwrap());
    let parts: Vec<_> = one.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!((parts.len(), parts[1]), (5, ""));
    assert_eq!((&header["alg"], &header["enc"]), (&json!("dir"), &json!("A256GCM")));
    assert_eq!(header.as_object().unwrap().len(), 3);
    assert_ne!(parts[2], other.split('.').nth(2).unwrap());
    assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
}

/// Held against another library's HKDF and AES-GCM, so that an upgrade of ours opens what an
/// earlier version sealed.
#[test]
fn keys_stay_the_same_across_versions() {
    let sealer = sealer("session", &[NEW]);
    let text = sealer.keys[0].seal(&object(json!({"exp": 100})), [7; 12]).unwrap();
    assert_eq!(
        text,
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoibUFOR0ZKNERfZm9GIn0\
         ..BwcHBwcHBwcHBwcH.n5Vl8vJcMJB4cMA.1iJg15RyDkw0y0_gnaZ2xg"
    );
}

#[test]
fn a_new_key_seals_and_an_old_one_still_opens() {
    let object = object(json!({"exp": 100}));
    let old = sealer("session", &[OLD]);
    let both = sealer("session", &[NEW, OLD]);
    let new = sealer("session", &[NEW]);
    let sealed_before = old.seal(&object).unwrap();
    let sealed_after = both.seal(&object).unwrap();
    assert_eq!(both.open(&sealed_before, at(0)), Ok(object.clone()));
    assert_eq!(new.open(&sealed_after, at(0)), Ok(object));
    assert_eq!(old.open(&sealed_after, at(0)), Err(Unsealed::UnknownKey));
    assert_eq!(new.open(&sealed_before, at(0)), Err(Unsealed::UnknownKey));
}

#[test]
fn what_was_sealed_for_one_purpose_opens_for_no_other() {
    let (session, login) = (sealer("session", &[NEW]), sealer("login", &[NEW]));
    let text = session.seal(&object(json!({"exp": 100}))).unwrap();
    assert_eq!(login.open(&text, at(0)), Err(Unsealed::UnknownKey));
    let renamed = text.replacen(&session.keys[0].header, &login.keys[0].header, 1);
    assert_eq!(login.open(&renamed, at(0)), Err(Unsealed::Changed));
}

#[test]
fn no_other_header_and_no_other_form_is_opened() {
    let sealer = sealer("session", &[NEW]);
    let text = sealer.seal(&object(json!({"exp": 100}))).unwrap();
    let parts: Vec<_> = text.split('.').collect();
    let with = |number: usize, part: &str| {
        let mut parts = parts.clone();
        parts[number] = part;
        sealer.open(&parts.join("."), at(0))
    };
    let header = |text: &str| with(0, &URL_SAFE_NO_PAD.encode(text));
    for other in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"dir","enc":"A128GCM"}"#,
        r#"{"alg":"dir","enc":"A256GCM"}"#,
        r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#,
        "",
    ] {
        assert_eq!(header(other), Err(Unsealed::UnknownKey));
    }
    assert_eq!(with(1, "AAAA"), Err(Unsealed::Malformed));
    assert_eq!(with(2, "AAAA"), Err(Unsealed::Malformed));
    assert_eq!(with(4, &parts[4][..16]), Err(Unsealed::Malformed));
    assert_eq!(with(4, &format!("{}==", parts[4])), Err(Unsealed::Malformed));
    assert_eq!(with(3, ""), Err(Unsealed::Changed));
    for text in ["", ".", "....", "a.b.c", &format!("{text}."), &format!(" {text}")] {
        assert!(sealer.open(text, at(0)).is_err());
    }
    assert_eq!(sealer.open(&"a".repeat(LONGEST + 1), at(0)), Err(Unsealed::TooLong));
}

/// The last letter of 16 bytes carries four bits that belong to no byte (RFC 4648 §3.5).
#[test]
fn a_second_spelling_of_the_same_bytes_is_refused() {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sealer = sealer("session", &[NEW]);
    let text = sealer.seal(&object(json!({"exp": 100}))).unwrap();
    let (kept, last) = text.split_at(text.len() - 1);
    let value = alphabet.find(last).unwrap();
    let other = alphabet.as_bytes()[value ^ 1] as char;
    assert_eq!(sealer.open(&format!("{kept}{other}"), at(0)), Err(Unsealed::Malformed));
}

#[test]
fn what_has_no_expiry_is_neither_sealed_nor_opened() {
    let sealer = sealer("session", &[NEW]);
    for content in [
        r#"{}"#,
        r#"{"exp":"100"}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":1.5}"#,
        r#"{"exp":null}"#,
        r#"[100]"#,
        "exp",
        "",
    ] {
        let opened = sealer.open(&forged(&sealer, content.as_bytes()), at(0));
        assert_eq!(opened, Err(Unsealed::NoExpiry), "{content}");
        if let Ok(Value::Object(object)) = serde_json::from_str(content) {
            assert_eq!(sealer.seal(&object), Err(Unsealable::NoExpiry));
        }
    }
    assert!(sealer.open(&forged(&sealer, br#"{"exp":1}"#), at(0)).is_ok());
}

#[test]
fn what_no_browser_would_keep_is_not_sealed() {
    let sealer = sealer("session", &[NEW]);
    let long = |length: usize| object(json!({"exp": 100, "long": "x".repeat(length)}));
    let longest = (0..LONGEST).rev().find_map(|length| sealer.seal(&long(length)).ok()).unwrap();
    assert!((LONGEST - NAME - 2..=LONGEST - NAME).contains(&longest.len()), "{}", longest.len());
    assert!(sealer.open(&longest, at(0)).is_ok());
    assert_eq!(sealer.seal(&long(LONGEST)), Err(Unsealable::TooLong));
}

#[test]
fn a_secret_that_is_short_or_stands_twice_is_refused() {
    let refusal = |secrets: &[&str]| {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| secret.parse().unwrap()).collect();
        Sealer::new("session", &secrets).unwrap_err().to_string()
    };
    assert!(refusal(&[]).contains("a secret is needed"));
    let short = refusal(&[NEW, "too short"]);
    assert!(short.contains("[1]: a secret has at least 32 bytes, this has 9"), "{short}");
    assert!(!short.contains("too short"));
    assert!(refusal(&[NEW, OLD, NEW]).contains("[2]: the same secret stands here twice"));
}

#[test]
fn debug_tells_of_no_key() {
    assert_eq!(format!("{:?}", sealer("session", &[NEW, OLD])), "Sealer { keys: 2, .. }");
}

proptest! {
    #[test]
    fn no_text_that_was_not_sealed_opens(text in ".{0,200}", parts in "[A-Za-z0-9_-]{0,40}") {
        let sealer = sealer("session", &[NEW]);
        prop_assert!(sealer.open(&text, at(0)).is_err());
        let header = &sealer.keys[0].header;
        let known = format!("{header}..AAAAAAAAAAAAAAAA.{parts}.{text}");
        prop_assert!(sealer.open(&known, at(0)).is_err());
    }

    #[test]
    fn no_change_of_a_single_character_opens(place in any::<prop::sample::Index>(), to in "[ -~]") {
        let sealer = sealer("session", &[NEW]);
        let text = sealer.seal(&object(json!({"exp": 100, "sub": "ann"}))).unwrap();
        let at_place = place.index(text.len());
        let changed = format!("{}{to}{}", &text[..at_place], &text[at_place + 1..]);
        prop_assert_eq!(sealer.open(&changed, at(0)).is_ok(), changed == text);
    }

    #[test]
    fn no_flipped_bit_opens(part in 2..5_usize, place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let sealer = sealer("session", &[NEW]);
        let text = sealer.seal(&object(json!({"exp": 100, "sub": "ann"}))).unwrap();
        let mut parts: Vec<_> = text.split('.').map(str::to_owned).collect();
        let mut bytes = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
        let at_place = place.index(bytes.len());
        bytes[at_place] ^= 1_u8 << bit;
        parts[part] = URL_SAFE_NO_PAD.encode(bytes);
        prop_assert_eq!(sealer.open(&parts.join("."), at(0)), Err(Unsealed::Changed));
    }

    #[test]
    fn what_was_cut_off_does_not_open(place in any::<prop::sample::Index>()) {
        let sealer = sealer("session", &[NEW]);
        let text = sealer.seal(&object(json!({"exp": 100}))).unwrap();
        prop_assert!(sealer.open(&text[..place.index(text.len())], at(0)).is_err());
    }
}
