//! What differs between two texts, line by line.

/// Over this many comparisons the middle is taken as replaced, so that a diff is bounded in time and memory.
const COMPARISONS_MAX: usize = 4_000_000;

/// A line of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both.
    Same(&'a str),
    /// In the first alone.
    Gone(&'a str),
    /// In the second alone.
    Come(&'a str),
}

/// The shortest way from one text to the other.
#[must_use]
pub fn lines<'a>(from: &'a str, to: &'a str) -> Vec<Line<'a>> {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.lines().collect(), to.lines().collect());
    let start = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let (before, from) = from.split_at(start);
    let (_, to) = to.split_at(start);
    let end = from.iter().rev().zip(to.iter().rev()).take_while(|(a, b)| a == b).count();
    let (from, after) = from.split_at(from.len() - end);
    let (to, _) = to.split_at(to.len() - end);
    let mut all: Vec<Line<'a>> = before.iter().map(|line| Line::Same(line)).collect();
    between(from, to, &mut all);
    all.extend(after.iter().map(|line| Line::Same(line)));
    all
}

fn between<'a>(from: &[&'a str], to: &[&'a str], all: &mut Vec<Line<'a>>) {
    if from.len().saturating_mul(to.len()) > COMPARISONS_MAX {
        all.extend(from.iter().map(|line| Line::Gone(line)));
        all.extend(to.iter().map(|line| Line::Come(line)));
        return;
    }
    // How much of `from` from a line on and of `to` from another on is common, in order.
    let width = to.len() + 1;
    let mut longest = vec![0_u32; (from.len() + 1) * width];
    let at = |longest: &[u32], i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in from.iter().enumerate().rev() {
        for (j, b) in to.iter().enumerate().rev() {
            let best = match a == b {
                true => at(&longest, i + 1, j + 1) + 1,
                false => at(&longest, i + 1, j).max(at(&longest, i, j + 1)),
            };
            if let Some(place) = longest.get_mut(i * width + j) {
                *place = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (from.get(i), to.get(j)) {
            (Some(a), Some(b)) if a == b => {
                all.push(Line::Same(a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&longest, i + 1, j) >= at(&longest, i, j + 1) => {
                all.push(Line::Gone(a));
                i += 1;
            }
            (_, Some(b)) => {
                all.push(Line::Come(b));
                j += 1;
            }
            (_, None) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_side_is_there_and_what_is_common_is_as_long_as_it_can_be(
            from in "[abc\n]{0,40}", to in "[abc\n]{0,40}"
        ) {
            let diff = lines(&from, &to);
            let side = |gone: bool| {
                let of = diff.iter().filter_map(move |line| match line {
                    Line::Same(line) => Some(*line),
                    Line::Gone(line) if gone => Some(*line),
                    Line::Come(line) if !gone => Some(*line),
                    _ => None,
                });
                of.collect::<Vec<_>>()
            };
            prop_assert_eq!(side(true), from.lines().collect::<Vec<_>>());
            prop_assert_eq!(side(false), to.lines().collect::<Vec<_>>());
            let same = diff.iter().filter(|line| matches!(line, Line::Same(_))).count();
            prop_assert_eq!(same, longest(&from.lines().collect::<Vec<_>>(), &to.lines().collect::<Vec<_>>()));
        }
    }

    /// As its definition has it.
    fn longest(from: &[&str], to: &[&str]) -> usize {
        let mut row = vec![0; to.len() + 1];
        for a in from {
            let before = row.clone();
            for (j, b) in to.iter().enumerate() {
                row[j + 1] = if a == b { before[j] + 1 } else { row[j].max(before[j + 1]) };
            }
        }
        row[to.len()]
    }
}
