//! Keeps the connection of a store, on a thread of its own: nothing that a store does, or does not
//! do, holds a worker up.

use super::connection::Connection;
use super::failure::is_fatal;
use super::report::Figures;
use super::settings::Settings;
use super::{StoreError, limits};
use redis::{Cmd, RedisError, RedisResult, Value};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// One call, as it waits for its turn.
pub struct Job {
    pub what: What,
    pub answer: oneshot::Sender<Result<Value, StoreError>>,
}

/// What a store is asked for.
pub enum What {
    /// A command.
    Command(Cmd),
    /// A script of a limit.
    Script(limits::Run),
}

/// The shortest and the longest time between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a sign of life may take, if calls may take less: one that is late once is not down.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a store that nothing is asked of is asked for a sign of life.
const EVERY: Duration = Duration::from_secs(1);

/// What a keeper and its calls share.
pub struct Kept {
    pub settings: Settings,
    pub figures: Figures,
    /// Says that the store has been found to be down by its calls.
    pub broken: Notify,
    /// Whether it was tried to connect.
    pub tried: watch::Sender<bool>,
}

/// Keeps the connection for as long as anybody may call.
pub async fn keep(kept: Arc<Kept>, mut jobs: mpsc::Receiver<Job>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match connect(&kept.settings).await {
            Ok(connection) => {
                let began = Instant::now();
                kept.figures.up(&kept.settings.name, SystemTime::now());
                kept.tried.send_replace(true);
                if let Some(why) = serve(&kept, connection, &mut jobs).await {
                    kept.figures.down(&kept.settings.name, &why, SystemTime::now());
                }
                // A replica, which lets in whoever asks and does nothing, is not asked again and
                // again.
                if began.elapsed() > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => {
                kept.figures.down(&kept.settings.name, &error.to_string(), SystemTime::now());
            }
        }
        kept.tried.send_replace(true);
        // What came while it still passed for up is told at once.
        while let Ok(job) = jobs.try_recv() {
            drop(job.answer.send(Err(StoreError::Down)));
        }
        if jobs.is_closed() {
            return;
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A connection that has answered.
async fn connect(settings: &Settings) -> Result<Connection, StoreError> {
    // The client keeps the time of each of its steps; this keeps that of all together.
    let opening = timeout(2 * settings.connect_timeout, Connection::open(settings)).await;
    let mut connection = match opening {
        Ok(opened) => opened.map_err(|error| StoreError::Connection(error.to_string().into()))?,
        Err(_) => return Err(StoreError::Timeout),
    };
    // A store that is too slow for calls is as good as none.
    alive(&mut connection, settings.timeout).await?;
    Ok(connection)
}

async fn alive(connection: &mut Connection, patience: Duration) -> Result<(), StoreError> {
    match timeout(patience, connection.send(&redis::cmd("PING"))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(StoreError::Connection(error.to_string().into())),
        Err(_) => Err(StoreError::Timeout),
    }
}

/// What is wrong with one connection, as its calls found.
#[derive(Default)]
struct Fatal {
    notify: Notify,
    why: OnceLock<String>,
}

impl Fatal {
    fn tell(&self, error: &RedisError) {
        // The first says most: what follows is that the connection is gone.
        drop(self.why.set(StoreError::of(error).to_string()));
        self.notify.notify_one();
    }

    fn why(&self) -> String {
        self.why.get().cloned().unwrap_or_default()
    }
}

/// Does what is asked for until the connection is of no more use, and says why it is not; nothing
/// where nobody calls any more, or its callers have said it.
async fn serve(
    kept: &Arc<Kept>,
    connection: Connection,
    jobs: &mut mpsc::Receiver<Job>,
) -> Option<String> {
    // One for each connection: what fails late with the last one says nothing of this one.
    let fatal = Arc::new(Fatal::default());
    loop {
        tokio::select! {
            biased;
            () = fatal.notify.notified() => return Some(fatal.why()),
            () = kept.broken.notified() => {
                // What was said of the last connection is over.
                if !kept.figures.is_up() {
                    return None;
                }
            }
            job = jobs.recv() => {
                let job = job?;
                // Who has given up waiting is not served: units would be taken for nobody.
                if !job.answer.is_closed() {
                    // Each waits for its own answer, while others are sent behind it.
                    let patience = PATIENCE.max(kept.settings.timeout);
                    tokio::spawn(answer(Arc::clone(&fatal), patience, connection.clone(), job));
                }
            }
            () = sleep(EVERY) => {
                let mut connection = connection.clone();
                if let Err(error) = alive(&mut connection, PATIENCE.max(kept.settings.timeout)).await {
                    return Some(error.to_string());
                }
            }
        }
    }
}

async fn answer(fatal: Arc<Fatal>, patience: Duration, mut connection: Connection, job: Job) {
    let Job { what, answer } = job;
    let asked = async {
        let result = match &what {
            What::Command(command) => connection.send(command).await,
            What::Script(run) => script(&mut connection, run).await,
        };
        if let Err(error) = &result
            && is_fatal(error)
        {
            fatal.tell(error);
        }
        result.map_err(|error| StoreError::of(&error))
    };
    // Who has asked keeps the same time, so that nobody waits for this; it only ends what would wait
    // for ever.
    let result = timeout(patience, asked).await;
    drop(answer.send(result.unwrap_or(Err(StoreError::Timeout))));
}

/// Runs a script, and loads it first where the server does not know it: it is new, or has started
/// anew.
async fn script(connection: &mut Connection, run: &limits::Run) -> RedisResult<Value> {
    match connection.send(&run.command(false)).await {
        Err(error) if error.code() == Some("NOSCRIPT") => connection.send(&run.command(true)).await,
        result => result,
    }
}
