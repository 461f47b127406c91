use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, IsCa,
    Issuer, KeyPair, SanType, SerialNumber, date_time_ymd,
};

/// A client's certificate, issued by an authority.
fn issued(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
}

fn with_subject(parts: &[(DnType, DnValue)]) -> ClientCertificate {
    let der = issued(|params| {
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
    });
    ClientCertificate::from_der(&der).unwrap()
}

fn with_names(names: Vec<SanType>) -> Result<ClientCertificate, BadCertificate> {
    ClientCertificate::from_der(&issued(|params| params.subject_alt_names = names))
}

/// An extension for alternative names with these bytes.
fn extension(names: &[u8]) -> CustomExtension {
    let mut content = vec![0x30, u8::try_from(names.len()).unwrap()];
    content.extend_from_slice(names);
    CustomExtension::from_oid_content(&[2, 5, 29, 17], content)
}

#[test]
fn a_certificate_says_who_it_is_for_and_until_when() {
    let der = issued(|params| {
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "ops");
        params.serial_number = Some(SerialNumber::from_slice(&[0x01, 0xab, 0x00]));
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2060, 1, 1);
    });
    let certificate = ClientCertificate::from_der(&der).unwrap();
    assert_eq!(&*certificate.subject, "CN=ops,O=Example,C=DE");
    assert_eq!(certificate.common_name.as_deref(), Some("ops"));
    assert_eq!(&*certificate.serial, "01ab00");
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seconds(certificate.not_before), 1_704_067_200);
    assert_eq!(seconds(certificate.not_after), 2_840_140_800);
    assert_eq!(certificate.fingerprint.as_slice(), digest(&SHA256, &der).as_ref());
}

#[test]
fn a_certificate_may_be_older_than_the_clock() {
    let der = issued(|params| params.not_before = date_time_ymd(1960, 1, 1));
    let certificate = ClientCertificate::from_der(&der).unwrap();
    assert!(certificate.not_before < SystemTime::UNIX_EPOCH);
}

#[test]
fn alternative_names_keep_their_kinds_and_their_order() {
    let names = vec![
        SanType::DnsName("Ops.Example.COM".try_into().unwrap()),
        SanType::URI("spiffe://Example.com/Ops".try_into().unwrap()),
        SanType::Rfc822Name("Ops@Example.com".try_into().unwrap()),
        SanType::IpAddress("10.0.0.1".parse().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::OtherName((vec![1, 3, 6, 1], "unread".into())),
        SanType::DnsName("*.example.com".try_into().unwrap()),
    ];
    let certificate = with_names(names).unwrap();
    let expected = [
        AlternativeName::Dns("ops.example.com".into()),
        AlternativeName::Uri("spiffe://Example.com/Ops".into()),
        AlternativeName::Email("Ops@Example.com".into()),
        AlternativeName::Ip("10.0.0.1".parse().unwrap()),
        AlternativeName::Ip("2001:db8::1".parse().unwrap()),
        AlternativeName::Dns("*.example.com".into()),
    ];
    assert_eq!(*certificate.names, expected);
    assert!(certificate.dns_names().eq(["ops.example.com", "*.example.com"]));
    assert_eq!((&*certificate.subject, certificate.common_name), ("", None));
}

#[test]
fn alternative_names_that_are_broken_are_refused() {
    let with = |extensions: Vec<CustomExtension>| {
        ClientCertificate::from_der(&issued(|params| params.custom_extensions = extensions))
    };
    let good = b"\x82\x01a";
    assert_eq!(with(vec![extension(good)]).unwrap().dns_names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(with(vec![extension(good), extension(good)]), Err(BadCertificate::Names));
    let bad: [&[u8]; 8] = [
        b"\x82\x00",
        b"\x82\x03a\0b",
        b"\x82\x03a b",
        b"\x82\x02\xc3\xa9",
        b"\x82\x01\xff",
        b"\x86\x02a\n",
        b"\x87\x03\x0a\0\0",
        b"\x87\x08\x0a\0\0\0\xff\0\0\0",
    ];
    for names in bad {
        let read = with(vec![extension(names)]);
        assert_eq!(read, Err(BadCertificate::Names), "{}", names.escape_ascii());
    }
    assert!(with(vec![extension(b"\x82\x05a")]).is_err(), "a name that ends too soon");
}

#[test]
fn what_means_something_in_a_subject_is_escaped() {
    let text = |value: &str| with_subject(&[(DnType::CommonName, value.into())]).subject;
    assert_eq!(&*text("a,b+c\"d\\e<f>g;h"), r#"CN=a\,b\+c\"d\\e\<f\>g\;h"#);
    assert_eq!(&*text("#a#"), r"CN=\#a#");
    assert_eq!(&*text(" a b "), r"CN=\ a b\ ");
    assert_eq!(&*text(" "), r"CN=\ ");
    assert_eq!(&*text("a\0b\n"), r"CN=a\00b\0a");
    assert_eq!(&*text("Lučić"), "CN=Lučić");
    assert_eq!(&*text("a=b,O=Example"), r"CN=a=b\,O=Example");
}

#[test]
fn types_without_a_short_name_are_numbers_and_their_values_encodings() {
    let unknown = DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 1466, 0]);
    let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let certificate = with_subject(&[
        (unknown, DnValue::Utf8String("Hi".to_owned())),
        (email, DnValue::Ia5String("a@b.example".try_into().unwrap())),
        (DnType::OrganizationName, DnValue::BmpString("Hi".try_into().unwrap())),
    ]);
    let expected = "O=#1e0400480069,emailAddress=a@b.example,1.3.6.1.4.1.1466.0=#0c024869";
    assert_eq!(&*certificate.subject, expected);
}

#[test]
fn what_is_not_one_certificate_is_refused() {
    let der = issued(|_| {});
    let longer = [&der[..], b"\0"].concat();
    for bad in [&b""[..], b"\x30\x00", &der[..der.len() - 1], &longer, b"-----BEGIN CERTIFICATE"] {
        assert_eq!(ClientCertificate::from_der(bad), Err(BadCertificate::Der));
    }
}
