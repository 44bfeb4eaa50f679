//! House rules as tests: the import law, the three refusals, sizes, names. `ARCHITECTURE.md` says why.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its own sources fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src/`, with the top module that it belongs to.
struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

const LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;
const BANNED: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "types", "misc", "manager", "shared"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let below = path.strip_prefix(root().join("src")).unwrap();
                let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, module, text });
            }
        }
    }
    assert!(found.len() > 40, "the walk found too few files: {}", found.len());
    found
}

/// Where modules lie that exist for tests only: a file, and what is below it.
fn test_modules(sources: &[Source]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for Source { path, text, .. } in sources {
        let below = if path.ends_with("src/lib.rs") { root().join("src") } else { path.with_extension("") };
        let declared = text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|rest| rest.split_once(';'));
        found.extend(
            declared.filter(|(name, _)| !name.contains(['{', ' '])).map(|(name, _)| below.join(name)),
        );
    }
    found
}

/// The map: the modules of `lib.rs` in order, and how many of them stand above the line.
fn map() -> (Vec<String>, usize) {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut modules = Vec::new();
    let mut above = None;
    for line in text.lines() {
        if line.starts_with("// ── below this line") {
            above = Some(modules.len());
        } else if let Some(name) = line.strip_prefix("pub mod ") {
            modules.push(name.trim_end_matches(';').to_owned());
        }
    }
    (modules, above.expect("lib.rs draws the line"))
}

/// The top modules that a text names as `crate::x` or in `use crate::{x, y::z}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for piece in text.split("crate::").skip(1) {
        let heads: Vec<&str> = match piece.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap().split(',').collect(),
            None => vec![piece],
        };
        for head in heads {
            let name: String =
                head.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() {
                found.insert(name);
            }
        }
    }
    found
}

/// Without comments, which may name anything.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_module_uses_only_modules_declared_below_it() {
    let (modules, _) = map();
    let place = |name: &str| modules.iter().position(|module| module == name);
    let mut broken = Vec::new();
    for source in sources() {
        let Some(own) = place(&source.module) else { continue };
        for name in named(&code(&source.text)) {
            if place(&name).is_some_and(|other| other < own) {
                broken.push(format!("{} uses {name}, which stands above it", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_top_module_is_on_the_map() {
    let (modules, _) = map();
    for source in sources() {
        let known = ["lib", "main"].contains(&source.module.as_str()) || modules.contains(&source.module);
        assert!(known, "{} belongs to no module of the map", source.path.display());
    }
}

#[test]
fn the_api_does_not_see_policies_and_policies_do_not_see_the_audit() {
    let mut broken = Vec::new();
    for source in sources() {
        let names = named(&code(&source.text));
        for (module, forbidden) in [("api", "policy"), ("policy", "audit")] {
            if source.module == module && names.contains(forbidden) {
                broken.push(format!("{} sees {forbidden}", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn below_the_line_there_is_no_time_no_file_no_socket_no_runtime_and_no_environment() {
    const OUTSIDE: [&str; 12] = [
        "tokio",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant::now",
        "tonic",
        "hyper",
        "std::os",
        "now_utc",
    ];
    let (modules, above) = map();
    let (sources, mut broken) = (sources(), Vec::new());
    // Tests may be told by their environment how long to go on, and may look how long they did.
    let tests = test_modules(&sources);
    assert!(tests.len() > 10, "the walk found too few tests: {}", tests.len());
    for source in &sources {
        let is_test = tests.iter().any(|test| source.path.with_extension("").starts_with(test));
        if is_test || !modules.iter().skip(above).any(|module| *module == source.module) {
            continue;
        }
        let code = code(&source.text);
        broken.extend(
            OUTSIDE
                .iter()
                .filter(|name| code.contains(**name))
                .map(|name| format!("{}: {name}", source.path.display())),
        );
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_and_functions_stay_short() {
    let mut long = Vec::new();
    for source in sources() {
        let is_test = source.path.file_name().unwrap() == "tests.rs"
            || source.path.components().any(|part| part.as_os_str() == "tests");
        let (limit, lines) = (if is_test { TEST_LINES_MAX } else { LINES_MAX }, source.text.lines().count());
        if lines > limit {
            long.push(format!("{}: {lines} lines", source.path.display()));
        }
        if !is_test {
            long.extend(long_functions(&source));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// In formatted code a function ends with a brace at its own indentation.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let declares = line.split_whitespace().take_while(|word| *word != "{").any(|word| word == "fn");
        if !declares || line.trim_start().starts_with("//") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines.iter().skip(start).position(|line| *line == end).map_or(1, |length| length + 1);
        if length > FUNCTION_LINES_MAX && !line.ends_with(';') {
            long.push(format!("{}:{}: {length} lines", source.path.display(), start + 1));
        }
    }
    long
}

#[test]
fn no_module_is_a_drawer() {
    for source in sources() {
        for part in source.path.strip_prefix(root()).unwrap().components() {
            let name = part.as_os_str().to_str().unwrap().trim_end_matches(".rs");
            assert!(!BANNED.contains(&name), "{} is called {name}", source.path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for source in
        sources().iter().filter(|source| source.path.file_name().is_some_and(|name| name != "tests.rs"))
    {
        assert!(source.text.starts_with("//! "), "{} has no first line", source.path.display());
    }
}

#[test]
fn the_architecture_names_every_top_module() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for module in map().0 {
        assert!(text.contains(&format!("`{module}`")), "ARCHITECTURE.md does not name `{module}`");
    }
}

#[test]
fn the_rules_can_fail() {
    assert_eq!(named("use crate::{policy::x, audit};"), BTreeSet::from(["policy".into(), "audit".into()]));
    assert_eq!(named("let x = crate::api::y();"), BTreeSet::from(["api".into()]));
    let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
    let text = format!("fn long() {{\n{body}}}\n");
    let source = Source { path: "x.rs".into(), module: "x".into(), text };
    assert_eq!(long_functions(&source).len(), 1);
}
