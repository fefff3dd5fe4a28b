//! The one client to the collector: HTTP, or the channel below gRPC, over TLS with the system's roots where the endpoint says so.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::uri::Scheme;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::otlp_target::{Otlp, Protocol};

/// An answer to spans is short.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} holds no usable PEM", path.display())]
    Pem {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "a client certificate needs its key, and a key its certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, …_CLIENT_KEY)"
    )]
    HalfIdentity,
    #[error("the system's root certificates cannot be read")]
    Roots(#[source] std::io::Error),
    #[error("the certificates cannot be used")]
    Unusable(#[from] rustls::Error),
    #[error("the channel cannot be made")]
    Channel(#[from] tonic::transport::Error),
}

/// Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct CollectorClient {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    channel: Option<Channel>,
    timeout: Duration,
    /// What went wrong last.
    trouble: Arc<Mutex<Option<String>>>,
}

impl CollectorClient {
    /// A client for this endpoint; it connects with the first spans. To be made within the runtime that it will use.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn new(otlp: &Otlp) -> Result<Self, TlsError> {
        let is_secure = otlp.endpoint.scheme() == Some(&Scheme::HTTPS);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(otlp, is_secure)?).https_or_http();
        let http = Client::builder(TokioExecutor::new()).build(connector.enable_http1().build());
        let channel = match otlp.protocol {
            Protocol::HttpProtobuf => None,
            Protocol::Grpc => Some(channel(otlp, is_secure)?),
        };
        Ok(Self { http, channel, timeout: otlp.timeout, trouble: Arc::default() })
    }

    /// The channel for gRPC.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        self.channel.clone()
    }

    /// Why the last request failed, in more words than the exporter has.
    #[must_use]
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.http.request(request.map(Full::new)).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

#[async_trait::async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = tokio::time::timeout(self.timeout, self.ask(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout).into()));
        match &answer {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.note(format!("it answers {}", response.status())),
            Err(error) => self.note(chain(&**error)),
        }
        answer
    }
}

/// An error with what is behind it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

fn tls(otlp: &Otlp, is_secure: bool) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match &otlp.trusted {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
        None if is_secure => hyper_rustls::ConfigBuilderExt::with_native_roots(builder).map_err(TlsError::Roots)?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    match (&otlp.client_certificate, &otlp.client_key) {
        (Some(certificate), Some(key)) => {
            let pem = |source| TlsError::Pem { path: key.clone(), source };
            let key = PrivateKeyDer::from_pem_file(key).map_err(pem)?;
            Ok(builder.with_client_auth_cert(certificates(certificate)?, key)?)
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(_), None) | (None, Some(_)) => Err(TlsError::HalfIdentity),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem { path: path.to_owned(), source };
    let found: Vec<_> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect::<Result<_, _>>().map_err(pem)?;
    if found.is_empty() { Err(pem(rustls::pki_types::pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn channel(otlp: &Otlp, is_secure: bool) -> Result<Channel, TlsError> {
    let endpoint = Endpoint::from(otlp.endpoint.clone()).timeout(otlp.timeout).connect_timeout(otlp.timeout);
    if !is_secure {
        return Ok(endpoint.connect_lazy());
    }
    let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
    let mut tls = match &otlp.trusted {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&otlp.client_certificate, &otlp.client_key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(endpoint.tls_config(tls)?.connect_lazy())
}
