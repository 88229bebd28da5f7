//! How to speak TLS, and speaking it.

use super::errors::{Raised, closed};
use super::shared::lock;
use crate::fork::Origin;
use exeunt_manager as engine;
use exeunt_manager::{StartTlsError, Tls};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::Mutex;

/// Certificates to show, and what to hold the peer's against; all of them PEM, str or bytes.
///
/// ca: on a client the certificates that it trusts, the system's if there are none; on a server it asks its clients for
/// certificates that these have signed.
/// cert, key: the certificate to show, with those that have signed it behind it, and its private key. A server needs both.
/// name: the name that the server's certificate must have; empty: the one in the URL.
/// `skip_verification`: a client takes any certificate, so that anybody on the way can read and change everything. For tests.
///
/// Keep one for many connections: what is made of the PEM is kept with it. What is wrong with it is told where it is used,
/// by `MG_EV_ERROR`.
#[pyclass(frozen, module = "exeunt.mongoose")]
pub(crate) struct TlsOpts {
    given: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
    name: Vec<u8>,
    skip_verification: bool,
    /// What was made of it, for a server and for a client.
    made: [Option<(Origin, Tls)>; 2],
}

impl TlsOpts {
    fn tls(&self, client: bool) -> Result<Tls, &'static str> {
        let mut given = lock(&self.given);
        let Given { ca, cert, key, name, skip_verification, made } = &mut *given;
        let [server_made, client_made] = made;
        let place = if client { client_made } else { server_made };
        // Of one that was made before a fork, some lock may be held for ever by a thread that is not here.
        if let Some((origin, made)) = place
            && origin.is_here()
        {
            return Ok(made.clone());
        }
        let mut tls = Tls::new();
        if !cert.is_empty() || !key.is_empty() {
            tls = tls.certificate(cert.clone(), key.clone());
        }
        if !ca.is_empty() {
            tls = if client { tls.ca(ca.clone()) } else { tls.client_ca(ca.clone()) };
        }
        if !name.is_empty() {
            tls = tls.name(str::from_utf8(name).map_err(|_| "the name is not UTF-8")?);
        }
        if *skip_verification {
            tls = tls.skip_verification();
        }
        *place = Some((Origin::here(), tls.clone()));
        Ok(tls)
    }

    fn change(&self, change: impl FnOnce(&mut Given)) {
        let mut given = lock(&self.given);
        change(&mut given);
        given.made = [None, None];
    }
}

/// Bytes, text as UTF-8, or nothing.
struct Pem(Vec<u8>);

impl FromPyObject<'_, '_> for Pem {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self(Vec::new()));
        }
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self(text.to_str()?.as_bytes().to_vec()));
        }
        let Ok(bytes) = object.cast::<PyBytes>() else {
            let kind = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!("str, bytes or None is needed, not '{kind}'")));
        };
        Ok(Self(bytes.as_bytes().to_vec()))
    }
}

#[pymethods]
impl TlsOpts {
    #[new]
    #[pyo3(signature = (ca = None, cert = None, key = None, name = None, skip_verification = false))]
    fn new(
        ca: Option<Pem>,
        cert: Option<Pem>,
        key: Option<Pem>,
        name: Option<Pem>,
        skip_verification: bool,
    ) -> Self {
        let [ca, cert, key, name] = [ca, cert, key, name].map(|pem| pem.map(|pem| pem.0).unwrap_or_default());
        Self { given: Mutex::new(Given { ca, cert, key, name, skip_verification, ..Given::default() }) }
    }

    #[getter]
    fn ca<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = lock(&self.given).ca.clone();
        PyBytes::new(py, &bytes)
    }

    #[setter]
    fn set_ca(&self, pem: Pem) {
        self.change(|given| given.ca = pem.0);
    }

    #[getter]
    fn cert<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = lock(&self.given).cert.clone();
        PyBytes::new(py, &bytes)
    }

    #[setter]
    fn set_cert(&self, pem: Pem) {
        self.change(|given| given.cert = pem.0);
    }

    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = lock(&self.given).key.clone();
        PyBytes::new(py, &bytes)
    }

    #[setter]
    fn set_key(&self, pem: Pem) {
        self.change(|given| given.key = pem.0);
    }

    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = lock(&self.given).name.clone();
        PyBytes::new(py, &bytes)
    }

    #[setter]
    fn set_name(&self, name: Pem) {
        self.change(|given| given.name = name.0);
    }

    #[getter]
    fn skip_verification(&self) -> bool {
        lock(&self.given).skip_verification
    }

    #[setter]
    fn set_skip_verification(&self, skip: bool) {
        self.change(|given| given.skip_verification = skip);
    }

    /// Without the key.
    fn __repr__(&self) -> String {
        let given = lock(&self.given);
        format!(
            "<TlsOpts ca={} cert={} bytes, skip_verification={}>",
            given.ca.len(),
            given.cert.len(),
            if given.skip_verification { "True" } else { "False" }
        )
    }
}

/// Speaks TLS so from here on; of a listener, those whom it accepts from now on do. What is wrong with the options is told by
/// `Error`, and ends the connection; a listener goes on, and tells it of each client.
pub(super) fn begin(py: Python<'_>, conn: &engine::Connection, options: &TlsOpts) -> PyResult<()> {
    if !conn.is_open() {
        return Err(closed());
    }
    let tls = options.tls(conn.is_client());
    // PEM is parsed in here, and the system's roots may be read.
    py.detach(|| {
        let failure = match tls {
            // Said anew, in place of what was said before.
            Ok(tls) if conn.forget_tls() => match conn.start_tls(&tls) {
                Ok(()) => return Ok(()),
                Err(StartTlsError::NotAStream) if conn.accept_tls(&tls) => return Ok(()),
                Err(StartTlsError::Tls(error)) => error.to_string(),
                Err(error) => return Err(error.raised()),
            },
            Ok(_) => return Err(StartTlsError::Begun.raised()),
            Err(why) => why.to_owned(),
        };
        conn.error(&format!("TLS cannot be spoken: {failure}"));
        conn.close();
        Ok(())
    })
}

/// Takes that back.
pub(super) fn forget(conn: &engine::Connection) -> PyResult<()> {
    if !conn.is_open() {
        return Err(closed());
    }
    if conn.forget_tls() || conn.is_closing() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err("TLS has begun on this connection, and ends with it: close it"))
}
