use super::*;
use proptest::prelude::*;
use std::net::Ipv6Addr;

fn refusal(text: &str) -> String {
    text.parse::<Cidr>().unwrap_err().to_string()
}

fn set(networks: &[&str]) -> CidrSet {
    networks.iter().map(|text| text.parse::<Cidr>().unwrap()).collect()
}

fn holds(networks: &[&str], address: &str) -> bool {
    set(networks).contains(address.parse().unwrap())
}

#[test]
fn bare_address_is_its_own_network() {
    assert_eq!("10.0.0.1".parse::<Cidr>().unwrap().to_string(), "10.0.0.1/32");
    assert_eq!("::1".parse::<Cidr>().unwrap().to_string(), "::1/128");
}

#[test]
fn host_bits_are_refused_with_the_network_that_was_meant() {
    assert!(refusal("10.1.2.3/8").contains("did you mean `10.0.0.0/8`?"));
    assert!(refusal("2001:db8::1/32").contains("did you mean `2001:db8::/32`?"));
}

#[test]
fn what_is_no_network_is_refused() {
    for text in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/255.0.0.0", "example.com", " 10.0.0.1"] {
        assert!(refusal(text).contains("is not a network"), "{text}");
    }
}

#[test]
fn yaml_error_says_where_it_stands() {
    let error = serde_yaml::from_str::<Vec<Cidr>>("- 10.0.0.0/8\n- 10.1.0.0/8\n").unwrap_err();
    assert!(error.to_string().contains("10.0.0.0/8"), "{error}");
    assert_eq!(error.location().map(|at| (at.line(), at.column())), Some((2, 3)));
}

#[test]
fn mapped_address_is_tested_as_ipv4() {
    assert!(holds(&["10.0.0.0/8"], "::ffff:10.1.2.3"));
    assert!(holds(&["::ffff:10.0.0.0/104"], "10.1.2.3"));
    assert!(!holds(&["::/0"], "::ffff:10.1.2.3"));
}

#[test]
fn whole_families_are_held_to_their_last_address() {
    assert!(holds(&["0.0.0.0/0"], "255.255.255.255"));
    assert!(holds(&["::/0"], "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert!(!holds(&["0.0.0.0/0"], "::1"));
}

#[test]
fn empty_set_holds_nothing() {
    assert!(CidrSet::default().is_empty());
    assert!(!holds(&[], "10.0.0.1"));
}

// Few distinct high bits, so that random addresses fall into random networks often enough.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0u32..4, 0u32..4, any::<u8>())
        .prop_map(|(a, b, c)| Ipv4Addr::from(a << 30 | b << 20 | u32::from(c)));
    let v6 = (0u128..4, 0u128..4, any::<u8>())
        .prop_map(|(a, b, c)| Ipv6Addr::from(a << 126 | b << 64 | u128::from(c)));
    prop_oneof![
        v4.clone().prop_map(IpAddr::V4),
        v4.prop_map(|address| IpAddr::V6(address.to_ipv6_mapped())),
        v6.prop_map(IpAddr::V6),
    ]
}

fn cidr() -> impl Strategy<Value = Cidr> {
    (address(), 0u8..=128).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        Cidr(IpNet::new(address, length.min(longest)).unwrap().trunc())
    })
}

/// Decides as an operator would: network by network.
fn naive(networks: &[Cidr], address: IpAddr) -> bool {
    networks.iter().any(|cidr| canonical(cidr.0).contains(&address.to_canonical()))
}

proptest! {
    #[test]
    fn set_agrees_with_a_loop(networks in prop::collection::vec(cidr(), 0..20), address in address()) {
        let set: CidrSet = networks.iter().copied().collect();
        prop_assert_eq!(set.contains(address), naive(&networks, address));
    }

    #[test]
    fn set_holds_both_ends_of_each_network(networks in prop::collection::vec(cidr(), 1..20)) {
        let set: CidrSet = networks.iter().copied().collect();
        for Cidr(network) in networks.iter().map(|cidr| Cidr(canonical(cidr.0))) {
            for end in [network.network(), network.broadcast()] {
                let expected = naive(&networks, end);
                prop_assert_eq!(set.contains(end), expected);
            }
        }
    }
}
