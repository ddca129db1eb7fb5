//! What a command's first words say that it does.

/// An activity of OCSF's: its number and its name.
pub(super) type Activity = (u32, &'static str);

pub(super) const OTHER: u32 = 99;

/// A longer word is no program's name.
const PROGRAM_BYTES_MAX: usize = 255;

/// What a statement does with a datastore (class 6005).
pub(super) fn of_statement(input: &str) -> Activity {
    let rest = skip_comments(input).trim_start_matches('(');
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let first = rest.get(..end).unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "SELECT" | "SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN" | "TABLE" | "VALUES" => (1, "Read"),
        "UPDATE" | "MERGE" | "ALTER" | "GRANT" | "REVOKE" | "COMMENT" | "RENAME" => (2, "Update"),
        "INSERT" | "REPLACE" | "UPSERT" => (5, "Write"),
        "CREATE" => (6, "Create"),
        "DELETE" | "DROP" | "TRUNCATE" => (7, "Delete"),
        // Of others, such as WITH and CALL, the first word does not say.
        _ => (4, "Query"),
    }
}

/// Passes over blanks and SQL's comments.
fn skip_comments(input: &str) -> &str {
    let mut rest = input.trim_start();
    loop {
        let behind = match rest.get(..2) {
            Some("--") => rest.split_once('\n').map(|(_, behind)| behind),
            Some("/*") => rest.split_once("*/").map(|(_, behind)| behind),
            _ => return rest,
        };
        rest = behind.unwrap_or_default().trim_start();
    }
}

/// The verbs of programs for clusters that change something, or look; of all others OCSF knows none.
const VERBS: &[(Activity, &[&str])] = &[
    ((1, "Create"), &["create", "run", "expose", "install"]),
    (
        (2, "Read"),
        &[
            "get",
            "describe",
            "logs",
            "top",
            "explain",
            "list",
            "status",
            "diff",
            "events",
            "version",
            "api-resources",
            "api-versions",
            "cluster-info",
            "history",
        ],
    ),
    (
        (3, "Update"),
        &[
            "apply",
            "set",
            "edit",
            "patch",
            "scale",
            "autoscale",
            "rollout",
            "label",
            "annotate",
            "replace",
            "cordon",
            "uncordon",
            "taint",
            "upgrade",
            "rollback",
        ],
    ),
    ((4, "Delete"), &["delete", "drain", "uninstall"]),
    (
        (OTHER, "Other"),
        &["exec", "attach", "cp", "debug", "port-forward", "proxy", "auth", "config", "wait"],
    ),
];

/// The operation of a command for a cluster, and what it does (class 6003).
pub(super) fn of_cluster(input: &str) -> (String, Activity) {
    let mut words = input.split_whitespace();
    let first = words.next().unwrap_or("command");
    let program = first.rsplit('/').next().unwrap_or(first);
    let program = if program.len() > PROGRAM_BYTES_MAX { "command" } else { program };
    let other = (OTHER, "Other");
    if !["kubectl", "oc", "helm", "k"].contains(&program) {
        return (program.to_owned(), other);
    }
    // Flags may come first, and which of them have values only the program knows.
    let known = words.take_while(|word| *word != "--").find_map(|word| {
        let of = VERBS.iter().find(|(_, verbs)| verbs.contains(&word));
        of.map(|(activity, _)| (format!("{program} {word}"), *activity))
    });
    known.unwrap_or_else(|| (program.to_owned(), other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_does_what_its_first_word_says() {
        for (input, activity) in [
            ("select 1", "Read"),
            ("  -- why\n/* and\nhow */ (SELECT 1) UNION SELECT 2", "Read"),
            ("DROP TABLE customers", "Delete"),
            ("insert into t values (1)", "Write"),
            ("update t set a = 1", "Update"),
            ("create index i on t (a)", "Create"),
            ("with x as (select 1) delete from t", "Query"),
            ("\\dt", "Query"),
            ("", "Query"),
            ("/* open", "Query"),
            ("é", "Query"),
        ] {
            assert_eq!(of_statement(input).1, activity, "{input}");
        }
    }

    #[test]
    fn a_command_for_a_cluster_does_what_its_verb_says() {
        for (input, operation, activity) in [
            ("kubectl -n prod get pods", "kubectl get", "Read"),
            ("kubectl get pods -o yaml", "kubectl get", "Read"),
            ("/usr/bin/kubectl delete ns prod", "kubectl delete", "Delete"),
            ("kubectl exec -it pod -- sh", "kubectl exec", "Other"),
            ("helm upgrade x", "helm upgrade", "Update"),
            ("kubectl", "kubectl", "Other"),
            ("ls -la", "ls", "Other"),
            ("", "command", "Other"),
        ] {
            let said = of_cluster(input);
            assert_eq!((said.0.as_str(), said.1.1), (operation, activity), "{input}");
        }
    }
}
