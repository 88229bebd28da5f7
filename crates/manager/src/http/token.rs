//! Which bytes may stand where (RFC 9110 §5.6.2, §5.5; RFC 3986 §2), and lists of tokens.

/// Whether these bytes are a token: a field's name, a transfer coding, a method.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether this byte may be in a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Whether this byte may be in a field's value: visible, blank, or not ASCII.
pub(crate) fn is_value_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & VALUE != 0
}

/// Whether this byte may be in a registered name, `%` included.
pub(crate) fn is_host_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & HOST != 0
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), blanks trimmed, empty ones included.
pub(crate) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim)
}

/// Without the blanks at both ends: SP and HTAB alone (RFC 9110 §5.6.3).
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const HOST: u8 = 4;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let this = byte as u8;
        let alphanumeric = this.is_ascii_alphanumeric();
        if alphanumeric || contains(b"!#$%&'*+-.^_`|~", this) {
            classes[byte] |= TOKEN;
        }
        if this == b'\t' || this >= b' ' && this != 0x7f {
            classes[byte] |= VALUE;
        }
        if alphanumeric || contains(b"-._~!$&'()*+,;=%", this) {
            classes[byte] |= HOST;
        }
        byte += 1;
    }
    classes
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_grammar() {
        assert!(is_token(b"Content-Length") && is_token(b"!#$%&'*+-.^_`|~09azAZ"));
        for byte in *b"\0\t\r\n \"(),/:;<=>?@[\\]{}\x7f\x80\xff" {
            assert!(!is_token(&[b'a', byte]), "{byte:#x}");
        }
        assert!(!is_token(b""));
        for byte in 0..=255 {
            let control = byte < 0x20 && byte != b'\t' || byte == 0x7f;
            assert_eq!(is_value_byte(byte), !control, "{byte:#x}");
        }
        for byte in *b"/?#@[]: \0\x80<>\"\\^`{|}" {
            assert!(!is_host_byte(byte), "{byte:#x}");
        }
    }

    #[test]
    fn lists_are_split_and_trimmed() {
        let members: Vec<_> = members(b"close,\t keep-alive ,,a b").collect();
        assert_eq!(members, [&b"close"[..], b"keep-alive", b"", b"a b"]);
        assert_eq!(trim(b" \t \t"), b"");
        assert_eq!(trim(b"\x0ba\x0b"), b"\x0ba\x0b");
    }
}
