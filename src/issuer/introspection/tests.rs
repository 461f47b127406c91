use super::super::scripted::{Scripted, answer};
use super::*;
use std::time::UNIX_EPOCH;
use tokio::task::JoinHandle;

struct Asking {
    server: Scripted,
    asks: Arc<Introspector>,
    keeper: JoinHandle<()>,
}

impl Asking {
    async fn says(text: &str) -> Self {
        Asking::with(text, |plan| plan).await
    }

    async fn with(text: &str, change: impl Fn(Plan) -> Plan) -> Self {
        let server = Scripted::says(text).await;
        let endpoint = Endpoint::At(server.at("/ask"));
        let plan = change(Plan::new(endpoint, "gw:1", "s e&c".parse().unwrap()));
        let asks = Arc::new(Introspector::new(plan));
        let keeper = tokio::spawn(Arc::clone(&asks).keep());
        Asking { server, asks, keeper }
    }

    async fn ask(&self, token: &str) -> Result<Result<(), Refused>, Unavailable> {
        Ok(self.asks.ask(token).await?.map(drop))
    }

    fn asked(&self) -> usize {
        self.server.asked().len()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn active(members: &str) -> String {
    answer(200, &format!(r#"{{"active":true{members}}}"#))
}

fn inactive() -> String {
    answer(200, r#"{"active":false}"#)
}

/// A time in whole seconds, so many from now.
fn from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

#[tokio::test]
async fn a_token_is_posted_with_the_credentials_of_the_client() {
    let asking = Asking::says(&active(r#","sub":"u1""#)).await;
    let known = asking.asks.ask("a+b/c=&token=d").await.unwrap().unwrap();
    assert_eq!(known.claims["sub"], "u1");
    let request = &asking.server.asked()[0];
    assert!(request.starts_with("POST /ask HTTP/1.1"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    let basic = STANDARD.encode("gw%3A1:s+e%26c");
    assert!(request.contains(&format!("authorization: Basic {basic}\r\n")), "{request}");
    let body = request.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(body, "token=a%2Bb%2Fc%3D%26token%3Dd&token_type_hint=access_token");
}

#[tokio::test]
async fn a_bad_token_is_refused_and_remembered_like_a_good_one() {
    let asking = Asking::says(&active("")).await;
    for _ in 0..3 {
        assert_eq!(asking.ask("good").await, Ok(Ok(())));
    }
    asking.server.now_says(&inactive());
    for _ in 0..3 {
        assert_eq!(asking.ask("bad").await, Ok(Err(Refused::Inactive)));
        assert_eq!(asking.ask("good").await, Ok(Ok(())));
    }
    assert_eq!(asking.asked(), 2);
    let report = asking.asks.report();
    assert_eq!((report.answered, report.failed, report.trouble), (2, 0, None));
}

#[tokio::test]
async fn what_is_no_answer_is_never_taken_for_a_bad_token() {
    for (said, trouble) in [
        (answer(503, r#"{"active":false}"#), Trouble::Status),
        (answer(201, r#"{"active":true}"#), Trouble::Status),
        (answer(400, r#"{"error":"invalid_request"}"#), Trouble::Status),
        (answer(401, r#"{"active":false}"#), Trouble::Refused),
        (answer(403, ""), Trouble::Refused),
        (answer(200, ""), Trouble::Malformed),
        (answer(200, r#"{"active":"false"}"#), Trouble::Malformed),
        (answer(200, &" ".repeat(LARGEST + 1)), Trouble::TooLarge),
    ] {
        let asking = Asking::says(&said).await;
        assert_eq!(asking.ask("a").await, Err(Unavailable), "{said:.60}");
        assert_eq!(asking.asks.report().trouble, Some(trouble), "{said:.60}");
        // It is not remembered: the next one may hear better.
        asking.server.now_says(&active(""));
        assert_eq!(asking.ask("a").await, Ok(Ok(())));
        assert_eq!(asking.asks.report().trouble, None);
    }
}

#[tokio::test]
async fn an_issuer_that_is_gone_or_silent_is_unavailable_in_time() {
    let mut asking = Asking::says(&active("")).await;
    asking.server = Scripted::says(&active("")).await;
    assert_eq!(asking.ask("a").await, Err(Unavailable));
    let short = |plan: Plan| plan.timeout(Duration::from_millis(50));
    let asking = Asking::with("", short).await;
    let began = Instant::now();
    assert_eq!(asking.ask("a").await, Err(Unavailable));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn one_token_is_asked_about_once_at_a_time() {
    let asking = Asking::with(&active(""), |plan| plan.cache(Duration::ZERO)).await;
    let mut many = JoinSet::new();
    for number in 0..200 {
        let asks = Arc::clone(&asking.asks);
        many.spawn(async move { asks.ask(if number % 2 == 0 { "a" } else { "b" }).await.is_ok() });
    }
    assert!(many.join_all().await.into_iter().all(|heard| heard));
    assert_eq!(asking.asked(), 2);
    // Nothing is remembered where nothing is to be.
    assert_eq!(asking.ask("a").await, Ok(Ok(())));
    assert_eq!(asking.asked(), 3);
    assert!(asking.asks.shards.iter().all(|shard| lock(shard).flights.is_empty()));
}

#[tokio::test]
async fn nothing_is_accepted_at_or_after_its_end() {
    let asking = Asking::says(&active(&format!(r#","exp":{}"#, from_now(-1)))).await;
    assert_eq!(asking.ask("a").await, Ok(Err(Refused::Expired)));
    asking.server.now_says(&active(&format!(r#","exp":{}"#, from_now(3600))));
    let good = asking.asks.ask("b").await.unwrap().unwrap();
    assert!(good.expires.unwrap() > SystemTime::now());
    asking.server.now_says(&active(&format!(r#","nbf":{}"#, from_now(3600))));
    assert_eq!(asking.ask("c").await, Ok(Err(Refused::Early)));
}

#[tokio::test]
async fn a_question_that_is_lost_leaves_nobody_waiting() {
    let asking = Asking::with("", |plan| plan.timeout(Duration::from_secs(3600))).await;
    let asks = Arc::clone(&asking.asks);
    let waits = tokio::spawn(async move { asks.ask("a").await });
    while asking.asked() == 0 {
        tokio::task::yield_now().await;
    }
    asking.keeper.abort();
    assert_eq!(waits.await.unwrap().map(|_| ()), Err(Unavailable));
    asking.server.now_says(&active(""));
    let keeper = tokio::spawn(Arc::clone(&asking.asks).keep());
    assert_eq!(asking.ask("a").await, Ok(Ok(())));
    keeper.abort();
}

#[tokio::test]
async fn no_more_tokens_wait_than_have_a_place() {
    let server = Scripted::says(&active("")).await;
    let plan = Plan::new(Endpoint::At(server.at("/")), "gw", "secret".parse().unwrap());
    let asks = Arc::new(Introspector::new(plan));
    let mut many = JoinSet::new();
    for number in 0..QUEUE {
        let asks = Arc::clone(&asks);
        many.spawn(async move { asks.ask(&number.to_string()).await.is_ok() });
    }
    while asks.queue.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asks.ask("one more").await.map(|_| ()), Err(Unavailable));
    let keeper = tokio::spawn(Arc::clone(&asks).keep());
    assert!(many.join_all().await.into_iter().all(|heard| heard));
    keeper.abort();
}

#[tokio::test]
async fn an_endpoint_is_where_the_metadata_say() {
    let server = Scripted::says(&active("")).await;
    let (told, metadata) = watch::channel(None);
    let plan = Plan::new(Endpoint::Told(metadata), "gw", "secret".parse().unwrap());
    let asks = Arc::new(Introspector::new(plan));
    let keeper = tokio::spawn(Arc::clone(&asks).keep());
    let first = tokio::spawn({
        let asks = Arc::clone(&asks);
        async move { asks.ask("a").await.is_ok() }
    });
    tokio::task::yield_now().await;
    let metadata = |introspection| Some(Arc::new(Metadata { keys: None, introspection }));
    told.send_replace(metadata(Some(server.at("/told"))));
    assert!(first.await.unwrap());
    assert!(server.asked()[0].starts_with("POST /told "));
    told.send_replace(metadata(None));
    assert_eq!(asks.ask("b").await.map(|_| ()), Err(Unavailable));
    keeper.abort();
}

#[test]
fn a_secret_is_in_no_debug_output() {
    let plan = Plan::new(Endpoint::at("https://a/").unwrap(), "gw", "sesame".parse().unwrap());
    assert!(!format!("{:?}", Introspector::new(plan.clone())).contains("sesame"));
    assert!(!format!("{:?}", authorization("gw", &plan.secret)).contains("Basic"));
}
