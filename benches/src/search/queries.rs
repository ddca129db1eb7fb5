//! What can be asked for, in no engine's language.

use daybook_engine::event::Micros;

/// Hits of a page.
pub(crate) const PAGE: usize = 50;
/// The page that is deep.
pub(crate) const DEEP: usize = 1_000;

/// A class of queries: they are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    RareWord,
    CommonWord,
    TwoWords,
    Phrase,
    Path,
    Address,
    Substring,
    Regex,
    Filter,
    FilterAndWord,
    Count,
    Facets,
    Histogram,
    OneSession,
    LastHour,
    DeepPage,
}

impl Class {
    pub(crate) const ALL: [Class; 16] = [
        Class::RareWord,
        Class::CommonWord,
        Class::TwoWords,
        Class::Phrase,
        Class::Path,
        Class::Address,
        Class::Substring,
        Class::Regex,
        Class::Filter,
        Class::FilterAndWord,
        Class::Count,
        Class::Facets,
        Class::Histogram,
        Class::OneSession,
        Class::LastHour,
        Class::DeepPage,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::RareWord => "rare word",
            Class::CommonWord => "common word",
            Class::TwoWords => "two words",
            Class::Phrase => "exact phrase",
            Class::Path => "path",
            Class::Address => "IP",
            Class::Substring => "substring",
            Class::Regex => "regex",
            Class::Filter => "filter only",
            Class::FilterAndWord => "filter + word",
            Class::Count => "count",
            Class::Facets => "facets",
            Class::Histogram => "histogram",
            Class::OneSession => "one session",
            Class::LastHour => "last hour",
            Class::DeepPage => "deep page",
        }
    }

    /// The p95 that it should stay below, in milliseconds.
    pub(crate) fn target_ms(self) -> f64 {
        match self {
            Class::Substring | Class::Regex => 200.0,
            Class::Count | Class::Facets | Class::Histogram => 100.0,
            _ => 50.0,
        }
    }
}

/// What has to be in an event's texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
    None,
    /// All of these words.
    Words(Vec<String>),
    /// This text from a word's start to a word's end, in any case.
    Phrase(String),
    /// This token, whole at both ends.
    Token(String),
    /// This text, also inside words, in any case.
    Part(String),
    /// What this expression describes, in the given case.
    Regex(String),
}

/// A field of the event or of its session, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    User(String),
    Role(String),
    Type(String),
    Kind(String),
    Verdict(String),
    Session(String),
    After(Micros),
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub class: Class,
    pub text: Text,
    pub filters: Vec<Filter>,
    /// How many hits there are, if that is known.
    pub hits: Option<u64>,
}
