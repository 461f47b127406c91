//! What the schema of the configuration says of a word: its name, a sentence, and what it looks
//! like.
//!
//! A word may also come from outside (`$(env:NAME)`), so the schema gives examples and no patterns:
//! whether a word means something is for `sluicegate check` to say.

/// Gives a word its part of the schema.
macro_rules! word_schema {
    ($Word:ty, $name:literal, $sentence:literal, $($shape:tt)+) => {
        impl schemars::JsonSchema for $Word {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = schemars::json_schema!($($shape)+);
                schema.insert("description".to_owned(), $sentence.into());
                schema
            }
        }
    };
}

pub(crate) use word_schema;
