//! Some queries of each class, drawn from the events themselves, so that all of them hit.

use super::generate::Stream;
use super::queries::{Ask, Class, Filter, Text};
use super::seeded::Seeded;
use super::template::is_address;
use anyhow::{Result, ensure};
use daybook_engine::event::Micros;
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use std::collections::{HashMap, HashSet};

/// So many different queries are in a class, where the events have them.
const QUERIES: usize = 24;
/// So many events are looked at for words, and as many times is a query tried to be drawn.
const SAMPLES: usize = 20_000;

/// The queries of all classes.
pub(crate) fn draw(stream: &Stream, seed: u64) -> Result<Vec<Ask>> {
    let mut drawer = Drawer { stream, seeded: Seeded::of(&[seed, 6]), common: Vec::new() };
    drawer.common = drawer.common_words();
    ensure!(!drawer.common.is_empty(), "the events have no common words");
    let mut asks = Vec::new();
    for class in Class::ALL {
        let mine: Vec<Ask> = drawer.class(class);
        ensure!(!mine.is_empty(), "the events have nothing to ask for: {}", class.name());
        asks.extend(mine);
    }
    Ok(asks)
}

struct Drawer<'a> {
    stream: &'a Stream,
    seeded: Seeded,
    /// The most frequent first.
    common: Vec<String>,
}

impl Drawer<'_> {
    fn class(&mut self, class: Class) -> Vec<Ask> {
        let ask = |text| Ask { class, text, filters: Vec::new(), hits: None };
        let markers = self.stream.markers();
        let marked = |text: &dyn Fn(usize) -> Option<Text>, share: usize| -> Vec<Ask> {
            let markers = markers.iter().enumerate().take(QUERIES / share);
            let text = |(at, hits)| Some(Ask { hits: Some(hits), ..ask(text(at)?) });
            markers.filter_map(|(at, marker)| text((at, marker.copies))).collect()
        };
        let at = |at: usize| markers.get(at);
        match class {
            Class::RareWord => marked(&|i| Some(Text::Words(vec![at(i)?.word.clone()])), 1),
            Class::Phrase => {
                let known = |i| {
                    let marker = at(i)?;
                    Some(Text::Phrase(format!("{} --from {}", marker.word, marker.address)))
                };
                self.fill(marked(&known, 4), |row| Some(ask(Text::Phrase(row.phrase()?))))
            }
            Class::Path => {
                let known = |i| Some(Text::Token(at(i)?.path.clone()));
                self.fill(marked(&known, 2), |row| Some(ask(Text::Token(row.path()?))))
            }
            Class::Address => {
                let known = |i| Some(Text::Token(at(i)?.address.clone()));
                self.fill(marked(&known, 2), |row| Some(ask(Text::Token(row.address()?))))
            }
            Class::Substring => {
                let known = |i| Some(Text::Part(at(i)?.word.get(3..12)?.to_owned()));
                self.fill(marked(&known, 4), |row| Some(ask(Text::Part(row.part()?))))
            }
            Class::Regex => {
                let known = |i| {
                    let word = &at(i)?.word;
                    Some(Text::Regex(format!("{}[0-9a-f]{{2}} --from [0-9.]+", word.get(..12)?)))
                };
                self.fill(marked(&known, 4), |row| Some(ask(Text::Regex(row.regex()?))))
            }
            Class::TwoWords => self.fill(Vec::new(), |row| {
                let one = row.word()?;
                let other = row.word().filter(|other| *other != one)?;
                Some(ask(Text::Words(vec![one, other])))
            }),
            Class::Filter => {
                self.fill(Vec::new(), |row| Some(Ask { filters: row.filters(), ..ask(Text::None) }))
            }
            Class::FilterAndWord => self.fill(Vec::new(), |row| {
                let text = Text::Words(vec![row.word()?]);
                Some(Ask { filters: row.filters(), ..ask(text) })
            }),
            Class::OneSession => self.fill(Vec::new(), |row| {
                let text = Text::Words(vec![row.word()?]);
                Some(Ask { filters: vec![Filter::Session(row.session.clone())], ..ask(text) })
            }),
            Class::LastHour => {
                let after = self.stream.last_hour();
                self.fill_from(Vec::new(), Some(after), |row| {
                    let text = Text::Words(vec![row.word()?]);
                    Some(Ask { filters: vec![Filter::After(after)], ..ask(text) })
                })
            }
            Class::DeepPage => {
                let few = self.common.iter().take(5);
                few.map(|word| ask(Text::Words(vec![word.clone()]))).collect()
            }
            Class::CommonWord | Class::Count | Class::Facets | Class::Histogram => {
                let words = self.common.iter().take(QUERIES);
                words.map(|word| ask(Text::Words(vec![word.clone()]))).collect()
            }
        }
    }

    fn fill(&mut self, asks: Vec<Ask>, one: impl Fn(&mut Drawn) -> Option<Ask>) -> Vec<Ask> {
        self.fill_from(asks, None, one)
    }

    /// Draws different queries until there are enough.
    fn fill_from(
        &mut self,
        mut asks: Vec<Ask>,
        after: Option<Micros>,
        one: impl Fn(&mut Drawn) -> Option<Ask>,
    ) -> Vec<Ask> {
        // What happened in the last hour is looked for among all sessions, which is dear.
        let tries = if after.is_some() { 200 } else { SAMPLES };
        for _ in 0..tries {
            if asks.len() >= QUERIES {
                break;
            }
            let drawn = self.drawn(after).and_then(|mut row| one(&mut row));
            asks.extend(drawn.filter(|ask| !asks.contains(ask)));
        }
        asks
    }

    fn drawn(&mut self, after: Option<Micros>) -> Option<Drawn> {
        let row = match after {
            None => self.stream.sample(&mut self.seeded),
            Some(after) => self.stream.sample_after(after, &mut self.seeded),
        }?;
        // What is asked for markers is known; in few events they would be the common words, too.
        if row.marked {
            return None;
        }
        let event = Event::decode(row.line.as_bytes()).ok()?;
        let texts: Vec<String> =
            Texts::of(&event).iter().map(|(_, text)| text.to_owned()).collect();
        Some(Drawn {
            seeded: Seeded::of(&[self.seeded.next()]),
            text: self.seeded.one(&texts).cloned().unwrap_or_default(),
            session: row.session,
            user: row.user,
            role: row.role,
            role_type: row.role_type.to_owned(),
            kind: row.kind.to_owned(),
            verdict: row.verdict.map(str::to_owned),
        })
    }

    /// The words that are in the most events, the most frequent first.
    fn common_words(&mut self) -> Vec<String> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for _ in 0..SAMPLES {
            let Some(drawn) = self.drawn(None) else { continue };
            let text = drawn.text.to_ascii_lowercase();
            let words: HashSet<&str> = plain_words(&text).collect();
            for word in words {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        words.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        words.into_iter().map(|(word, _)| word).take(QUERIES).collect()
    }
}

