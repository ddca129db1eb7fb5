//! The configuration in words: a file that can be used again, and the tables of the page.

use super::setting::Setting;
use super::{Config, FIXED, SETTINGS};

/// The effective configuration as a file, each setting under what it is and what happens at it.
#[must_use]
pub fn toml(config: &Config) -> String {
    let mut text = String::from("# daybook's configuration: daybook serve --config FILE\n");
    let defaults = Config::default();
    for setting in SETTINGS.into_iter().flatten() {
        let (value, default) = (setting.value(config), setting.value(&defaults));
        text.push_str(&format!("\n# {}\n", plain(setting.what)));
        text.push_str(&format!("# At it: {}\n", plain(setting.at)));
        text.push_str(&format!("# {}; default {default}\n", setting.range()));
        text.push_str(&format!("{} = {value}\n", setting.key));
    }
    text
}

/// The tables hold Markdown; a file's comments do not.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// Some settings as a table in Markdown, as the page has it, with their defaults.
#[must_use]
pub fn settings_table<C: Clone>(settings: &[Setting<C>], defaults: &C) -> String {
    let mut table =
        String::from("| key | default | may be | what it is | at it |\n|---|---|---|---|---|\n");
    for setting in settings {
        table.push_str(&format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            setting.key,
            setting.value(defaults).trim_matches('"'),
            setting.range(),
            setting.what,
            setting.at
        ));
    }
    table
}

/// The bounds that can't be set, as a table in Markdown.
#[must_use]
pub fn fixed_table() -> String {
    let mut table = String::from("| bound | value | at it |\n|---|---|---|\n");
    for fixed in FIXED {
        table.push_str(&format!("| {} | {} | {} |\n", fixed.what, fixed.value, fixed.at));
    }
    table
}
