//! The boundary, out of a `Content-Type`.

use super::MultipartError;
use super::parameters::parameters;

/// The boundary of a form of that type.
pub(super) fn boundary(content_type: &str) -> Result<Vec<u8>, MultipartError> {
    let (kind, parameters) = parameters(content_type.as_bytes())
        .map_err(|_| MultipartError::Boundary { why: "in parameters that are none" })?;
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err(MultipartError::OtherType { content_type: content_type.to_owned() });
    }
    let mut boundaries = parameters.into_iter().filter(|(name, _)| name == "boundary");
    match (boundaries.next(), boundaries.next()) {
        (None, _) => Err(MultipartError::Boundary { why: "missing" }),
        (Some((_, boundary)), None) => check(&boundary).map(|()| boundary),
        _ => Err(MultipartError::Boundary { why: "there twice" }),
    }
}

/// Any visible character is taken, though RFC 2046 §5.1.1 has fewer: clients use more, and CR is all that would do harm.
pub(super) fn check(boundary: &[u8]) -> Result<(), MultipartError> {
    let why = match boundary {
        [] => "empty",
        [.., b' '] => "one that ends with a blank",
        boundary if boundary.len() > 70 => "too long",
        boundary if boundary.iter().all(|byte| (b' '..=b'~').contains(byte)) => return Ok(()),
        _ => "one with characters that are not visible",
    };
    Err(MultipartError::Boundary { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_found() {
        let seventy = "x".repeat(70);
        let long = format!("multipart/form-data; boundary={seventy}");
        let table = [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data;BOUNDARY=abc", "abc"),
            ("multipart/form-data; charset=utf-8; boundary=\"a b;c\" ; x=y", "a b;c"),
            ("multipart/form-data; boundary=----=_Part_1/x:y", "----=_Part_1/x:y"),
            ("multipart/form-data ; boundary=\"a\\\"b\"", "a\"b"),
            (&long, &seventy),
        ];
        for (content_type, expected) in table {
            assert_eq!(boundary(content_type), Ok(expected.as_bytes().to_vec()), "{content_type}");
        }
    }

    #[test]
    fn what_has_none_is_refused() {
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        let table = [
            ("multipart/form-data", 400),
            ("multipart/form-data; boundary=", 400),
            ("multipart/form-data; boundary=\"\"", 400),
            ("multipart/form-data; boundary=\"a \"", 400),
            ("multipart/form-data; boundary=\"a", 400),
            ("multipart/form-data; boundary=\"a\"b", 400),
            ("multipart/form-data; boundary=a; boundary=b", 400),
            ("multipart/form-data; boundary=ü", 400),
            ("multipart/form-data; boundary=\"a\tb\"", 400),
            (&long, 400),
            ("multipart/mixed; boundary=a", 415),
            ("application/x-www-form-urlencoded", 415),
            ("", 415),
        ];
        for (content_type, status) in table {
            let refused = boundary(content_type).unwrap_err();
            assert_eq!(refused.status(), status, "{content_type}: {refused}");
        }
    }
}
