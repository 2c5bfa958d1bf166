//! The encrypted doors of a server: a certificate for this run, and a user who proves who it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::release::Release;
use crate::{given, server};

/// The user of [`Tls::sasl_ssl`], whom the server knows by SCRAM-SHA-512, and who may do everything.
pub const USER: &str = "bos-test";
/// Another one, who may do nothing until somebody [allows](super::acls::allow) him.
pub const GUEST: &str = "bos-guest";
/// The password of both.
pub const PASSWORD: &str = "testbed-only-Wo8Qpass";

/// Names the door of [`Tls::sasl_ssl`]: read here when a developer gives one, set for the tests. Its users are [`USER`]
/// and [`GUEST`].
pub const SASL_SSL_VARIABLE: &str = "BOS_TEST_KAFKA_SASL_SSL";
/// Names the door of [`Tls::ssl`].
pub const SSL_VARIABLE: &str = "BOS_TEST_KAFKA_SSL";
/// Names the file of [`Tls::authority`].
pub const AUTHORITY_VARIABLE: &str = "BOS_TEST_KAFKA_CA";

/// The server's certificate with its key, in the server's folder.
pub(super) const KEYSTORE: &str = "server.p12";
/// Opens the keystore. It guards nothing: the key is for one run, and lies beside it.
pub(super) const KEYSTORE_PASSWORD: &str = "throw-away";
/// The only name in the certificate. By its address, 127.0.0.1, the server is a stranger.
pub(super) const NAME: &str = "localhost";
const AUTHORITY: &str = "authority.pem";

/// Where the encrypted doors are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `host:port` of a door that asks nobody who he is.
    pub ssl: String,
    /// `host:port` of a door for those who prove that they are [`USER`].
    pub sasl_ssl: String,
    /// The file to check the server's certificate against.
    pub authority: PathBuf,
}

impl Tls {
    /// The doors of a developer's server, where all three variables name them.
    pub(super) fn given() -> Option<Self> {
        Some(Self {
            ssl: given(SSL_VARIABLE)?,
            sasl_ssl: given(SASL_SSL_VARIABLE)?,
            authority: given(AUTHORITY_VARIABLE)?.into(),
        })
    }

    /// The doors at these ports of a server in `folder`.
    pub(super) fn at(ssl: u16, sasl_ssl: u16, folder: &Path) -> Self {
        Self {
            ssl: format!("{NAME}:{ssl}"),
            sasl_ssl: format!("{NAME}:{sasl_ssl}"),
            authority: folder.join(AUTHORITY),
        }
    }

    /// What tests are told.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let authority = self.authority.to_string_lossy().into_owned();
        [
            (SSL_VARIABLE, self.ssl.clone()),
            (SASL_SSL_VARIABLE, self.sasl_ssl.clone()),
            (AUTHORITY_VARIABLE, authority),
        ]
    }
}

/// How the storage is told of the users when it is formatted.
pub(super) fn users() -> [String; 2] {
    [USER, GUEST].map(|user| format!("SCRAM-SHA-512=[name={user},password={PASSWORD}]"))
}

/// Makes the server's key and its certificate, which vouches for itself, by the `keytool` of the same Java.
pub(super) fn certify(release: &Release, folder: &Path) -> Result<()> {
    let keystore = ["-alias", "kafka", "-keystore", KEYSTORE, "-storepass", KEYSTORE_PASSWORD];
    let (subject, names) = (format!("CN={NAME}"), format!("san=dns:{NAME}"));
    let make = ["-genkeypair", "-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1"];
    let mut make = [&make[..], &["-validity", "30", "-dname", &subject, "-ext", &names]].concat();
    let mut show = vec!["-exportcert", "-rfc", "-file", AUTHORITY];
    // A log of its own: the server's is written to at the same time.
    let log = folder.join("certificate.log");
    for arguments in [&mut make, &mut show] {
        arguments.extend(keystore);
        let mut keytool = release.keytool(folder);
        server::run_first("making Kafka's certificate", keytool.args(&*arguments), &log)?;
    }
    let certificate = fs::read_to_string(folder.join(AUTHORITY))?;
    ensure!(certificate.contains("BEGIN CERTIFICATE"), "keytool has shown no certificate");
    Ok(())
}
