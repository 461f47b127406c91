use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn passwords(users: &[(&str, String)]) -> Passwords<&'static str> {
    let verifier = Arc::new(Verifier::with_key(2, &[7; 32]));
    let mut passwords = Passwords::new(verifier);
    for ((user, hash), owner) in users.iter().zip(["first", "second", "third"]) {
        assert_eq!(passwords.insert(user, hash.parse().unwrap(), owner), None);
    }
    passwords
}

/// What is left of the places in the line: 2 that are being checked and 64 that wait.
fn free(passwords: &Passwords<&'static str>) -> usize {
    passwords.verifier.line().available_permits()
}

/// Fills the line, so that whatever is answered is answered from memory.
fn fill(passwords: &Passwords<&'static str>) -> tokio::sync::OwnedSemaphorePermit {
    let line = Arc::clone(passwords.verifier.line());
    let all = u32::try_from(line.available_permits()).unwrap();
    line.try_acquire_many_owned(all).unwrap()
}

#[tokio::test]
async fn a_user_with_the_right_password_is_found() {
    let passwords = passwords(&[("a", sample::argon2id("one")), ("b", sample::bcrypt("two"))]);
    let now = Instant::now();
    assert_eq!(passwords.check("a", "one", now).await, Ok(Some("first")));
    assert_eq!(passwords.check("b", "two", now).await, Ok(Some("second")));
    for (user, password) in
        [("a", "two"), ("b", "one"), ("a", ""), ("", "one"), ("A", "one"), ("a ", "one")]
    {
        assert_eq!(passwords.check(user, password, now).await, Ok(None), "{user}:{password}");
    }
    assert_eq!(free(&passwords), 66, "every check gave its place back");
}

#[tokio::test]
async fn a_user_that_nobody_knows_has_no_password_not_even_that_of_who_stands_in() {
    let passwords = passwords(&[("a", sample::argon2id("one"))]);
    let now = Instant::now();
    assert_eq!(passwords.stand_in("stranger"), Some(0));
    assert_eq!(passwords.check("stranger", "one", now).await, Ok(None));
    // Once more from memory: the right password of who stands in did not become a good result.
    assert_eq!(passwords.check("stranger", "one", now).await, Ok(None));
}

#[tokio::test]
async fn a_user_that_nobody_knows_is_checked_like_one_that_is_known() {
    let passwords = passwords(&[("a", sample::argon2id("one"))]);
    let full = fill(&passwords);
    let now = Instant::now();
    assert_eq!(passwords.check("a", "wrong", now).await, Err(Busy));
    assert_eq!(passwords.check("stranger", "wrong", now).await, Err(Busy));
    drop(full);
    assert_eq!(passwords.check("a", "wrong", now).await, Ok(None));
    assert_eq!(passwords.check("stranger", "wrong", now).await, Ok(None));
    let _full = fill(&passwords);
    assert_eq!(passwords.check("a", "wrong", now).await, Ok(None), "both are remembered");
    assert_eq!(passwords.check("stranger", "wrong", now).await, Ok(None), "both are remembered");
}

#[tokio::test]
async fn unknown_users_are_spread_over_the_hashes_of_known_ones() {
    let hash = sample::argon2id("one");
    let passwords = passwords(&[("a", hash.clone()), ("b", hash.clone()), ("c", hash)]);
    let mut seen = [false; 3];
    for number in 0..100 {
        let user = format!("stranger{number}");
        let stand_in = passwords.stand_in(&user).unwrap();
        assert_eq!(passwords.stand_in(&user), Some(stand_in));
        seen[stand_in] = true;
    }
    assert_eq!(seen, [true; 3]);
}

#[tokio::test]
async fn a_good_result_is_remembered_for_five_minutes() {
    let passwords = passwords(&[("a", sample::argon2id("one"))]);
    let now = Instant::now();
    assert_eq!(passwords.check("a", "one", now).await, Ok(Some("first")));
    let _full = fill(&passwords);
    assert_eq!(passwords.check("a", "one", now + 299 * SECOND).await, Ok(Some("first")));
    assert_eq!(passwords.check("a", "one", now + 300 * SECOND).await, Err(Busy));
    assert_eq!(passwords.check("a", "two", now).await, Err(Busy), "another password is none of it");
}

#[tokio::test]
async fn a_bad_result_is_remembered_for_ten_seconds() {
    let passwords = passwords(&[("a", sample::argon2id("one"))]);
    let now = Instant::now();
    assert_eq!(passwords.check("a", "two", now).await, Ok(None));
    let _full = fill(&passwords);
    assert_eq!(passwords.check("a", "two", now + 9 * SECOND).await, Ok(None));
    assert_eq!(passwords.check("a", "two", now + 10 * SECOND).await, Err(Busy));
}

#[tokio::test]
async fn what_is_remembered_of_an_old_hash_does_not_count_for_a_new_one() {
    let mut passwords = passwords(&[("a", sample::argon2id("one"))]);
    let now = Instant::now();
    assert_eq!(passwords.check("a", "one", now).await, Ok(Some("first")));
    let replaced = passwords.insert("a", sample::argon2id("two").parse().unwrap(), "new");
    assert_eq!(replaced, Some("first"));
    assert_eq!(passwords.check("a", "one", now).await, Ok(None));
    assert_eq!(passwords.check("a", "two", now).await, Ok(Some("new")));
}

#[tokio::test]
async fn those_who_ask_the_same_at_once_wait_for_one_check() {
    let passwords = passwords(&[("a", sample::argon2id("one"))]);
    let now = Instant::now();
    let check = || passwords.check("a", "one", now);
    let (a, b, c) = tokio::join!(check(), check(), check());
    assert_eq!([a, b, c], [Ok(Some("first")); 3]);
}

#[tokio::test]
async fn a_check_that_nobody_waits_for_any_more_gives_its_place_back() {
    let passwords = passwords(&[("a", sample::argon2id("one"))]);
    let check = passwords.check("a", "one", Instant::now());
    // The client leaves when the check has just begun.
    assert!(tokio::time::timeout(Duration::ZERO, check).await.is_err());
    let line = passwords.verifier.line();
    assert!(line.acquire_many(66).await.is_ok(), "it comes back when the check has ended");
}

#[tokio::test]
async fn where_there_are_no_users_nobody_is_found() {
    let passwords = passwords(&[]);
    assert_eq!(passwords.check("a", "one", Instant::now()).await, Ok(None));
    assert!(passwords.is_empty());
}

#[test]
fn texts_that_are_parted_elsewhere_have_another_mark() {
    let verifier = Verifier::with_key(1, &[7; 32]);
    assert_ne!(verifier.mark(&[b"ab", b"c"]), verifier.mark(&[b"a", b"bc"]));
    assert_ne!(verifier.mark(&[b"a"]), Verifier::with_key(1, &[8; 32]).mark(&[b"a"]));
}
