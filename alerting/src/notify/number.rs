//! Numbers in messages: three significant digits, no needless zeros.

/// `0.0431` → `0.0431`, `0.7000` → `0.7`, `1234.5` → `1234`, `0.000012` → `0.000012`.
pub fn short(number: f64) -> String {
    const SIGNIFICANT_DIGITS: i32 = 3;
    const MAX_DECIMALS: i32 = 12;
    if !number.is_finite() {
        return number.to_string();
    }
    if number == 0.0 {
        return "0".into();
    }
    let magnitude = number.abs().log10().floor() as i32;
    let decimals = (SIGNIFICANT_DIGITS - 1 - magnitude).clamp(0, MAX_DECIMALS) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn three_digits_say_enough() {
        for (number, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.04312, "0.0431"),
            (0.7, "0.7"),
            (-0.25, "-0.25"),
            (1234.5, "1234"),
            (99.96, "100"),
            (0.000012, "0.000012"),
            (523.4, "523"),
            (1e-30, "0"),
        ] {
            assert_eq!(short(number), expected);
        }
    }
}
