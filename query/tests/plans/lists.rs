//! Lists of sessions, page by page.

use super::lines::model;
use daybook_engine::catalog::sort::{SortFact, SortValue};
use daybook_engine::event::Micros;
use daybook_query::QueryError;
use daybook_query::lang::parse;
use daybook_query::sessions::{ListParams, details, list, parse_sort};
use proptest::prelude::*;
use std::collections::BTreeSet;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pages_one_after_the_other_are_the_sessions_that_match_in_their_order(
        model in model(60),
        limit in 1..4usize,
        sort in 0..SortFact::all().count(),
        descending in any::<bool>(),
        word in any::<bool>(),
    ) {
        let by = SortFact::all().nth(sort).unwrap();
        let name = format!("{}{}", if descending { "-" } else { "" }, by.name());
        let sort = parse_sort(&name).unwrap();
        let text = if word { "gamma" } else { "user:bob*" };
        let query = parse(text, Micros(0)).unwrap();
        let wanted: BTreeSet<String> = model
            .sessions
            .all()
            .filter(|s| match word {
                true => model.of(&s.id).iter().any(|e| e.texts().iter().any(|t| t.contains("gamma"))),
                false => s.state.facts().is_some_and(|f| {
                    f.user.as_deref() == Some("bob@example.com")
                }),
            })
            .map(|s| s.id.to_string())
            .collect();
        let (mut found, mut values, mut cursor) = (BTreeSet::new(), Vec::new(), None::<String>);
        loop {
            let params = ListParams {
                query: Some(&query), sort, cursor: cursor.as_deref(), limit, ..ListParams::default()
            };
            let page = list(&model.snapshot, &params).unwrap();
            prop_assert_eq!(page.count, wanted.len() as u64);
            for item in &page.items {
                prop_assert!(found.insert(item.id.to_string()), "{} twice", item.id);
                let details = details(&model.snapshot, &item.id, None).unwrap().unwrap();
                prop_assert_eq!(&details.item, item);
                let events: u64 = details.segments.iter().map(|s| s.events).sum();
                prop_assert_eq!(events, item.events);
                values.push(by.of(&item.id, &model.sessions.0[&*item.id].1));
            }
            let Some(next) = page.next_cursor else { break };
            let other = parse_sort(if name == "events" { "-events" } else { "events" }).unwrap();
            let mixed = ListParams { sort: other, cursor: Some(&next), ..params };
            prop_assert!(matches!(list(&model.snapshot, &mixed), Err(QueryError::Cursor(_))));
            cursor = Some(next);
        }
        prop_assert_eq!(found, wanted);
        let known: Vec<SortValue> = values.iter().flatten().cloned().collect();
        let sorted = known.is_sorted_by(|a, b| if descending { a >= b } else { a <= b });
        prop_assert!(sorted, "{:?}", known);
        prop_assert!(values.is_sorted_by_key(Option::is_none));
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused(text in "\\PC{0,60}") {
        let model = super::model::Model::new(Vec::new(), &[]);
        let params = ListParams { cursor: Some(&text), ..ListParams::default() };
        prop_assert!(matches!(list(&model.snapshot, &params), Err(QueryError::Cursor(_))));
    }
}

#[test]
fn a_sort_that_is_none_is_answered_with_those_that_are() {
    let said = parse_sort("-size").unwrap_err().to_string();
    assert!(said.contains("`size`") && said.contains("duration"), "{said}");
}
