//! Shapes of the configuration that serde's own would read too freely (a list as an object), or with errors that lose
//! the path to the wrong field (`untagged`).

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::number::Real;

/// One of an enum's names.
#[derive(Debug)]
pub(super) struct Name<T>(T);

impl<T> Name<T> {
    pub(super) fn get(self) -> T {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Name<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own reader takes `{"name": null}`, too, and says of a number only that it is no string. Of a text
        // that is no name it lists those that are: so whatever is no text is read as one that is no name.
        let value = Value::deserialize(deserializer)?;
        let text = value.as_str().unwrap_or_default();
        T::deserialize(StrDeserializer::<D::Error>::new(text)).map(Self)
    }
}

/// An object, and nothing else.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// One object, or a list of them.
#[derive(Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ requests, perMs, algorithm }, a list of them, or null")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        let list = Vec::<Object<T>>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(OneOrMany(list.into_iter().map(|Object(one)| one).collect()))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

/// A longest latency of 10 minutes, in milliseconds.
pub(super) type LatencyMs = Real<600_000>;

/// A number of milliseconds, or a range of them.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) min: LatencyMs,
    pub(super) max: LatencyMs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    min: LatencyMs,
    max: LatencyMs,
}

struct RangeVisitor;

impl<'de> Visitor<'de> for RangeVisitor {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of milliseconds from 0 to 600000, or { min, max }")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Range, E> {
        if (0.0..=600_000.0).contains(&value) {
            Ok(Range { min: Real(value), max: Real(value) })
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Range, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Range, E> {
        self.visit_f64(value as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Range, A::Error> {
        let Bounds { min, max } = Bounds::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Range { min, max })
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangeVisitor)
    }
}
