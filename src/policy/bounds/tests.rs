//! What counts, and what does not. That what is within the bounds compiles is shown in `server/stack/tests.rs`.

use super::*;

#[test]
fn strings_and_comments_count_for_nothing_and_other_brackets_close_nothing() {
    let many = "(".repeat(1_000);
    let fine = |text: &str| excess(text, Language::Policies).is_none();
    assert!(fine(&format!("\"{many}\\\"{many}\"")));
    assert!(fine(&format!("// {many}\n")));
    assert!(fine(&"a < b;".repeat(5_000)));
    assert!(!fine(&format!("// \r{many}")));
    assert!(!fine(&format!("\"\" {many}")));
    assert!(!fine(&"( ]".repeat(1_000)));
    assert!(!fine(&"(;".repeat(1_000)));
    assert!(excess(&"<".repeat(1_000), Language::Schema).is_some());
}
