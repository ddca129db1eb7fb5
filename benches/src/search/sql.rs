//! The same questions in SQL, each as somebody who knows the engine would ask.

use super::queries::{Ask, Class, DEEP, Filter, PAGE, Text};

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Clickhouse,
}

/// What a hit shows: as much of its text as a line of a list has.
const SHOWN: &str = "session, seq, time, kind, verdict, username, role, type";
const DIMENSIONS: [&str; 5] = ["username", "role", "type", "kind", "verdict"];

impl Dialect {
    /// The query of an ask. A deep page starts behind the hit that is given.
    pub(crate) fn query(self, ask: &Ask, behind: Option<&str>) -> String {
        let mut conditions = self.conditions(ask);
        if let Some(behind) = behind {
            conditions.push(format!("(time, id) < ({behind})"));
        }
        let filter = conditions.join(" and ");
        let shown = match self {
            Dialect::Postgres => "substring",
            Dialect::Clickhouse => "substringUTF8",
        };
        match ask.class {
            Class::Count => format!("select count(*) from events where {filter}"),
            Class::Facets => {
                let sets: Vec<String> = DIMENSIONS.iter().map(|d| format!("({d})")).collect();
                format!(
                    "select {}, count(*) from events where {filter} group by grouping sets ({})",
                    DIMENSIONS.join(", "),
                    sets.join(", ")
                )
            }
            Class::Histogram => {
                let day = match self {
                    Dialect::Postgres => "date_trunc('day', time)",
                    Dialect::Clickhouse => "toStartOfDay(time)",
                };
                format!(
                    "select {day} as day, verdict, count(*) from events where {filter} group by day, verdict"
                )
            }
            _ => format!(
                "select {SHOWN}, {shown}(body, 1, 300) from events where {filter} order by time desc, id desc limit {PAGE}"
            ),
        }
    }

    /// Where the page before the deep one ends: the last hit of it, or of the last whole page.
    pub(crate) fn behind(self, ask: &Ask, hits: usize) -> Option<String> {
        let skip = ((DEEP - 1) * PAGE).min(hits.saturating_sub(1) / PAGE * PAGE).checked_sub(1)?;
        let place = match self {
            Dialect::Postgres => "quote_literal(time::text) || '::timestamptz, ' || id",
            Dialect::Clickhouse => {
                "concat('toDateTime64(\\'', toString(time), '\\', 6, \\'UTC\\'), ', toString(id))"
            }
        };
        let filter = self.conditions(ask).join(" and ");
        Some(format!(
            "select {place} from events where {filter} order by time desc, id desc limit 1 offset {skip}"
        ))
    }

    pub(crate) fn count(self, ask: &Ask) -> String {
        format!("select count(*) from events where {}", self.conditions(ask).join(" and "))
    }

    fn conditions(self, ask: &Ask) -> Vec<String> {
        let mut conditions: Vec<String> = ask.filters.iter().map(|f| self.filter(f)).collect();
        let part = |text: &str| match self {
            Dialect::Postgres => format!("body ilike {}", self.text(&format!("%{}%", like(text)))),
            // The index of parts is over the lower case.
            Dialect::Clickhouse => {
                let lower = format!("%{}%", like(&text.to_ascii_lowercase()));
                format!("lower(body) like {}", self.text(&lower))
            }
        };
        match &ask.text {
            Text::None => {}
            Text::Words(words) => conditions.push(self.words(words)),
            Text::Phrase(text) | Text::Token(text) => {
                match self {
                    Dialect::Postgres if matches!(ask.text, Text::Phrase(_)) => {
                        // As the table has it.
                        let plain = text.replace(|c: char| "./-:@=&?%#+~<>".contains(c), " ");
                        let plain = self.text(&plain);
                        conditions.push(format!("words @@ phraseto_tsquery('simple', {plain})"));
                    }
                    // What PostgreSQL makes of a path or an address depends on what is around it.
                    Dialect::Postgres => {}
                    Dialect::Clickhouse => {
                        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
                        let words: Vec<String> =
                            words.filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
                        conditions.push(self.words(&words));
                    }
                }
                conditions.push(part(text));
            }
            Text::Part(text) => conditions.push(part(text)),
            Text::Regex(regex) => conditions.push(match self {
                Dialect::Postgres => format!("body ~ {}", self.text(regex)),
                Dialect::Clickhouse => format!("match(body, {})", self.text(regex)),
            }),
        }
        conditions
    }

    fn words(self, words: &[String]) -> String {
        match self {
            Dialect::Postgres => {
                format!("words @@ to_tsquery('simple', {})", self.text(&words.join(" & ")))
            }
            Dialect::Clickhouse => {
                let words: Vec<String> = words.iter().map(|word| self.text(word)).collect();
                format!("hasAllTokens(body, [{}])", words.join(", "))
            }
        }
    }

    fn filter(self, filter: &Filter) -> String {
        let is = |column: &str, value: &str| format!("{column} = {}", self.text(value));
        match filter {
            Filter::User(user) => is("username", user),
            Filter::Role(role) => is("role", role),
            Filter::Type(role_type) => is("type", role_type),
            Filter::Kind(kind) => is("kind", kind),
            Filter::Verdict(verdict) => is("verdict", verdict),
            Filter::Session(session) => is("session", session),
            Filter::After(time) => {
                let text = time.to_string();
                match self {
                    Dialect::Postgres => format!("time >= {}", self.text(&text)),
                    Dialect::Clickhouse => {
                        let text = text.replace('T', " ").replace('Z', "");
                        format!("time >= toDateTime64({}, 6, 'UTC')", self.text(&text))
                    }
                }
            }
        }
    }

    fn text(self, text: &str) -> String {
        match self {
            Dialect::Postgres => format!("'{}'", text.replace('\'', "''")),
            Dialect::Clickhouse => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
        }
    }
}

/// A text as `like` takes it.
fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
