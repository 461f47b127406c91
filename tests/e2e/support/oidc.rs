//! A real OpenID provider: `tests/oidc/provider.mjs`, which `make test` installs.

use super::client::{Client, Response};
use super::port::Port;
use super::wait::{PATIENCE, within};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A provider on a port that it keeps while it is stopped; it ends with the value.
///
/// Its clients are `orders` (whose tokens have the role `reader`), `admin` (`reader` and `admin`)
/// and `gateway`, which may only introspect. The secret of each is its name and `-secret`.
pub struct Provider {
    port: Port,
    folder: TempDir,
    running: Option<Running>,
}

struct Running {
    /// Its input, whose end is the provider's.
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Provider {
    /// Starts a provider with new keys.
    pub async fn start() -> Provider {
        let folder = tempfile::tempdir().unwrap();
        let mut provider = Provider { port: Port::reserve(), folder, running: None };
        provider.restart().await;
        provider
    }

    /// Its issuer identifier, below which its discovery document is.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.port.address)
    }

    /// Asks for an access token with the grant `client_credentials`, and gives it.
    ///
    /// The audience of each is `api`. Those for the resource `urn:api:RS256` (or `PS256`, `ES256`,
    /// `EdDSA`) are JWTs after RFC 9068, those for `urn:opaque` are not. The scopes that it knows
    /// are `orders.read` and `orders.write`.
    pub async fn token(&self, client: &str, resource: &str, scope: &str) -> String {
        let form = format!("grant_type=client_credentials&resource={resource}&scope={scope}");
        let response = self.post("/token", client, &form).await;
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()["access_token"].as_str().expect("an access token").to_owned()
    }

    /// Revokes an opaque token (RFC 7009).
    pub async fn revoke(&self, client: &str, token: &str) {
        let response = self.post("/token/revocation", client, &format!("token={token}")).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }

    /// Introspects a token (RFC 7662), as the gateway would.
    pub async fn introspect(&self, token: &str) -> Value {
        self.post("/token/introspection", "gateway", &format!("token={token}")).await.json()
    }

    /// Gets one of its documents.
    pub async fn get(&self, path: &str) -> Value {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.port.address
        );
        Client::connect(self.port.address).await.request(&request).await.json()
    }

    async fn post(&self, path: &str, client: &str, form: &str) -> Response {
        let credentials = STANDARD.encode(format!("{client}:{client}-secret"));
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {credentials}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{form}",
            self.port.address,
            form.len()
        );
        Client::connect(self.port.address).await.request(&request).await
    }

    /// Signs with new keys from now on. The old ones stay in its key set.
    pub async fn rotate(&mut self) {
        self.command("rotate").await;
    }

    /// Takes all but the newest keys out of its key set.
    pub async fn retire(&mut self) {
        self.command("retire").await;
    }

    /// Stops it. Connections to its port are refused from then on.
    pub async fn stop(&mut self) {
        let Some(Running { input, output, mut child }) = self.running.take() else { return };
        drop((input, output));
        within("the provider's end", child.wait()).await.unwrap();
    }

    /// Starts it on the same port with the keys that it had, after stopping it if it runs. Opaque
    /// tokens from before are forgotten.
    pub async fn restart(&mut self) {
        self.stop().await;
        let home = Path::new("tests/oidc");
        assert!(
            home.join("node_modules/oidc-provider").exists(),
            "the OpenID provider of the tests is not installed; `make test` installs it"
        );
        let mut child = Command::new("node")
            .arg(home.join("provider.mjs"))
            .args(["--port", &self.port.address.port().to_string(), "--keys"])
            .arg(self.folder.path().join("keys.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder.path().join("stderr")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("Node.js does not start ({error}); `make test` installs it")
            });
        let input = child.stdin.take().expect("its input is piped");
        let output = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        self.running = Some(Running { input, output, child });
        let ready = self.answer().await;
        assert_eq!(ready["ready"], self.port.address.port(), "{ready}");
    }

    /// Starts it on the same port with keys that nobody has seen, as another provider would be.
    pub async fn restart_with_other_keys(&mut self) {
        self.stop().await;
        fs::remove_file(self.folder.path().join("keys.json")).unwrap();
        self.restart().await;
    }

    async fn command(&mut self, command: &str) {
        let running = self.running.as_mut().expect("the provider runs");
        running.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let answer = self.answer().await;
        assert_eq!(answer["done"], command, "{answer}");
    }

    /// Reads the next line that it says.
    async fn answer(&mut self) -> Value {
        let running = self.running.as_mut().expect("the provider runs");
        let line = match tokio::time::timeout(PATIENCE, running.output.next_line()).await {
            Ok(Ok(Some(line))) => line,
            other => {
                let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap();
                panic!("the provider did not answer: {other:?}\n--- its stderr\n{said}")
            }
        };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }
}
