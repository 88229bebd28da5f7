//! Headers that the program gives: a dict, or a sequence of pairs.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString};

/// Names and values, in their order.
#[derive(Default)]
pub(super) struct Headers<'py> {
    fields: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
}

impl<'py> Headers<'py> {
    pub(super) fn given(headers: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(headers) = headers else { return Ok(Self::default()) };
        // As they are now: what is called of their values could change a dict.
        let pairs = match headers.cast::<PyDict>() {
            Ok(dict) => dict.items().into_any(),
            Err(_) if headers.hasattr("items")? => headers.call_method0("items")?,
            Err(_) => headers.clone(),
        };
        let mut fields = Vec::new();
        let Ok(pairs) = pairs.try_iter() else { return Err(no_headers(headers)) };
        for pair in pairs {
            let pair = pair?;
            let Ok((name, value)) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
                return Err(no_headers(&pair));
            };
            fields.push((name_of(&name)?, value_of(&value)?));
        }
        Ok(Self { fields })
    }

    /// Has `with` called with them, behind `more`, and the `Content-Type` unless they have one of their own.
    pub(super) fn with<T>(
        &self,
        content_type: Option<&str>,
        with: impl FnOnce(&[(&str, &str)]) -> T,
    ) -> PyResult<T> {
        if self.fields.is_empty() {
            return Ok(with(content_type.map(|given| ("Content-Type", given)).as_slice()));
        }
        let mut all = Vec::with_capacity(self.fields.len() + 1);
        for (name, value) in &self.fields {
            all.push((name.to_str()?, value.to_str()?));
        }
        if let Some(content_type) = content_type
            && !all.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            all.insert(0, ("Content-Type", content_type));
        }
        Ok(with(&all))
    }
}

fn name_of<'py>(name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    name.cast::<PyString>().cloned().map_err(|_| {
        PyTypeError::new_err(format!(
            "Header name {} is of type {}, and must be str",
            shown(name),
            kind(name)
        ))
    })
}

/// Numbers are meant as their digits.
fn value_of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.clone());
    }
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        return value.str();
    }
    Err(PyTypeError::new_err(format!(
        "Header value {} is of type {}, and must be str",
        shown(value),
        kind(value)
    )))
}

fn no_headers(given: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "headers are a dict of str, or a sequence of pairs (name, value) of str, which {} is not",
        shown(given)
    ))
}

/// For an error: short, and never one of its own.
fn shown(object: &Bound<'_, PyAny>) -> String {
    let Ok(text) = object.repr() else { return "an object".to_owned() };
    let text = text.to_string_lossy();
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn kind(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "another type".to_owned(), |name| name.to_string())
}
