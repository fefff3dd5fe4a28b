//! Strict reading of JSON, for input that others write, and the one way to write it.
//!
//! serde's derived readers are too kind for a ledger: they take an array for an object and name no field in their errors. The
//! readers of [`super::product`] and [`super::topics::order_event`] are made of these parts instead: each known field once,
//! integers as integers, and the rest skipped within serde_json's nesting limit (128) and only if it is valid JSON.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

use super::invalid::Invalid;

/// Writes a shape. The shapes have string keys and finite numbers only, so this cannot fail.
pub(crate) fn to_bytes(shape: &impl Serialize) -> Bytes {
    // Most shapes have 300 to 900 bytes: one allocation instead of three.
    let mut text = Vec::with_capacity(1024);
    #[expect(clippy::expect_used, reason = "a shape with string keys, written to memory, has nothing to fail on")]
    serde_json::to_writer(&mut text, shape).expect("a shape has string keys");
    Bytes::from(text)
}

/// Reads one strict shape from the whole of these bytes.
pub(super) fn from_slice<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Invalid> {
    serde_json::from_slice(json).map_err(|error| Invalid::malformed(&error))
}

/// Takes the value of a field that may stand once only; an error names the field.
pub(super) fn once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    slot: &mut Option<T>,
    field: &'static str,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(de::Error::custom(format_args!("{field} stands twice")));
    }
    *slot = Some(map.next_value().map_err(|error| de::Error::custom(format_args!("{field}: {error}")))?);
    Ok(())
}

/// The value of a field that is needed.
pub(super) fn needed<T, E: de::Error>(slot: Option<T>, field: &'static str) -> Result<T, E> {
    slot.ok_or_else(|| de::Error::custom(format_args!("{field} is missing")))
}

/// Text, borrowed where it has no escapes.
pub(super) struct Text<'de>(pub Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(TextVisitor)
    }
}

/// A JSON integer: no fraction (`5.0` is refused), no text, no truth value.
pub(super) struct Integer(pub i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct IntegerVisitor;
        impl Visitor<'_> for IntegerVisitor {
            type Value = Integer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Integer(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                let small = i64::try_from(number).map_err(|_| E::custom(format_args!("{number} is too large")))?;
                Ok(Integer(small))
            }
        }
        json.deserialize_i64(IntegerVisitor)
    }
}

/// A JSON number, always finite.
pub(super) struct Number(pub f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        #[expect(clippy::cast_precision_loss, reason = "the ranges that are checked later lie far below 2^53")]
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Number(number as f64))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Number(number))
            }
        }
        json.deserialize_f64(NumberVisitor)
    }
}

/// Any value, read and forgotten. Unlike serde's `IgnoredAny` it keeps to the nesting limit and checks every text.
pub(super) struct Skip;

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(SkipVisitor)
    }
}

struct SkipVisitor;

impl<'de> Visitor<'de> for SkipVisitor {
    type Value = Skip;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_str<E>(self, _: &str) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Skip, A::Error> {
        while items.next_element::<Skip>()?.is_some() {}
        Ok(Skip)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Skip, A::Error> {
        while fields.next_entry::<Skip, Skip>()?.is_some() {}
        Ok(Skip)
    }
}

/// A JSON object whose keys and values stay as they were written. Only grammar is asked of them: half a surrogate pair and a
/// number beyond any float are JSON. Of a key that stands twice the last counts.
#[derive(Debug)]
pub(super) struct RawObject<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> RawObject<'a> {
    pub fn parse(json: &'a str) -> Result<Self, Invalid> {
        from_slice(json.as_bytes())
    }

    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| is_named(key, name)).map(|(_, value)| *value)
    }

    /// A field that is a text which can be read.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// The object with these fields instead of its own of these names; `None` leaves one out.
    pub fn with(&self, fields: &[(&str, Option<&str>)]) -> String {
        let named = |key: &RawValue| fields.iter().any(|(name, _)| is_named(key, name));
        let kept = self.0.iter().filter(|(key, _)| !named(key)).map(|(key, value)| format!("{}:{}", key.get(), value.get()));
        let put = fields.iter().filter_map(|(name, text)| Some(format!("{:?}:{}", name, serde_json::Value::from((*text)?))));
        format!("{{{}}}", kept.chain(put).collect::<Vec<_>>().join(","))
    }
}

fn is_named(key: &RawValue, name: &str) -> bool {
    serde_json::from_str::<Cow<'_, str>>(key.get()).is_ok_and(|key| key == name)
}

impl<'de> Deserialize<'de> for RawObject<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = RawObject<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(field) = fields.next_entry()? {
                    found.push(field);
                }
                Ok(RawObject(found))
            }
        }
        json.deserialize_map(ObjectVisitor)
    }
}

/// How deep arrays and objects stand in each other in this JSON.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth -= 1,
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_objects_keep_what_no_float_and_no_text_can_hold() {
        let json = r#"{"a":1e400,"\ud83d":"\ud83d","\u0061":2,"b":{"c":[{}]}}"#;
        let object = RawObject::parse(json).unwrap();
        assert_eq!(object.get("a").map(RawValue::get), Some("2"), "the last of a name counts, however it is written");
        assert_eq!(object.with(&[("a", Some("x\"y")), ("z", None)]), r#"{"\ud83d":"\ud83d","b":{"c":[{}]},"a":"x\"y"}"#);
        assert_eq!((depth(json), depth(r#""[[[\"[""#), depth("[[],[[]]]")), (4, 0, 3));
        for bad in ["", "[]", "null", "{\"a\":}", "{\"a\":1}x", "{\"a\":\"\\x\"}", "{\"a\":01}"] {
            assert!(RawObject::parse(bad).is_err(), "{bad}");
        }
    }
}
