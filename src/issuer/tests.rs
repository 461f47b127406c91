use super::permits::BURST;
use super::scripted::{Pages, Scripted, answer};
use super::*;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet, yield_now};

/// Keys that are names: `{"keys":["a","b"]}`.
#[derive(Debug, PartialEq)]
struct Names(Vec<String>);

impl KeySet for Names {
    fn parse(document: &[u8]) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_slice(document).map_err(|error| error.to_string())?;
        let keys = value["keys"].as_array().ok_or("it has no `keys`")?;
        Ok(Names(keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect()))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|name| name == kid)
    }

    fn lost(&self, newer: &Self) -> bool {
        self.0.iter().any(|name| !newer.has(name))
    }
}

const KEYS: &str = "https://id.test/keys";

struct Kept {
    issuer: Arc<Issuer<Names>>,
    pages: Arc<Pages>,
    task: JoinHandle<()>,
}

impl Kept {
    /// An issuer that has these keys, kept and asked for the first time.
    async fn with(keys: &str) -> Self {
        let kept = Kept::down(Plan::keys("internal", KEYS).unwrap());
        kept.has(keys);
        kept.issuer.first_answer().await;
        kept
    }

    fn down(plan: Plan) -> Self {
        let (issuer, pages) = (Arc::new(Issuer::new(plan)), Arc::new(Pages::default()));
        let task = keep(&issuer, &pages);
        Kept { issuer, pages, task }
    }

    fn has(&self, keys: &str) {
        let names: Vec<&str> = keys.split_whitespace().collect();
        self.pages.put(KEYS, &serde_json::json!({ "keys": names }).to_string());
    }

    fn keys(&self) -> String {
        self.issuer.keys().map_or_else(String::new, |keys| keys.0.join(" "))
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.pages.asked().len()
    }

