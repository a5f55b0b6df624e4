//! Numbers that are the same after they went through JSON: the topic holds findings as JSON, the lake as binary, and `rebuild` knows no
//! topic. A fast reader of JSON is exact only where the digits are a whole number below 2^53 and the power of ten is at most 22.

/// Digits that are kept.
const DIGITS: i32 = 12;

/// `value` with twelve significant digits, 0 where it is nearer to 0 than 1e-10: the nearest number of that decimal.
pub(super) fn exact(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() || value.abs() < 1e-10 {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -10 and 309")]
    let places = DIGITS - 1 - value.abs().log10().floor() as i32;
    if places < 0 {
        return value.round();
    }
    let scale = 10_f64.powi(places.min(22));
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::exact;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_exact_comes_back_from_json(mantissa in 1.0..10.0_f64, power in -10..15_i32, negative in any::<bool>()) {
            let value = exact(mantissa * 10_f64.powi(power) * if negative { -1.0 } else { 1.0 });
            let text = serde_json::to_string(&value).unwrap();
            let back: f64 = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.to_bits(), value.to_bits(), "{}", text);
            prop_assert_eq!(exact(value).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn it_stays_near() {
        for value in [212.25, 1.0 / 3.0, 1e-9 / 7.0, 4_000.123_456_789, 0.05] {
            assert!((exact(value) - value).abs() <= value.abs() * 1e-11, "{value}");
        }
        assert_eq!(exact(1e-12), 0.0);
        assert_eq!(exact(f64::NAN), 0.0);
    }
}
