//! How requests are read: bodies of JSON, and the query string. This is read name by name, so that whatever is
//! wrong is answered with the name of the parameter. A name may be repeated, and a list may also be written with commas. A name that the
//! endpoint does not know is refused: a filter that is misspelt must not show everything.

use crate::problem::Problem;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Query as RawPairs};
use axum::http::StatusCode;
use axum::http::request::Parts;
use daybook_engine::event::Micros;
use daybook_query::lang::{self, Query};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The longest value of a parameter, in bytes.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// The most values of one parameter.
const VALUES_MAX: usize = 1_000;

/// The body of a request, with its own words for what is wrong.
pub type Body = Result<Bytes, BytesRejection>;

/// Reads a body of JSON.
///
/// # Errors
/// What is wrong with it.
pub fn body<T: DeserializeOwned>(bytes: Body) -> Result<T, Problem> {
    let bad =
        |what: String| Problem::new("body", StatusCode::BAD_REQUEST, "Bad request body", what);
    let bytes = bytes.map_err(|error| bad(error.body_text()))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(format!("the body can't be used: {error}")))
}

/// The parameters of an endpoint, read from its query string.
pub trait FromFields: Sized {
    /// Takes what it knows.
    ///
    /// # Errors
    /// A problem that names the parameter.
    fn read(fields: &mut Fields) -> Result<Self, Problem>;
}

/// Extracts the parameters of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: FromFields> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        let RawPairs(pairs) = RawPairs::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::parameter("", error.body_text()))?;
        let mut fields = Fields::new(pairs)?;
        let values = T::read(&mut fields)?;
        fields.finish()?;
        Ok(Params(values))
    }
}

/// The values by name; what is read is taken out.
#[derive(Debug)]
pub struct Fields {
    values: BTreeMap<String, Vec<String>>,
    known: Vec<&'static str>,
}

impl Fields {
    fn new(pairs: Vec<(String, String)>) -> Result<Fields, Problem> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            if value.len() > VALUE_BYTES_MAX {
                let detail = format!(
                    "`{name}` has {} bytes, over the limit of {VALUE_BYTES_MAX}",
                    value.len()
                );
                return Err(Problem::parameter(&name, detail));
            }
            values.entry(name).or_default().push(value);
        }
        Ok(Fields { values, known: Vec::new() })
    }

    fn take(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let mut values = self.values.remove(name).unwrap_or_default();
        values.retain(|value| !value.is_empty());
        values
    }

    /// One text; an empty one counts as absent.
    ///
    /// # Errors
    /// More than one.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut values = self.take(name);
        if values.len() > 1 {
            return Err(Problem::parameter(name, format!("`{name}` is given more than once")));
        }
        Ok(values.pop())
    }

    /// Any number of texts: repeated, with commas, or both.
    ///
    /// # Errors
    /// Too many.
    pub fn list(&mut self, name: &'static str) -> Result<Vec<String>, Problem> {
        let values: Vec<String> = self
            .take(name)
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect();
        if values.len() > VALUES_MAX {
            return Err(Problem::parameter(
                name,
                format!("`{name}` has more than {VALUES_MAX} values"),
            ));
        }
        Ok(values)
    }

    /// Any number of texts, repeated; commas are part of them.
    ///
    /// # Errors
    /// Too many.
    pub fn each(&mut self, name: &'static str) -> Result<Vec<String>, Problem> {
        let values = self.take(name);
        if values.len() > VALUES_MAX {
            return Err(Problem::parameter(
                name,
                format!("`{name}` has more than {VALUES_MAX} values"),
            ));
        }
        Ok(values)
    }

    /// `true` or `false`; false if absent.
    ///
    /// # Errors
    /// Anything else.
    pub fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, Problem> {
        match self.text(name)?.as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(Problem::parameter(
                name,
                format!("`{name}` is `true` or `false`, not `{}`", excerpt(other)),
            )),
        }
    }

    /// A whole number from 1 to `max`.
    ///
    /// # Errors
    /// Anything else.
    pub fn count(
        &mut self,
        name: &'static str,
        default: usize,
        max: usize,
    ) -> Result<usize, Problem> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        match text.parse::<usize>() {
            Ok(n) if (1..=max).contains(&n) => Ok(n),
            _ => Err(Problem::parameter(
                name,
                format!("`{name}` is a whole number from 1 to {max}, not `{}`", excerpt(&text)),
            )),
        }
    }

    /// A place in the log.
    ///
    /// # Errors
    /// Anything else than a whole number.
    pub fn offset(&mut self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let what = format!("`{name}` is an offset, a whole number, not `{}`", excerpt(&text));
            Problem::parameter(name, what)
        })
    }

    /// A time: RFC 3339, or a date (its first moment in UTC).
    ///
    /// # Errors
    /// Anything else.
    pub fn time(&mut self, name: &'static str) -> Result<Option<Micros>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Micros::parse(&text)
            .or_else(|error| Micros::parse(&format!("{text}T00:00:00Z")).map_err(|_| error))
            .map(Some)
            .map_err(|error| Problem::parameter(name, format!("`{name}`: {error}")))
    }

    /// How long: `24h`, `90m`, `7d`; in microseconds.
    ///
    /// # Errors
    /// Anything else.
    pub fn duration(&mut self, name: &'static str, default: i64) -> Result<i64, Problem> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        lang::number::duration_micros(&text).ok_or_else(|| {
            let what = format!("`{name}` is how long, such as 24h or 7d, not `{}`", excerpt(&text));
            Problem::parameter(name, what)
        })
    }

    /// A query in daybook's language.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn query(&mut self, name: &'static str) -> Result<Option<Query>, Problem> {
        match self.text(name)? {
            Some(text) if !text.trim().is_empty() => Ok(Some(lang::parse(&text, Micros::now())?)),
            _ => Ok(None),
        }
    }

    /// One of some names.
    ///
    /// # Errors
    /// Any other.
    pub fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        names: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match names.iter().find(|(known, _)| *known == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => Err(unknown(name, &text, names.iter().map(|(known, _)| *known))),
        }
    }

    fn finish(self) -> Result<(), Problem> {
        let Some(name) = self.values.keys().next() else { return Ok(()) };
        let detail = if self.known.is_empty() {
            format!("no parameter `{}` here: this endpoint takes none", excerpt(name))
        } else {
            format!("no parameter `{}` here; there are {}", excerpt(name), self.known.join(", "))
        };
        Err(Problem::parameter(name, detail))
    }
}

/// The problem of a value that is none of the known ones.
pub fn unknown<'a>(name: &str, value: &str, known: impl IntoIterator<Item = &'a str>) -> Problem {
    let known: Vec<&str> = known.into_iter().collect();
    Problem::parameter(
        name,
        format!("`{}` is no {name}; there are {}", excerpt(value), known.join(", ")),
    )
}

fn excerpt(text: &str) -> String {
    daybook_engine::event::time::excerpt(text)
}

/// An endpoint without parameters.
#[derive(Clone, Copy, Debug)]
pub struct NoParams;

impl FromFields for NoParams {
    fn read(_: &mut Fields) -> Result<NoParams, Problem> {
        Ok(NoParams)
    }
}
