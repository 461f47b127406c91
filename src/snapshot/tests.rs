use crate::config::Loaded;
use crate::shared::Shared;
use proptest::prelude::*;
use std::path::Path;

const SOUND: &str = "\
version: 1
listeners: [{name: a, address: 127.0.0.1:1, trusted_proxies: [10.0.0.0/8]}]
policies: {auth: none, timeouts: {read: 1s}, cors: {origins: \"*\"}}
services: &s {app: {url: \"http://127.0.0.1:2\"}}
routes:
  - name: one
    match: {hosts: a.example, path: {template: \"/a/{b}\"}, headers: {x-v: 1}}
    service: app
    policies: {transform: {request: {headers: {set: {x-b: $(path.b ?? client.ip)}}}}}
";

fn compile(text: &str) -> String {
    let loaded = Loaded::from_text(Path::new("a.yaml"), text.to_owned());
    match super::compile(loaded, &Shared::default()) {
        Ok((_, remarks)) => remarks.to_string(),
        Err(report) => report.to_string(),
    }
}

#[test]
fn the_sample_is_sound() {
    let told = compile(SOUND);
    assert!(told.lines().all(|line| !line.starts_with("error")), "{told}");
}

proptest! {
    #[test]
    fn nothing_typed_makes_it_panic(
        at in 0..SOUND.len(),
        length in 0_usize..12,
        typed in "[-a-z0-9:{}\\[\\]\"'$().,*&!?#|>%@\\\\é \n\t]{0,6}",
    ) {
        let mut text = SOUND.to_owned();
        text.replace_range(at..(at + length).min(SOUND.len()), &typed);
        compile(&text);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        compile(&text);
    }
}
