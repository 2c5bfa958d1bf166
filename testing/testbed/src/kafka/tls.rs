//! The TLS listeners of a server: a certificate for one run, and users with a password.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::release::Release;
use crate::{given, server};

/// A user of [`Tls::sasl_ssl`] with all rights, who authenticates with SCRAM-SHA-512.
pub const USER: &str = "bos-test";
/// Another user, who has no rights until [`allow`](super::acls::allow) gives some.
pub const GUEST: &str = "bos-guest";
/// The password of both users.
pub const PASSWORD: &str = "testbed-only-Wo8Qpass";

/// The variable with the address of [`Tls::sasl_ssl`]. It is read if a developer sets it, and set for the tests. The server's
/// users are [`USER`] and [`GUEST`].
pub const SASL_SSL_VARIABLE: &str = "BOS_TEST_KAFKA_SASL_SSL";
/// The variable with the address of [`Tls::ssl`].
pub const SSL_VARIABLE: &str = "BOS_TEST_KAFKA_SSL";
/// The variable with the path of [`Tls::authority`].
pub const AUTHORITY_VARIABLE: &str = "BOS_TEST_KAFKA_CA";

/// The file with the server's certificate and its key, in the server's folder.
pub(super) const KEYSTORE: &str = "server.p12";
/// The password of the keystore. It protects nothing, because the key is for one run.
pub(super) const KEYSTORE_PASSWORD: &str = "throw-away";
/// The only host name in the certificate. A client that connects to 127.0.0.1 does not accept it.
pub(super) const NAME: &str = "localhost";
const AUTHORITY: &str = "authority.pem";

/// The addresses of the TLS listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `host:port` of the listener without authentication.
    pub ssl: String,
    /// `host:port` of the listener for [`USER`] and [`GUEST`].
    pub sasl_ssl: String,
    /// The PEM file with which clients verify the server's certificate.
    pub authority: PathBuf,
}

impl Tls {
    /// The listeners of a developer's server; `None` unless all three variables are set.
    pub(super) fn given() -> Option<Self> {
        Some(Self {
            ssl: given(SSL_VARIABLE)?,
            sasl_ssl: given(SASL_SSL_VARIABLE)?,
            authority: given(AUTHORITY_VARIABLE)?.into(),
        })
    }

    /// The listeners on these ports of the server in `folder`.
    pub(super) fn at(ssl: u16, sasl_ssl: u16, folder: &Path) -> Self {
        Self {
            ssl: format!("{NAME}:{ssl}"),
            sasl_ssl: format!("{NAME}:{sasl_ssl}"),
            authority: folder.join(AUTHORITY),
        }
    }

    /// The variables for the tests.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let authority = self.authority.to_string_lossy().into_owned();
        [
            (SSL_VARIABLE, self.ssl.clone()),
            (SASL_SSL_VARIABLE, self.sasl_ssl.clone()),
            (AUTHORITY_VARIABLE, authority),
        ]
    }
}

/// The users, as arguments of formatting the storage.
pub(super) fn users() -> [String; 2] {
    [USER, GUEST].map(|user| format!("SCRAM-SHA-512=[name={user},password={PASSWORD}]"))
}

/// Makes the server's key and a self-signed certificate with the `keytool` of the same Java.
pub(super) fn certify(release: &Release, folder: &Path) -> Result<()> {
    let keystore = ["-alias", "kafka", "-keystore", KEYSTORE, "-storepass", KEYSTORE_PASSWORD];
    let (subject, names) = (format!("CN={NAME}"), format!("san=dns:{NAME}"));
    let make = ["-genkeypair", "-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1"];
    let mut make = [&make[..], &["-validity", "30", "-dname", &subject, "-ext", &names]].concat();
    let mut show = vec!["-exportcert", "-rfc", "-file", AUTHORITY];
    // A log of its own, because another program writes to the server's log at the same time.
    let log = folder.join("certificate.log");
    for arguments in [&mut make, &mut show] {
        arguments.extend(keystore);
        let mut keytool = release.keytool(folder);
        server::run_first("making Kafka's certificate", keytool.args(&*arguments), &log)?;
    }
    let certificate = fs::read_to_string(folder.join(AUTHORITY))?;
    ensure!(certificate.contains("BEGIN CERTIFICATE"), "keytool has exported no certificate");
    Ok(())
}
