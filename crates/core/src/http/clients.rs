//! The reqwest clients of an engine. Each is built when it is first needed: of a thousand open senders most are idle.

use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::connections::{Connections, IDLE_MAX};
use super::proxy::proxies_plain;
use super::stream::HEADERS_MAX;
use super::{chain, names, request, tls};
use crate::error::Error;
use crate::settings::Settings;

#[derive(Debug)]
pub(super) struct Clients {
    settings: Arc<Settings>,
    connections: Connections,
    connector: OnceCell<reqwest::Client>,
    plain: OnceCell<reqwest::Client>,
    by_proxy: bool,
}

impl Clients {
    /// With rustls and the roots of [`tls`], `HTTPS_PROXY` and its like, HTTP/1.1.
    ///
    /// # Errors
    /// When TLS can't be set up, for example without any root certificate on the machine.
    pub(super) fn new(settings: Arc<Settings>, connections: Connections) -> Result<Self, Error> {
        // Fails only when another provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if settings.uses_tls() {
            tls::configuration()?;
        }
        let by_proxy = settings.api_url.starts_with("http:") && proxies_plain();
        Ok(Self { settings, connections, connector: OnceCell::new(), plain: OnceCell::new(), by_proxy })
    }

    /// Whether requests take a proxy that must be told whole URLs.
    pub(super) fn by_proxy(&self) -> bool {
        self.by_proxy
    }

    /// Makes connections, and gives each to `connections`.
    ///
    /// # Errors
    /// Why it can't be built.
    pub(super) fn connector(&self) -> Result<&reqwest::Client, String> {
        self.connector.get_or_try_init(|| {
            let builder = self.builder()?.connector_layer(self.connections.clone());
            builder.build().map_err(chain)
        })
    }

    /// For tokens, and for the way through a proxy that must be told whole URLs.
    ///
    /// # Errors
    /// Why it can't be built.
    pub(super) fn plain(&self) -> Result<&reqwest::Client, String> {
        self.plain.get_or_try_init(|| {
            // A token is good for a day: a connection to the login host would be idle until it closes.
            let idle = if self.by_proxy { self.settings.connections.max } else { 0 };
            let builder = self.builder()?.pool_max_idle_per_host(idle).pool_idle_timeout(IDLE_MAX);
            builder.build().map_err(chain)
        })
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, String> {
        let builder = reqwest::Client::builder()
            .user_agent(request::USER_AGENT)
            .dns_resolver(Arc::new(names::SystemNames))
            .http1_only()
            .http1_max_headers(HEADERS_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.settings.connections.connect_timeout);
        // Without TLS no roots are needed, and a bare machine has none.
        Ok(if self.settings.uses_tls() {
            builder.tls_backend_preconfigured(tls::configuration().map_err(|error| error.to_string())?)
        } else {
            builder.tls_certs_only([])
        })
    }
}
