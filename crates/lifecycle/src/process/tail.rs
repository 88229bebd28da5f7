//! The end of what a child said on stderr.

use std::collections::VecDeque;

/// How much of it is kept, in bytes.
pub(super) const KEPT: usize = 4096;

/// The last 4 KiB.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// How many came before them.
    left_out: u64,
}

impl Tail {
    pub(super) fn push(&mut self, said: &[u8]) {
        let kept = said.get(said.len().saturating_sub(KEPT)..).unwrap_or(said);
        let excess = (self.bytes.len() + kept.len()).saturating_sub(KEPT);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.left_out += u64::try_from(excess + said.len() - kept.len()).unwrap_or(u64::MAX);
    }

    /// As text; where its beginning is missing, that is said.
    pub(super) fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        let bytes = [front, back].concat();
        match self.left_out {
            0 => String::from_utf8_lossy(&bytes).into_owned(),
            // Not in the midst of a character.
            left_out => {
                let broken = bytes.iter().take_while(|byte| (**byte & 0xC0) == 0x80).count().min(3);
                let whole = bytes.get(broken..).unwrap_or_default();
                format!("({left_out} bytes before)…{}", String::from_utf8_lossy(whole))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Tail};

    #[test]
    fn little_is_kept_whole() {
        let mut tail = Tail::default();
        tail.push(b"no such ");
        tail.push("tür\n".as_bytes());
        assert_eq!(tail.text(), "no such tür\n");
    }

    #[test]
    fn of_much_the_end_is_kept() {
        for piece in [1, 7, KEPT, 3 * KEPT + 1] {
            let all: Vec<u8> = (0..100_000).map(|index| b'a' + u8::try_from(index % 26).unwrap()).collect();
            let mut tail = Tail::default();
            all.chunks(piece).for_each(|piece| tail.push(piece));
            let end = String::from_utf8(all[all.len() - KEPT..].to_vec()).unwrap();
            assert_eq!(
                tail.text(),
                format!("({} bytes before)…{end}", all.len() - KEPT),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_character_that_was_cut_is_left_out() {
        let mut tail = Tail::default();
        tail.push("ü".repeat(KEPT).as_bytes());
        tail.push(b"x");
        assert!(tail.text().ends_with("…ü…x") || !tail.text().contains('\u{FFFD}'));
    }
}
