//! How random a text looks.

/// Shannon's entropy of the bytes of `text`, in bits a byte, as gitleaks measures it.
pub(in crate::redact) fn bits_per_byte(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    // Which bytes there are, for they are few.
    let mut seen = [0_u64; 4];
    for byte in text.bytes() {
        if let (Some(count), Some(seen)) = (counts.get_mut(usize::from(byte)), seen.get_mut(usize::from(byte / 64))) {
            *count += 1;
            *seen |= 1 << (byte % 64);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a text of 2^53 bytes does not fit into memory")]
    let len = text.len() as f64;
    let mut bits = 0.0;
    for (mut seen, counts) in seen.into_iter().zip(counts.chunks_exact(64)) {
        while seen != 0 {
            let share = f64::from(counts.get(seen.trailing_zeros() as usize).copied().unwrap_or_default()) / len;
            bits -= share * share.log2();
            seen &= seen - 1;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_shannon() {
        assert!(bits_per_byte("aaaaaaaa").abs() < 1e-9);
        assert!((bits_per_byte("abababab") - 1.0).abs() < 1e-9);
        assert!((bits_per_byte("0123456789abcdef") - 4.0).abs() < 1e-9);
        assert!(bits_per_byte("").abs() < 1e-9);
    }
}
