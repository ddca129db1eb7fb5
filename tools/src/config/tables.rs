//! Tables of one kind, each with a name: `[review.NAME]`, `[notify.NAME]`.

use super::file;
use super::named;
use super::setting::Setting;
use crate::output::clean;
use toml::de::{DeTable, DeValue};

/// What a table of a kind is.
pub(super) struct Kind<T: 'static> {
    /// The name before the table's own.
    pub name: &'static str,
    /// Its settings.
    pub settings: &'static [Setting<T>],
    /// A table that says nothing yet.
    pub new: fn(&str) -> Result<T, String>,
    /// Is it whole?
    pub check: fn(&T) -> Result<(), String>,
}

impl<T: Clone> Kind<T> {
    /// Reads all tables of the kind, in the order in which they are written.
    ///
    /// # Errors
    /// `line 3: [review.prod]: ...`: what is wrong there and what would be right.
    pub(super) fn read(&self, text: &str, tables: &DeTable<'_>) -> Result<Vec<T>, String> {
        let mut entries: Vec<_> = tables.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
            .into_iter()
            .map(|(name, value)| {
                let table = format!("[{}.{}]", self.name, clean::line(name.get_ref()));
                let said = |at: usize, what: String| {
                    format!("line {}: {table}: {}", file::line(text, at), clean::line(&what))
                };
                let start = name.span().start;
                let DeValue::Table(settings) = value.get_ref() else {
                    return Err(format!("line {}: {table} is a table", file::line(text, start)));
                };
                let mut one = (self.new)(name.get_ref()).map_err(|what| said(start, what))?;
                let mut settings: Vec<_> = settings.iter().collect();
                settings.sort_by_key(|(key, _)| key.span().start);
                for (key, value) in settings {
                    let hint = "docs/configuration.md lists them all";
                    let (at, key) = (key.span().start, key.get_ref());
                    let setting = named(self.settings.iter(), key, &[], hint)
                        .map_err(|hint| said(at, format!("unknown key `{key}`; {hint}")))?;
                    file::set(setting, &mut one, value.get_ref()).map_err(|what| said(at, what))?;
                }
                (self.check)(&one).map_err(|what| said(start, what))?;
                Ok(one)
            })
            .collect()
    }
}

/// Names with commas between them.
pub(super) fn names(text: &str, max: usize) -> Result<Vec<String>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    let bad =
        |name: &String| name.is_empty() || name.len() > 1_024 || name.contains(char::is_control);
    if names.iter().any(bad) || names.len() > max {
        return Err(format!(
            "write up to {max} names with commas between them, such as \"one, two\""
        ));
    }
    Ok(names)
}
