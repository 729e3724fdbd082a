//! Which servers are trusted: those that the system's roots vouch for, those that Node.js's own roots do, and those of
//! the file that `NODE_EXTRA_CA_CERTS` names.
//!
//! All clients of the process share one configuration, and with it the parsed roots and the TLS sessions: hundreds of
//! roots for each of a thousand senders would be most of what they cost. It is made when the first one needs it.

use std::env;
use std::fs;
use std::io;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;
use crate::shortage::Shortage;

/// What names a file of further roots, as for Node.js itself.
const EXTRA: &str = "NODE_EXTRA_CA_CERTS";
/// Warnings that are given at most: a bundle that is damaged all over is named once or twice, not a hundred times.
const WARNINGS_MAX: usize = 8;

static CONFIG: OnceCell<ClientConfig> = OnceCell::new();

/// Whether what is trusted has been settled for this process.
pub fn is_settled() -> bool {
    CONFIG.get().is_some()
}

/// Settles what this process trusts, unless that is settled already: besides the system's roots, those in `bundled`
/// (PEM). Gives a warning for each root or file that is left out because it can't be read.
///
/// # Errors
/// When there is no root at all, or the system has run out of file descriptors. Nothing is settled then.
pub fn settle(bundled: &str) -> Result<Vec<String>, Error> {
    let mut roots = Roots::default();
    CONFIG.get_or_try_init(|| {
        roots.add_pem("Node.js's own roots", bundled.as_bytes());
        roots.add_extra()?;
        roots.configuration()
    })?;
    Ok(roots.warnings)
}

/// The configuration that all clients share. Settles it without roots of Node.js if nobody has given any.
pub(crate) fn configuration() -> Result<ClientConfig, Error> {
    if !is_settled() {
        settle("")?;
    }
    Ok(CONFIG.wait().clone())
}

/// Roots besides the system's.
#[derive(Default)]
struct Roots {
    further: Vec<CertificateDer<'static>>,
    warnings: Vec<String>,
}

impl Roots {
    /// Takes the certificates of a bundle. One that can't be read costs itself alone.
    fn add_pem(&mut self, source: &str, pem: &[u8]) {
        let mut unreadable = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            match certificate {
                Ok(certificate) if RootCertStore::empty().add(certificate.clone()).is_ok() => {
                    self.further.push(certificate);
                }
                _ => unreadable += 1,
            }
        }
        match unreadable {
            0 => {}
            1 => self.warn(format!("Ignoring a certificate of {source}: it could not be read")),
            _ => self.warn(format!("Ignoring {unreadable} certificates of {source}: they could not be read")),
        }
    }

    /// Takes the certificates that users of Node.js name in the environment.
    fn add_extra(&mut self) -> Result<(), Error> {
        let Some(path) = env::var_os(EXTRA).filter(|path| !path.is_empty()) else { return Ok(()) };
        let shown = path.to_string_lossy();
        match fs::read(&path) {
            Ok(pem) => {
                let before = self.further.len() + self.warnings.len();
                self.add_pem(&format!("{EXTRA} ({shown})"), &pem);
                if self.further.len() + self.warnings.len() == before {
                    self.warn(format!("Ignoring {EXTRA} ({shown}): it holds no PEM certificate"));
                }
            }
            Err(error) => {
                refuse_shortage(&error)?;
                self.warn(format!("Ignoring {EXTRA} ({shown}): {error}"));
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
    }

    fn configuration(&mut self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(Arc::clone(&provider))?;
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Files hold the system's roots here.
    #[cfg(not(any(windows, target_vendor = "apple")))]
    fn verifier(&mut self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let system = rustls_native_certs::load_native_certs();
        for error in system.errors {
            if let rustls_native_certs::ErrorKind::Io { inner, path } = error.kind {
                refuse_shortage(&inner)?;
                if is_named(&path) {
                    self.warn(format!("Ignoring the root certificates of {}: {inner}", path.display()));
                }
            }
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(system.certs);
        store.add_parsable_certificates(std::mem::take(&mut self.further));
        // Most of Node.js's roots are the system's, too.
        let spki = |anchor: &rustls::pki_types::TrustAnchor<'_>| {
            (anchor.subject.to_vec(), anchor.subject_public_key_info.to_vec(), anchor.name_constraints.is_some())
        };
        store.roots.sort_by_cached_key(spki);
        store.roots.dedup();
        if store.is_empty() {
            return Err(unusable("no root certificate is there: install the system's ca-certificates, or name some"));
        }
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
        Ok(verifier.build().map_err(unusable)?)
    }

    /// The system verifies here, by rules of its own; the further roots come in where it finds no trust.
    #[cfg(any(windows, target_vendor = "apple"))]
    fn verifier(&mut self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let further = std::mem::take(&mut self.further);
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(further, provider).map_err(unusable)?;
        Ok(Arc::new(verifier))
    }
}

/// Whether the environment names this file or directory, and not as nothing: then somebody expects it to be used.
#[cfg(not(any(windows, target_vendor = "apple")))]
fn is_named(path: &std::path::Path) -> bool {
    let is_listed = |name| env::var_os(name).is_some_and(|paths| env::split_paths(&paths).any(|named| named == path));
    let is_nothing = path.as_os_str().is_empty() || path == std::path::Path::new("/dev/null");
    !is_nothing && (is_listed("SSL_CERT_FILE") || is_listed("SSL_CERT_DIR"))
}

/// Roots that can't be read for want of descriptors are there: without them, another trust would be settled.
fn refuse_shortage(error: &io::Error) -> Result<(), Error> {
    match Shortage::of(error) {
        Some(_) => Err(Error::resources("read the root certificates", error)),
        None => Ok(()),
    }
}

fn unusable(error: impl std::fmt::Display) -> Error {
    Error::config("apiUrl", format!("needs TLS, which can't be set up: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use super::*;

    const CA: &str = include_str!("../../../../__test__/http/fixtures/ca.pem");

    fn taken(pem: &str) -> (usize, Vec<String>) {
        let mut roots = Roots::default();
        roots.add_pem("a bundle", pem.as_bytes());
        (roots.further.len(), roots.warnings)
    }

    #[test]
    fn a_certificate_that_cannot_be_read_costs_itself_alone() {
        assert_eq!(taken(CA), (1, Vec::new()));
        let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        let not_x509 = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
        for bad in [not_base64, not_x509] {
            let warnings = vec!["Ignoring a certificate of a bundle: it could not be read".to_owned()];
            assert_eq!(taken(&format!("{bad}{CA}")), (1, warnings.clone()), "{bad}");
            assert_eq!(taken(&format!("{CA}{bad}{CA}")), (2, warnings), "{bad}");
        }
        let many = not_x509.repeat(3);
        assert_eq!(taken(&many).1, ["Ignoring 3 certificates of a bundle: they could not be read"]);
        assert_eq!(taken(&format!("a comment\n{key}{CA}")), (1, Vec::new()));
        assert_eq!(taken(""), (0, Vec::new()));
    }

    #[cfg(unix)]
    #[test]
    fn a_shortage_is_not_taken_for_a_missing_file() {
        let refused = |code| refuse_shortage(&io::Error::from_raw_os_error(code)).err().map(|error| error.code());
        assert_eq!(refused(libc::EMFILE), Some("RESOURCES_EXHAUSTED"));
        assert_eq!(refused(libc::ENFILE), Some("RESOURCES_EXHAUSTED"));
        assert_eq!(refused(libc::ENOENT), None);
    }
}
