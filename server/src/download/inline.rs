//! The page's own modules as one script, for a file that has no others beside it.
//!
//! Each module becomes a function's body, and its imports what the functions before it returned:
//!
//! ```text
//! import { h, fill as put } from "./dom.js";   ->   const { h, fill: put } = modules["dom.js"];
//! export function show() {}                    ->   function show() {} ... return { show };
//! ```

use std::fmt::Write as _;

/// The modules, each after those that it imports.
const MODULES: [(&str, &str); 6] = [
    ("dom.js", include_str!("../../ui/dom.js")),
    ("format.js", include_str!("../../ui/format.js")),
    ("ansi.js", include_str!("../../ui/ansi.js")),
    ("picture.js", include_str!("../../ui/picture.js")),
    ("player.js", include_str!("../../ui/player.js")),
    ("offline.js", include_str!("offline.js")),
];

/// The script.
pub(super) fn script() -> String {
    let mut script = "\"use strict\";\nconst modules = {};\n".to_owned();
    for (name, source) in MODULES {
        let _ = writeln!(script, "modules[\"{name}\"] = (() => {{\n{}}})();", module(source));
    }
    script
}

fn module(source: &str) -> String {
    let (mut body, mut exported) = (String::new(), Vec::new());
    for line in source.lines() {
        if let Some((names, from)) = import(line) {
            let names = names.replace(" as ", ": ");
            let _ = writeln!(body, "const {{{names}}} = modules[\"{from}\"];");
        } else if let Some(declared) = line.strip_prefix("export ") {
            exported.extend(declared_name(declared));
            let _ = writeln!(body, "{declared}");
        } else {
            let _ = writeln!(body, "{line}");
        }
    }
    let _ = writeln!(body, "return {{ {} }};", exported.join(", "));
    body
}

/// The names and the module of `import { a, b } from "./c.js";`
fn import(line: &str) -> Option<(&str, &str)> {
    let (names, from) = line.strip_prefix("import {")?.split_once("} from \"./")?;
    Some((names, from.strip_suffix("\";")?))
}

/// What `function a(`, `async function a(`, `class A {` or `const a =` declares.
fn declared_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (_, rest) = line.split_once(' ')?;
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn nothing_is_imported_that_is_not_there() {
        let mut exported: Vec<(&str, String)> = Vec::new();
        for (name, source) in MODULES {
            for line in source.lines().filter(|line| line.starts_with("import")) {
                let (names, from) = import(line).unwrap_or_else(|| panic!("{name}: {line}"));
                for wanted in names.split(',') {
                    let wanted = wanted.split(" as ").next().unwrap_or_default().trim();
                    let found = exported.iter().any(|(at, one)| *at == from && one == wanted);
                    assert!(found, "{name} imports {wanted} of {from}");
                }
            }
            let names = source.lines().filter_map(|line| line.strip_prefix("export "));
            exported.extend(names.filter_map(declared_name).map(|one| (name, one.to_owned())));
        }
        assert!(!script().contains("</script"));
        assert!(
            !script()
                .lines()
                .any(|line| line.starts_with("import ") || line.starts_with("export "))
        );
    }
}