/// An event that a query is drawn from.
struct Drawn {
    seeded: Seeded,
    text: String,
    session: String,
    user: String,
    role: String,
    role_type: String,
    kind: String,
    verdict: Option<String>,
}

impl Drawn {
    fn word(&mut self) -> Option<String> {
        let text = self.text.to_ascii_lowercase();
        let words: Vec<&str> = plain_words(&text).collect();
        self.seeded.one(&words).map(|word| (*word).to_owned())
    }

    /// A few tokens of a line, one blank between them.
    fn phrase(&mut self) -> Option<String> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tokens: Vec<&str> = self.seeded.one(&lines)?.split(' ').collect();
        let length = 2 + self.seeded.below(3) as usize;
        let start = self.seeded.below(tokens.len() as u64) as usize;
        let phrase = tokens.get(start..start + length)?.join(" ");
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        let ends = |token: &&str| plain_words(token).next() == Some(*token);
        let tokens = tokens.get(start..start + length)?;
        (phrase.chars().all(plain)
            && !phrase.contains(['"', '\\', '\'', '{', '}'])
            && phrase.len() < 100
            && tokens.first().is_some_and(ends)
            && tokens.last().is_some_and(ends))
        .then_some(phrase)
    }

    fn path(&mut self) -> Option<String> {
        let path = |token: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            token.matches('/').count() >= 2
                && token.starts_with('/')
                && !token.contains("//")
                && token.chars().all(plain)
                && token.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        let paths: Vec<&str> = self.text.split_whitespace().filter(path).collect();
        self.seeded.one(&paths).map(|path| (*path).to_owned())
    }

    fn address(&mut self) -> Option<String> {
        let tokens = self.text.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '_');
        let addresses: Vec<&str> = tokens.filter(|token| is_address(token)).collect();
        self.seeded.one(&addresses).map(|address| (*address).to_owned())
    }

    /// The inside of a long word, or from inside one word to inside the next.
    fn part(&mut self) -> Option<String> {
        let long = |word: &&str| word.len() >= 9;
        let words: Vec<&str> = plain_words(&self.text).filter(long).collect();
        let inside = self.seeded.one(&words).and_then(|word| word.get(2..word.len() - 2));
        if self.seeded.below(2) == 0 {
            return inside.map(str::to_owned);
        }
        let phrase = self.phrase()?;
        (phrase.len() >= 10).then(|| phrase.get(1..phrase.len() - 1).map(str::to_owned))?
    }

    fn regex(&mut self) -> Option<String> {
        let lines: Vec<&str> = self.text.lines().collect();
        let line = *self.seeded.one(&lines)?;
        let words: Vec<&str> = plain_words(line).collect();
        let at = self.seeded.below(words.len() as u64) as usize;
        let (one, next) = (words.get(at)?, words.get(at + 1)?);
        let between = line.split_once(one)?.1.split_once(next)?.0;
        let plain = between.len() <= 20 && between.is_ascii();
        match self.seeded.below(3) {
            0 if plain => Some(format!("{one}[^\n]{{0,20}}{next}").replace('\n', "\\n")),
            1 if between == " " => Some(format!("({one}|nothing) +{}[a-zA-Z]+", next.get(..2)?)),
            2 if one.len() >= 6 => Some(format!("{}[a-zA-Z]+", one.get(..4)?)),
            _ => None,
        }
    }

    fn filters(&mut self) -> Vec<Filter> {
        let kind = Filter::Kind(self.kind.clone());
        let verdict = self.verdict.clone().map(Filter::Verdict);
        match self.seeded.below(4) {
            0 => vec![Filter::User(self.user.clone())],
            1 => vec![Filter::Role(self.role.clone()), kind],
            2 => std::iter::once(Filter::Type(self.role_type.clone())).chain(verdict).collect(),
            _ => vec![verdict.unwrap_or(kind)],
        }
    }
}

/// Words of three letters to twenty, and nothing else: every engine takes them for words.
fn plain_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| {
        (3..=20).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic())
    })
}
