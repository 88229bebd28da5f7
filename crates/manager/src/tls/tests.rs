use super::{Role, Tls, TlsError};

/// A certificate for that name and its key.
fn made(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn what_is_wrong_with_pem_is_said() {
    let (chain, key) = made("a.example");
    let (_, another) = made("b.example");
    let cut = |pem: &str| pem.split_once("-----END").unwrap().0.to_owned();
    let broken = chain.replacen("MII", "M*I", 1);
    assert_ne!(broken, chain);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
    let table: [(&str, &str, &str); 11] = [
        ("", &key, "there is no certificate in the 0 bytes given as one"),
        ("garbage", &key, "there is no certificate in the 7 bytes"),
        (&key, &key, "there is no certificate in the "),
        (&cut(&chain), &key, "the certificate is no PEM: its line `-----END …-----` is missing"),
        (&broken, &key, "the certificate is no PEM: base64"),
        (&chain, "", "there is no private key in the 0 bytes"),
        (&chain, &chain, "there is no private key in the "),
        (&chain, encrypted, "the private key is encrypted"),
        (&chain, old, "the private key is encrypted"),
        (&chain, nonsense, "the private key is of no use"),
        (&chain, &another, "the private key does not belong to the certificate"),
    ];
    for (chain, key, expected) in table {
        let tls = Tls::new().certificate(chain, key);
        let error = tls.server(true).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
        assert_eq!(tls.check(), Err(error));
    }
    // The second is looked at, too.
    let tls = Tls::new().certificate(chain.clone(), key.clone()).certificate(chain.clone(), another);
    assert_eq!(tls.server(false).unwrap_err(), TlsError::KeyMismatch);
    assert_eq!(Tls::new().server(true).unwrap_err(), TlsError::NoCertificate);
    // Of an authority each certificate has to be of use.
    let rubbish = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    for (pem, expected) in [
        (String::new(), "there is no CA in the 0 bytes"),
        ("no PEM".to_owned(), "there is no CA in the 6 bytes"),
        (format!("{chain}{rubbish}"), "certificate 2 of the CA is of no use: "),
    ] {
        let error = Tls::new().ca(pem.clone()).client(false).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
        let error =
            Tls::new().certificate(chain.clone(), key.clone()).client_ca(pem).server(false).unwrap_err();
        assert!(error.to_string().contains("CA of the clients"), "{error}");
    }
    assert_eq!(Tls::new().certificate(chain.clone(), key).ca(chain).check(), Ok(()));
}

#[test]
fn nobody_is_asked_for_by_what_is_no_name() {
    let (chain, _) = made("a.example");
    let tls = Tls::new().ca(chain);
    for (host, name, expected) in [
        ("a.example", None, Ok(())),
        ("127.0.0.1", None, Ok(())),
        ("::1", None, Ok(())),
        ("", None, Err(TlsError::Name(String::new()))),
        ("a b", None, Err(TlsError::Name("a b".to_owned()))),
        ("a b", Some("a.example"), Ok(())),
        ("a.example", Some("a b"), Err(TlsError::Name("a b".to_owned()))),
    ] {
        let tls = match name {
            Some(name) => tls.clone().name(name),
            None => tls.clone(),
        };
        assert_eq!(tls.opening(Role::Client(host), false).map(drop), expected, "{host} {name:?}");
        assert!(tls.skip_verification().opening(Role::Client(host), false).is_ok(), "nobody is verified");
    }
}

#[test]
fn clones_share_what_was_made_and_changes_do_not() {
    let (chain, key) = made("a.example");
    let tls = Tls::new().certificate(chain.clone(), key);
    let first = tls.server(true).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &tls.clone().server(true).unwrap()));
    assert_eq!(first.alpn_protocols, [b"http/1.1", b"http/1.0"]);
    assert_eq!(tls.client(true).unwrap().alpn_protocols, [b"http/1.1"]);
    assert!(first.ticketer.enabled(), "sessions cost no memory here");
    assert!(tls.server(false).unwrap().alpn_protocols.is_empty());
    let other = tls.alpn(["mqtt"]);
    assert_eq!(other.server(true).unwrap().alpn_protocols, [b"mqtt"]);
    assert_eq!(other.server(false).unwrap().alpn_protocols, [b"mqtt"]);
}

#[test]
fn debugging_shows_no_key() {
    let (chain, key) = made("a.example");
    let secret = key.lines().nth(1).unwrap().to_owned();
    let shown = format!("{:?}", Tls::new().certificate(chain, key));
    assert!(!shown.contains(&secret) && shown.contains("certificates: 1"), "{shown}");
}
