//! The values of fields: strings that borrow, lists and maps that are bounded while they are read.

use super::{LIST_LEN_MAX, NAME_BYTES_MAX};
use crate::event::time::excerpt;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A string that borrows from the line unless an escape forbids it.
#[derive(Debug)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(v)))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(v.to_owned())))
            }
            fn visit_string<E: de::Error>(self, v: String) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(v)))
            }
        }
        deserializer.deserialize_str(StrVisitor)
    }
}

/// A list of names, bounded while it is read.
#[derive(Debug, Default)]
pub(super) struct Names(pub(super) Vec<Box<str>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(Str(name)) = seq.next_element()? {
                    if names.len() == LIST_LEN_MAX {
                        return Err(de::Error::custom(format!(
                            "list is longer than {LIST_LEN_MAX}"
                        )));
                    }
                    names.push(bounded(&name).map_err(de::Error::custom)?.into());
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_seq(NamesVisitor)
    }
}

/// A map from names to values, bounded while it is read, without repeated keys.
#[derive(Debug)]
pub(super) struct Map<V>(pub(super) BTreeMap<Box<str>, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
            type Value = Map<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map<V>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((Str(key), value)) = access.next_entry::<Str<'de>, V>()? {
                    if map.len() == LIST_LEN_MAX {
                        return Err(de::Error::custom(format!(
                            "object has more than {LIST_LEN_MAX} fields"
                        )));
                    }
                    let key: Box<str> = bounded(&key).map_err(de::Error::custom)?.into();
                    if map.insert(key, value).is_some() {
                        return Err(de::Error::custom("object has a field twice"));
                    }
                }
                Ok(Map(map))
            }
        }
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

pub(super) fn bounded(name: &str) -> Result<&str, String> {
    if name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "`{}` has {} bytes, over the limit of {NAME_BYTES_MAX} for a name",
            excerpt(name),
            name.len()
        ));
    }
    Ok(name)
}

/// A value that borrows nothing, in a struct whose fields all borrow.
#[derive(Debug)]
pub(super) struct Plain<'a, T>(pub(super) T, PhantomData<&'a ()>);

impl<'de, 'a, T: Deserialize<'de>> Deserialize<'de> for Plain<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Plain(value, PhantomData))
    }
}
