//! Searches as they are written in a list of conditions, said in the query language.
//!
//! | condition | in the language |
//! |---|---|
//! | `contains` | `input:"drop table"`; `output:`; for any field both, with OR |
//! | `exact` | `output:="ERROR:  "` |
//! | `word`, `ip` | `input:su`, `output:183.62.140.253` |
//! | `regex` | `input:~"/bin/busybox [A-Z]{5}\b"` |
//! | `none` | `-(... OR ...)` |
//! | `user_suffix`, `role_prefix` | `user:*@185.222.209.108`, `role:win-*` |
//! | `since`, `until` | `after:`, `before:` |
//! | `min_masked` | `masked:>=5` |
//! | `then` | `session(... then ...)` |

use serde_json::Value;

/// One entry of the list as a query.
pub fn query_text(search: &Value) -> String {
    if let Some(steps) = search.get("then").and_then(Value::as_array) {
        let steps: Vec<String> = steps.iter().map(query_text).collect();
        return format!("session({})", steps.join(" then "));
    }
    let mut terms = Vec::new();
    let list = |name: &str| search.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    terms.extend(list("all").iter().map(condition));
    for (name, sign) in [("any", ""), ("none", "-")] {
        let any: Vec<String> = list(name).iter().map(condition).collect();
        if !any.is_empty() {
            terms.push(format!("{sign}({})", any.join(" OR ")));
        }
    }
    for (name, value) in search.get("filter").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().unwrap_or("");
        terms.push(match name.as_str() {
            "kind" => format!("kind:{}", text.replace('_', ".")),
            "since" => format!("after:{text}"),
            "until" => format!("before:{text}"),
            "min_masked" => format!("masked:>={value}"),
            name => match (name.strip_suffix("_prefix"), name.strip_suffix("_suffix")) {
                (Some(field), _) => format!("{field}:{text}*"),
                (_, Some(field)) => format!("{field}:*{text}"),
                _ => format!("{name}:{}", quoted(text)),
            },
        });
    }
    terms.join(" ")
}

fn condition(condition: &Value) -> String {
    let (kind, text) = ["contains", "exact", "word", "ip", "regex"]
        .into_iter()
        .find_map(|kind| Some((kind, condition.get(kind)?.as_str()?)))
        .expect("a known condition");
    let term = match kind {
        "contains" => quoted(text),
        "exact" => format!("={}", quoted(text)),
        "regex" => format!("~\"{}\"", text.replace("\\Z", "\\z").replace('"', "\\\"")),
        _ => text.to_owned(),
    };
    match condition.get("field").and_then(Value::as_str).unwrap_or("input") {
        "any" => format!("(input:{term} OR output:{term})"),
        field => format!("{field}:{term}"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