    fn ask(&self, kid: &str) -> impl Future<Output = Result<(), Missing>> + Send + use<> {
        let (issuer, kid) = (Arc::clone(&self.issuer), kid.to_owned());
        async move { issuer.refreshed(&kid).await.map(|keys| assert!(keys.has(&kid))) }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn keep(issuer: &Arc<Issuer<Names>>, pages: &Arc<Pages>) -> JoinHandle<()> {
    let (issuer, pages) = (Arc::clone(issuer), Arc::clone(pages));
    tokio::spawn(async move { issuer.keep_by(&pages).await })
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_is_found_when_it_is_up() {
    let kept = Kept::down(Plan::keys("internal", KEYS).unwrap());
    kept.issuer.first_answer().await;
    assert_eq!(kept.issuer.loaded().await, Err(Missing::Unavailable));
    let waits = tokio::spawn(kept.ask("a"));
    yield_now().await;
    kept.has("a");
    assert_eq!(waits.await.unwrap(), Ok(()));
    assert!(kept.issuer.loaded().await.is_ok());
    let report = kept.issuer.report();
    assert!(report.succeeded.is_some() && report.failed > 0 && report.waiting == 0);
    assert_eq!((report.keys, report.trouble), (1, None));
}

#[tokio::test(start_paused = true)]
async fn keys_are_kept_while_the_issuer_is_down_however_long() {
    let kept = Kept::with("a").await;
    kept.pages.set_down(true);
    pass(7 * 24 * 60 * 60).await;
    assert_eq!(kept.keys(), "a");
    assert_eq!(kept.issuer.report().trouble, Some(Trouble::Silent));
    // It is asked about once a minute, and not all the time.
    assert!(kept.asked() < 7 * 24 * 60 * 3, "{}", kept.asked());
    kept.has("a b");
    kept.pages.set_down(false);
    pass(60).await;
    assert_eq!(kept.keys(), "a b");
    assert_eq!(kept.issuer.report().trouble, None);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_withdrawn_are_gone() {
    let kept = Kept::with("a").await;
    kept.pages.put(KEYS, r#"{"keys":[]}"#);
    pass(10 * 60).await;
    assert_eq!((kept.keys().as_str(), kept.issuer.generation()), ("", 1));
    assert_eq!(kept.ask("a").await, Err(Missing::Unknown));
    assert_eq!(kept.issuer.report().trouble, Some(Trouble::NoKeys));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_key_set_changes_nothing() {
    let kept = Kept::with("a").await;
    for (page, trouble) in [
        (r#"{"error":"maintenance"}"#, Trouble::Malformed),
        ("<html>", Trouble::Malformed),
        ("", Trouble::Malformed),
    ] {
        kept.pages.put(KEYS, page);
        pass(10 * 60).await;
        assert_eq!((kept.keys().as_str(), kept.issuer.generation()), ("a", 0));
        assert_eq!(kept.issuer.report().trouble, Some(trouble), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_generation_ends_only_when_a_key_is_lost() {
    let kept = Kept::with("a").await;
    let mut generations = Vec::new();
    for keys in ["a b", "b a", "b c", "b c", "d"] {
        kept.has(keys);
        pass(6 * 60).await;
        assert_eq!(kept.keys(), keys);
        generations.push(kept.issuer.generation());
    }
    assert_eq!(generations, [0, 0, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn how_often_is_asked_is_what_the_operator_says_or_the_issuer() {
    async fn asked(plan: Plan, age: Option<u64>) -> usize {
        let kept = Kept::down(plan);
        kept.has("a");
        age.into_iter().for_each(|age| kept.pages.set_max_age(Duration::from_secs(age)));
        pass(3 * 60 * 60 - 1).await;
        kept.asked()
    }
    let plan = || Plan::keys("internal", KEYS).unwrap();
    assert_eq!(asked(plan(), None).await, 36);
    assert_eq!(asked(plan(), Some(0)).await, 180);
    assert_eq!(asked(plan(), Some(600)).await, 18);
    assert_eq!(asked(plan(), Some(86_400)).await, 3);
    assert_eq!(asked(plan().refresh(Duration::from_secs(30 * 60)), Some(60)).await, 6);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_under_load_fails_nobody() {
    let kept = Kept::with("a").await;
    kept.pages.set_slow(200);
    for (number, name) in ["b", "c", "d"].into_iter().enumerate() {
        // A round is under way that has already read the old keys.
        let early = tokio::spawn(kept.ask("nobody"));
        yield_now().await;
        yield_now().await;
        kept.has(&format!("a {name}"));
        let mut waiting: JoinSet<_> = (0..300).map(|_| kept.ask(name)).collect();
        while let Some(outcome) = waiting.join_next().await {
            assert_eq!(outcome.unwrap(), Ok(()), "{name}");
        }
        assert_eq!(early.await.unwrap(), Err(Missing::Unknown));
        assert!(kept.asked() <= 1 + 2 * (number + 1), "{}", kept.asked());
        pass(60).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_after_its_token_was_refused_is_found_at_the_next_try() {
    let kept = Kept::with("a").await;
    assert_eq!(kept.ask("b").await, Err(Missing::Unknown));
    kept.has("a b");
    assert_eq!(kept.ask("b").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_names_that_no_key_has_asks_the_issuer_no_more_than_its_share() {
    let kept = Kept::with("a").await;
    kept.pages.set_slow(20);
    for wave in 0..3 {
        let mut flood: JoinSet<_> =
            (0..500).map(|number| kept.ask(&format!("{wave}-{number}"))).collect();
        while let Some(outcome) = flood.join_next().await {
            assert_eq!(outcome.unwrap(), Err(Missing::Unknown));
        }
    }
    assert!(kept.asked() <= 1 + BURST as usize, "{}", kept.asked());
    // Those who come when there is nothing left wait for the next question, and get their key.
    for number in 0..8 {
        let outcome = kept.ask(&format!("more-{number}")).await;
        assert_eq!(outcome, Err(Missing::Unknown));
    }
    kept.has("a b");
    assert_eq!(kept.ask("b").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_same_wrong_name_leaves_questions_for_others() {
    let kept = Kept::with("a").await;
    for _ in 0..1000 {
        assert_eq!(kept.ask("wrong").await, Err(Missing::Unknown));
    }
    assert_eq!(kept.asked(), 1 + BURST as usize / 2);
    kept.has("a b");
    let began = Instant::now();
    assert_eq!(kept.ask("b").await, Ok(()));
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_there_are_places_and_each_gives_its_place_back() {
    let kept = Kept::down(Plan::keys("internal", KEYS).unwrap());
    kept.pages.set_down(true);
    let mut waiting: JoinSet<_> =
        (0..WAITING).map(|number| kept.ask(&number.to_string())).collect();
    while kept.issuer.report().waiting < WAITING {
        yield_now().await;
    }
    let began = Instant::now();
    assert_eq!(kept.ask("one more").await, Err(Missing::Unavailable));
    assert_eq!(began.elapsed(), Duration::ZERO);
    waiting.abort_all();
    while waiting.join_next().await.is_some() {}
    assert_eq!(kept.issuer.report().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_they_should_and_not_at_all_for_what_is_long_down() {
    let kept = Kept::with("a").await;
    kept.pages.set_down(true);
    let began = Instant::now();
    assert_eq!(kept.ask("b").await, Err(Missing::Unavailable));
    assert!(began.elapsed() <= PATIENCE);
    pass(60).await;
    let began = Instant::now();
    assert_eq!(kept.ask("b").await, Err(Missing::Unavailable));
    assert!(began.elapsed() <= Duration::from_secs(1));
    // What was not answered says nothing of the key.
    kept.pages.set_down(false);
    kept.has("a b");
    assert_eq!(kept.ask("b").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_keeper_may_be_replaced_in_the_middle_of_a_round() {
    let mut kept = Kept::with("a").await;
    kept.pages.set_slow(1000);
    let waits = tokio::spawn(kept.ask("b"));
    while kept.asked() < 2 {
        yield_now().await;
    }
    kept.has("a b");
    kept.task.abort();
    kept.task = keep(&kept.issuer, &kept.pages);
    assert_eq!(waits.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_metadata_and_followed_when_they_move() {
    const OAUTH: &str = "https://id.test/.well-known/oauth-authorization-server";
    let document = |keys: &str| {
        let ask = "https://id.test/ask";
        serde_json::json!({"issuer": "https://id.test", "jwks_uri": keys, "introspection_endpoint": ask})
            .to_string()
    };
    let kept = Kept::down(Plan::discovered("https://id.test").unwrap());
    kept.pages.put(OAUTH, &document(KEYS));
    kept.has("a");
    kept.issuer.first_answer().await;
    assert_eq!(kept.keys(), "a");
    let told = kept.issuer.metadata().borrow().clone().unwrap();
    assert_eq!(told.introspection.as_ref().unwrap().to_string(), "https://id.test/ask");
    kept.pages.put("https://id.test/moved", r#"{"keys":["b"]}"#);
    kept.pages.put(OAUTH, &document("https://id.test/moved"));
    pass(2 * 60 * 60).await;
    assert_eq!(kept.keys(), "b");
    // Metadata of another issuer are refused, and nothing is changed by them.
    kept.pages.put(OAUTH, &document(KEYS).replace("id.test\"", "evil.test\""));
    pass(2 * 60 * 60).await;
    assert_eq!(kept.keys(), "b");
    assert_eq!(kept.issuer.report().trouble, Some(Trouble::WrongIssuer));
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_keys_gets_endpoints_without_them() {
    let kept = Kept::down(Plan::endpoints("https://id.test").unwrap());
    let ask = r#"{"issuer":"https://id.test","introspection_endpoint":"https://id.test/ask"}"#;
    kept.pages.put("https://id.test/.well-known/openid-configuration", ask);
    kept.issuer.first_answer().await;
    assert!(kept.issuer.metadata().borrow().is_some());
    assert_eq!(kept.issuer.report().trouble, None);
    assert_eq!(kept.issuer.loaded().await, Err(Missing::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn keys_without_names_are_asked_for_again_where_a_question_can_be_spared() {
    let kept = Kept::with("a").await;
    let before = kept.issuer.keys().unwrap();
    assert_eq!(kept.issuer.newer(&before).await, Err(Missing::Unknown));
    kept.has("b");
    assert_eq!(kept.issuer.newer(&before).await.unwrap().0, ["b"]);
    let now = kept.issuer.keys().unwrap();
    while kept.asked() < 1 + BURST as usize / 2 {
        assert_eq!(kept.issuer.newer(&now).await, Err(Missing::Unknown));
    }
    let asked = kept.asked();
    for _ in 0..100 {
        assert_eq!(kept.issuer.newer(&now).await, Err(Missing::Unknown));
        assert!(kept.issuer.newer(&before).await.is_ok());
    }
    assert_eq!(kept.asked(), asked);
}

/// Over real connections, and so in real time.
#[tokio::test]
async fn a_real_server_may_rotate_its_keys_and_die() {
    let server = Scripted::says(&answer(200, r#"{"keys":["a"]}"#)).await;
    let plan = Plan::keys("internal", &server.at("/keys").to_string()).unwrap();
    let issuer = Arc::new(Issuer::<Names>::new(plan));
    let keeper = tokio::spawn({
        let issuer = Arc::clone(&issuer);
        async move { issuer.keep().await }
    });
    assert!(issuer.loaded().await.unwrap().has("a"));
    server.now_says(&answer(200, r#"{"keys":["b"]}"#));
    let mut many = JoinSet::new();
    for _ in 0..50 {
        let issuer = Arc::clone(&issuer);
        many.spawn(async move { issuer.refreshed("b").await.is_ok() });
    }
    assert!(many.join_all().await.into_iter().all(|found| found));
    assert_eq!((server.asked().len(), issuer.generation()), (2, 1));
    drop(server);
    let waits = tokio::spawn({
        let issuer = Arc::clone(&issuer);
        async move { issuer.refreshed("c").await.is_ok() }
    });
    while issuer.report().trouble.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(issuer.refreshed("b").await.is_ok());
    waits.abort();
    keeper.abort();
}
