//! Server-sent events (WHATWG HTML §9.2).

use super::ReplyError;

/// One event, as it stands in a `text/event-stream`. Each line of `data` becomes a line of its own; without a `kind` the
/// event is a `message`.
///
/// # Errors
///
/// If `kind` has a line end, which would begin another field.
pub(crate) fn sse(kind: &str, data: &str) -> Result<Vec<u8>, ReplyError> {
    if kind.contains(['\r', '\n']) {
        return Err(ReplyError::EventKind { kind: kind.to_owned() });
    }
    let mut event = Vec::with_capacity(kind.len() + data.len() + 32);
    if !kind.is_empty() {
        push_line(&mut event, "event: ", kind);
    }
    let mut rest = data;
    while let Some(end) = rest.find(['\r', '\n']) {
        let (line, behind) = rest.split_at_checked(end).unwrap_or_default();
        push_line(&mut event, "data: ", line);
        rest = behind.strip_prefix("\r\n").or_else(|| behind.get(1..)).unwrap_or_default();
    }
    push_line(&mut event, "data: ", rest);
    event.push(b'\n');
    Ok(event)
}

fn push_line(event: &mut Vec<u8>, field: &str, value: &str) {
    event.extend_from_slice(field.as_bytes());
    event.extend_from_slice(value.as_bytes());
    event.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_data_is_a_field() {
        let table = [
            ("", "", "data: \n\n"),
            ("", "a", "data: a\n\n"),
            ("tick", "a", "event: tick\ndata: a\n\n"),
            ("", "a\nb", "data: a\ndata: b\n\n"),
            ("", "a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n"),
            ("", "\n\r", "data: \ndata: \ndata: \n\n"),
            ("", " a: b", "data:  a: b\n\n"),
            ("", "data: x\n\nevent: y", "data: data: x\ndata: \ndata: event: y\n\n"),
            ("ü", "ü", "event: ü\ndata: ü\n\n"),
        ];
        for (kind, data, event) in table {
            assert_eq!(sse(kind, data).unwrap(), event.as_bytes(), "{kind:?} {data:?}");
        }
    }

    #[test]
    fn a_type_is_one_line() {
        for kind in ["a\nb", "a\r", "\r\ndata: x"] {
            let error = sse(kind, "").unwrap_err();
            assert!(error.to_string().contains("line end"), "{error}");
        }
    }
}
