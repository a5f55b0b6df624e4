//! How random a text looks.

/// Shannon's entropy of the bytes of `text`, in bits a byte, as gitleaks measures it.
pub(in crate::redact) fn bits_per_byte(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a text of 2^53 bytes does not fit into memory")]
    let len = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / len;
            -share * share.log2()
        })
        .sum()
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
