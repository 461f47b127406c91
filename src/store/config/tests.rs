use super::*;

fn read(yaml: &str) -> Result<Settings, String> {
    let config: StoreConfig = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
    config.compile("shared", Path::new("/nonexistent")).map_err(|invalid| invalid.to_string())
}

#[test]
fn a_url_is_enough() {
    let settings = read("redis: redis://127.0.0.1").unwrap();
    assert_eq!(settings.servers, Servers::One("127.0.0.1".to_owned(), 6379));
    assert_eq!((settings.timeout, settings.connect_timeout), (TIMEOUT, CONNECT_TIMEOUT));
    assert_eq!((&*settings.prefix, settings.tls), (PREFIX, None));
}

#[test]
fn a_user_may_stand_in_the_url_or_beside_it_but_not_in_both() {
    let beside = read("{redis: redis://a, username: u, password: p}").unwrap();
    assert_eq!(beside, read("redis: redis://u:p@a").unwrap());
    let told = read("{redis: redis://:hush@a, password: hush}").unwrap_err();
    assert_eq!(told, "password: the password stands in the url too");
    assert!(
        read("{redis: redis://a, username: u}").unwrap_err().contains("write it as `password`")
    );
}

#[test]
fn several_nodes_are_a_cluster_or_a_mistake() {
    let cluster = read("{redis: [redis://a:7000, redis://b:7000], cluster: true}").unwrap();
    assert!(matches!(cluster.servers, Servers::Cluster(nodes) if nodes.len() == 2));
    let told = |yaml| read(yaml).unwrap_err();
    assert!(told("redis: [redis://a, redis://b]").contains("write `cluster: true`"));
    assert!(read("redis: []").is_err());
    assert!(told("{redis: [redis://a, rediss://b], cluster: true}").starts_with("redis[1]"));
    assert!(told("{redis: redis://a/2, cluster: true}").contains("no databases"));
}

#[test]
fn sentinels_are_asked_by_name() {
    let yaml = "sentinel: {master: mymaster, nodes: ['a:26379', '10.0.0.1:26379'], database: 2}";
    let settings = read(yaml).unwrap();
    assert_eq!(settings.database, 2);
    assert!(matches!(settings.servers, Servers::Sentinel(known) if known.nodes.len() == 2));
    let told = |yaml| read(yaml).unwrap_err();
    assert!(told("sentinel: {master: m, nodes: []}").starts_with("sentinel.nodes"));
    assert!(told("sentinel: {master: m, nodes: ['unix:/run/a']}").contains("nodes[0]"));
    assert!(
        told("{redis: redis://a, sentinel: {master: m, nodes: ['a:1']}}").contains("not asked")
    );
    assert!(
        told("{cluster: true, sentinel: {master: m, nodes: ['a:1']}}").contains("no sentinels")
    );
}

#[test]
fn what_cannot_work_is_told_where_it_stands() {
    let told = |yaml| read(yaml).unwrap_err();
    assert!(told("{}").contains("a store is somewhere"));
    assert!(told("{redis: redis://a, timeout: 0s}").starts_with("timeout"));
    assert!(told("{redis: redis://a, prefix: '{a}'}").starts_with("prefix"));
    assert!(told("{redis: redis://a, tls: {ca: none.pem}}").starts_with("tls.ca: none.pem"));
    assert!(told("{redis: redis://a, tls: {cert: none.pem}}").contains("has a key"));
    assert!(told("{redis: redis://a, timeuot: 5ms}").contains("unknown field"));
}

#[test]
fn settings_tell_no_secret() {
    let settings = read("{redis: redis://u:hush@a}").unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
}
