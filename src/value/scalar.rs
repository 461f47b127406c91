//! One value that stands for itself: a text, a number, or `true` or `false`. What it is held
//! against is JSON, where `5` and `"5"` are two things, so here the quotes count.

use super::Invalid;
use super::schema::word_schema;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::{Number, Value};
use std::fmt;

/// A text, a number, or a truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A text.
    Text(Box<str>),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Truth(bool),
}

/// From here on not every whole number is a double, so that one written as a fraction may be
/// another than the one that was meant (RFC 7493 §2.2).
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

impl Scalar {
    /// What a deserializer is asked for when a scalar is read: beside whole numbers, negative ones
    /// and fractions are told from texts too.
    pub const NUMBERS: &'static str = "$scalar";

    /// Takes a fraction.
    ///
    /// # Errors
    ///
    /// Refuses a number that is so large that a fraction cannot say it exactly.
    pub fn fraction(number: f64) -> Result<Self, Invalid> {
        match Number::from_f64(number).filter(|_| number.abs() < LARGEST_EXACT) {
            Some(number) => Ok(Scalar::Number(number)),
            None => Err(Invalid::new(format!(
                "`{number}` is too large to be exact: write a whole number of at most 64 bits, or \
                 a text in quotes"
            ))),
        }
    }

    /// Whether a JSON value is the same. Texts are compared byte by byte, and numbers by what they
    /// are worth: `1` is `1.0`, and `"1"` is neither.
    pub fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Scalar::Text(text), Value::String(other)) => **text == **other,
            (Scalar::Number(number), Value::Number(other)) => are_equal(number, other),
            (Scalar::Truth(truth), Value::Bool(other)) => truth == other,
            _ => false,
        }
    }
}

/// Compares without rounding: a whole number becomes no double on the way.
fn are_equal(one: &Number, other: &Number) -> bool {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.as_f64() == other.as_f64(),
        (Some(whole), None) => is_worth(other.as_f64(), whole),
        (None, Some(whole)) => is_worth(one.as_f64(), whole),
    }
}

/// Whether a double is a whole number. The cast is exact for those that are: whole numbers have at
/// most 64 bits here, and a double beyond that becomes one that no such number equals.
fn is_worth(double: Option<f64>, whole: i128) -> bool {
    double.is_some_and(|double| double.fract() == 0.0 && double as i128 == whole)
}

/// As JSON writes it, so that a text has its quotes.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => write!(f, "{}", Value::from(&**text)),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Truth(truth) => truth.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(Scalar::NUMBERS, ScalarVisitor)
    }
}

word_schema!(
    Scalar,
    "Scalar",
    "A text, a number, `true` or `false`; what stands in quotes is a text.",
    {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}], "examples": ["sales", 5]}
);

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, `true` or `false`")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Scalar, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.into()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar::Truth(truth))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Scalar::fraction(number).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_compared_by_what_they_are_worth() {
        let number = |value: Value| match value {
            Value::Number(number) => Scalar::Number(number),
            _ => unreachable!(),
        };
        for (one, other, same) in [
            (json!(1), json!(1), true),
            (json!(1), json!(1.0), true),
            (json!(1.0), json!(1), true),
            (json!(-1), json!(-1.0), true),
            (json!(0), json!(-0.0), true),
            (json!(0.5), json!(0.5), true),
            (json!(0.5), json!(0), false),
            (json!(1), json!(-1), false),
            (json!(u64::MAX), json!(-1), false),
            (json!(u64::MAX), json!(u64::MAX), true),
            // The double is 2^64.
            (json!(u64::MAX), json!(18_446_744_073_709_551_616_f64), false),
            (json!(i64::MIN), json!(-9_223_372_036_854_775_808_f64), true),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_f64), false),
            (json!(1), json!(1e300), false),
        ] {
            assert_eq!(number(one.clone()).equals(&other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_text_is_no_number_and_no_truth() {
        let text = Scalar::Text("1".into());
        assert!(text.equals(&json!("1")));
        for other in [json!(1), json!(true), json!(null), json!(["1"]), json!({"1": "1"})] {
            assert!(!text.equals(&other), "{other}");
        }
        assert!(Scalar::Truth(true).equals(&json!(true)));
        assert!(!Scalar::Truth(true).equals(&json!("true")));
        assert!(!Scalar::Truth(true).equals(&json!(1)));
    }

    #[test]
    fn a_number_that_a_double_rounds_is_refused() {
        assert!(Scalar::fraction(1.5).is_ok());
        for large in [LARGEST_EXACT, -1e300, f64::INFINITY, f64::NAN] {
            let told = Scalar::fraction(large).unwrap_err().to_string();
            assert!(told.contains("too large to be exact"), "{told}");
        }
    }
}
