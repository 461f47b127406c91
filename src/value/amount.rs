//! A number with a unit, as durations and sizes have it: `5s`, `1.5h`, `32KiB`. It stays exact,
//! since binary fractions would turn `0.1s` into something that nobody typed.

use super::Invalid;

/// Holds a non-negative decimal number exactly: `digits` divided by ten to the power `decimals`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    digits: u128,
    decimals: u32,
}

/// Tells why an amount cannot be counted in a unit.
#[derive(Debug, PartialEq)]
pub(super) enum Misfit {
    TooLarge,
    TooFine,
}

impl Amount {
    /// Splits text into its number and its unit, which may be empty. `what` names the value in
    /// errors: "a duration", "a size".
    pub(super) fn split<'a>(text: &'a str, what: &str) -> Result<(Amount, &'a str), Invalid> {
        if text.starts_with('-') {
            return Err(Invalid::new(format!("`{text}` is negative, which {what} cannot be")));
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return Err(not_a_number(text, what)),
            Some(both) => both,
            None => (number, ""),
        };
        if whole.is_empty() || fraction.contains('.') {
            return Err(not_a_number(text, what));
        }
        // Only digits are left, so that what cannot be read as a number is too long.
        let digits = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| Invalid::new(format!("`{text}` has too many digits for {what}")))?;
        let decimals = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
        Ok((Amount { digits, decimals }, unit))
    }

    /// Counts the amount in the small unit of which the written unit has `scale`.
    pub(super) fn times(self, scale: u64) -> Result<u64, Misfit> {
        let scaled = self.digits.checked_mul(u128::from(scale)).ok_or(Misfit::TooLarge)?;
        let divisor = 10u128.checked_pow(self.decimals).ok_or(Misfit::TooFine)?;
        if scaled % divisor != 0 {
            return Err(Misfit::TooFine);
        }
        u64::try_from(scaled / divisor).map_err(|_| Misfit::TooLarge)
    }
}

fn not_a_number(text: &str, what: &str) -> Invalid {
    Invalid::new(format!("`{text}` is not {what}: it must begin with a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_stay_exact() {
        let (amount, unit) = Amount::split("0.1s", "a duration").unwrap();
        assert_eq!((amount.times(1_000_000_000), unit), (Ok(100_000_000), "s"));
    }

    #[test]
    fn fraction_below_the_small_unit_is_refused() {
        let (amount, _) = Amount::split("0.5B", "a size").unwrap();
        assert_eq!(amount.times(1), Err(Misfit::TooFine));
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in ["", "s", ".5s", "5.s", "1.2.3s", "."] {
            let message = Amount::split(text, "a duration").unwrap_err().to_string();
            assert!(message.contains("must begin with a number"), "{text}: {message}");
        }
    }
}
