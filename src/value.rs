//! The words that the configuration may use, each parsed once: a duration, a size, a network,
//! a name, a template. What serde hands to the rest of the gateway already means something,
//! and a word that means nothing stops the start with the line where it stands.
//!
//! Every word reads from text through `FromStr`, so that a command line can use the same words,
//! and `Deserialize` does no more than call it: serde adds the place to the error.

mod amount;
mod body_path;
mod bytes;
mod cidr;
pub(crate) mod civil;
mod duration;
mod fields;
mod invalid;
mod label;
mod moment;
mod name;
mod name_map;
mod nearest;
mod one_or_many;
pub mod outside;
mod pattern;
mod percent;
mod rate;
mod scalar;
mod scalars;
pub(crate) mod schema;
mod secret;
mod span;
mod status_range;
mod template;
mod text;
mod token;
mod weight;

pub use body_path::{BodyPath, BodyStep};
pub use bytes::ByteSize;
pub use cidr::{Cidr, CidrSet};
pub use duration::Duration;
pub use fields::Fields;
pub use invalid::{Invalid, Step};
pub use label::Label;
pub use moment::Moment;
pub use name::Name;
pub use name_map::NameMap;
pub use one_or_many::OneOrMany;
pub use pattern::Pattern;
pub use percent::Percent;
pub use rate::{Period, Rate};
pub use scalar::Scalar;
pub use scalars::Scalars;
pub use secret::Secret;
pub use span::Span;
pub use status_range::StatusRange;
pub use template::{AnswerPart, ConsumerField, Escape, Piece, Reference, Source, Template};
pub use token::{HeaderName, Method};
pub use weight::Weight;

pub(crate) use nearest::{nearest, nobody};
pub(crate) use text::{deserialize_quantity, deserialize_text};
