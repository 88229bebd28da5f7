//! As much of HPACK (RFC 7541) as a request without secrets and the status of an answer need.
//!
//! We allow no dynamic table (`SETTINGS_HEADER_TABLE_SIZE` 0), so a block means the same whatever came before it.

/// `:status` in the static table, with and without a value (RFC 7541 appendix A).
const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
const FIRST_STATUS: usize = 8;

/// The status in a block of headers, if it has one: pseudo-headers come first (RFC 9113 §8.3).
pub(super) fn status(mut block: &[u8]) -> Result<Option<u16>, &'static str> {
    const CUT: &str = "a header block cut short";
    loop {
        let Some(first) = block.first() else { return Ok(None) };
        // Indexed; literal with indexing; size of the table; literal without, and never, indexed (RFC 7541 §6).
        let prefix = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => {
                block = integer(block, 5).ok_or(CUT)?.1;
                continue;
            }
            _ => 4,
        };
        let (index, rest) = integer(block, prefix).ok_or(CUT)?;
        let Some(known) = index.checked_sub(FIRST_STATUS).and_then(|known| STATUSES.get(known)) else {
            return Ok(None);
        };
        if prefix == 7 {
            return Ok(Some(*known));
        }
        let huffman = rest.first().ok_or(CUT)? & 0x80 != 0;
        let (length, rest) = integer(rest, 7).ok_or(CUT)?;
        let value = rest.get(..length).ok_or(CUT)?;
        let digits = if huffman { unpacked(value) } else { value.to_vec() };
        let digits = String::from_utf8(digits).unwrap_or_default();
        let status = if digits.len() == 3 { digits.parse().ok() } else { None };
        return status.map(Some).ok_or("a :status that is no number of three digits");
    }
}

/// The block of a GET.
pub(super) fn request(authority: &str, path: &str) -> Vec<u8> {
    const METHOD_GET: u8 = 0x82;
    const SCHEME_HTTP: u8 = 0x86;
    let mut block = vec![METHOD_GET, SCHEME_HTTP];
    // Without indexing: `:authority` is 1 in the static table, `:path` 4, `user-agent` 58.
    for (name, value) in [(1, authority), (4, path), (58, "exeunt-drill")] {
        put_integer(&mut block, 0, 4, name);
        put_integer(&mut block, 0, 7, value.len());
        block.extend(value.as_bytes());
    }
    block
}

/// An integer behind a prefix of so many bits, and what follows it (RFC 7541 §5.1).
fn integer(bytes: &[u8], prefix: u32) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let full = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & full;
    if value < full {
        return Some((value, rest));
    }
    // Longer ones would be beyond all that a frame can hold.
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

fn put_integer(block: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let full = (1_usize << prefix) - 1;
    let low = |value: usize| u8::try_from(value & 0x7f).unwrap_or_default();
    if value < full {
        block.push(pattern | low(value));
        return;
    }
    block.push(pattern | low(full));
    let mut left = value - full;
    while left >= 0x80 {
        block.push(low(left) | 0x80);
        left >>= 7;
    }
    block.push(low(left));
}

/// Digits in the Huffman code of RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 have six. Ends at what is none.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bits = packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut digit = move || {
        let mut code = 0;
        for _ in 0..5 {
            code = code << 1 | bits.next()?;
        }
        match code {
            0..=2 => Some(code),
            // The sixth bit decides between two; 0x18 is no digit, 0x19 is 3, and so on.
            0x0c..=0x0f => (code << 1 | bits.next()?).checked_sub(0x19).map(|above| above + 3),
            _ => None,
        }
    };
    let mut digits = Vec::new();
    while let Some(digit) = digit() {
        digits.push(b'0' + digit);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_found_however_it_is_written() {
        const GARBAGE: Option<Option<u16>> = None;
        let table: [(&[u8], Option<Option<u16>>); 13] = [
            (&[0x88], Some(Some(200))),
            (&[0x8e, 0x61, 1, b'x'], Some(Some(500))),
            // A size of the table first, as after our settings.
            (&[0x20, 0x8d], Some(Some(404))),
            (&[0x3f, 0x01, 0x88], Some(Some(200))),
            (b"\x08\x03503", Some(Some(503))),
            (b"\x48\x03302", Some(Some(302))),
            // RFC 7541 appendix C.6.1 has 302 so.
            (&[0x48, 0x82, 0x64, 0x02], Some(Some(302))),
            // No status: trailers.
            (&[0x00, 1, b'a', 1, b'b'], Some(None)),
            (&[], Some(None)),
            (b"\x08\x03abc", GARBAGE),
            (b"\x08\x0210", GARBAGE),
            (b"\x08\x0350", GARBAGE),
            (&[0x48, 0x82, 0xff, 0xff], GARBAGE),
        ];
        for (block, expected) in table {
            assert_eq!(status(block).ok(), expected, "{block:02x?}");
        }
    }

    #[test]
    fn every_digit_is_unpacked() {
        // Each digit's code and length, RFC 7541 appendix B.
        let codes = [(0x0, 5), (0x1, 5), (0x2, 5)].into_iter().chain((0x19..=0x1f).map(|code| (code, 6)));
        let codes: Vec<(u32, u32)> = codes.collect();
        for value in 100..1000_u32 {
            let digits = value.to_string();
            let (mut bits, mut length) = (0, 0);
            for digit in digits.bytes() {
                let (code, more) = codes[usize::from(digit - b'0')];
                bits = bits << more | code;
                length += more;
            }
            // Filled up with ones (RFC 7541 §5.2).
            let bytes = length.div_ceil(8);
            let filling = bytes * 8 - length;
            let packed = (bits << filling | ((1 << filling) - 1)).to_be_bytes();
            let packed = &packed[4 - bytes as usize..];
            assert_eq!(unpacked(packed), digits.as_bytes(), "{packed:02x?}");
        }
    }

    #[test]
    fn long_values_have_long_lengths() {
        let path = format!("/{}", "x".repeat(300));
        let block = request("[::1]:80", &path);
        let at = block.iter().position(|byte| *byte == 4).unwrap();
        let (length, rest) = integer(&block[at + 1..], 7).unwrap();
        assert_eq!((length, &rest[..length]), (301, path.as_bytes()));
        assert_eq!(integer(&[0x1f, 0x9a, 0x0a], 5).unwrap().0, 1337, "RFC 7541 appendix C.1.2");
        assert_eq!(integer(&[0x7f, 0xff, 0xff, 0xff, 0xff, 1], 7), None);
    }
}
