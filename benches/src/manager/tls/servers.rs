//! The servers under measurement.

use super::certificate;
use crate::manager::servers::{self, word, words};
use crate::servers::announce;
use anyhow::Result;
use exeunt_manager::{Listen, Tls};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The event loop.
pub(crate) fn manager(dir: &Path) -> Result<()> {
    let (certificate, key) = certificate(dir);
    let tls = Tls::new().certificate(fs::read(certificate)?, fs::read(key)?);
    tls.check()?;
    servers::manager(Listen::new().tls(tls), words)
}

/// hyper on tokio-rustls on a current-thread runtime, and nothing else.
pub(crate) fn hyper(dir: &Path) -> Result<()> {
    let (certificate, key) = certificate(dir);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        announce(&listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that leaves is no news here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(word)).await.ok();
            });
        }
    })
}
