//! What a handler sees of a request.

use super::shared::lock;
use exeunt_manager as engine;
use pyo3::prelude::*;
use std::sync::Mutex;

/// A request, as long as its handler runs; afterwards it is empty, and false.
#[pyclass(frozen, module = "exeunt.mongoose")]
pub(crate) struct HttpMessage {
    request: Mutex<Option<engine::Request>>,
}

impl HttpMessage {
    pub(super) fn of_request(request: &engine::Request) -> Self {
        Self { request: Mutex::new(Some(request.clone())) }
    }

    /// The handler has returned.
    pub(super) fn end(&self) {
        let request = lock(&self.request).take();
        drop(request);
    }

    fn request(&self) -> Option<engine::Request> {
        lock(&self.request).clone()
    }
}

#[pymethods]
impl HttpMessage {
    #[getter]
    fn method(&self) -> String {
        self.request().map(|request| request.method().to_owned()).unwrap_or_default()
    }

    #[getter]
    fn uri(&self) -> String {
        self.request().map(|request| request.uri().to_owned()).unwrap_or_default()
    }

    fn __bool__(&self) -> bool {
        lock(&self.request).is_some()
    }
}
