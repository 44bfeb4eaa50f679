//! The bundles that the load generator makes: they have the size that they claim, and leave its question alone.

#[path = "../../benches/serve/bundle.rs"]
mod bundle;

use palisade::api::proto::v1;
use palisade::diagnostic::File;
use palisade::policy::compile;
use serde_json::json;

use crate::asks::crm;
use crate::pdp::{TestPdp, shipped_files, snapshot};

const POLICIES: usize = 2 * bundle::PER_FILE + 1;

/// The shipped bundle and what makes it one of [`POLICIES`], with the switch at an amount.
fn files(amount: u32) -> Vec<File> {
    let mut files = shipped_files();
    let shipped =
        files.iter().filter(|file| file.path.ends_with(".cedar")).map(|file| bundle::count(&file.text)).sum();
    for (path, text) in bundle::files(POLICIES, shipped) {
        let text = if path == bundle::SWITCHED { bundle::switched(POLICIES, shipped, amount) } else { text };
        files.push(File::new(path, text));
    }
    files
}

async fn decision(amount: u32) -> v1::Decision {
    let pdp = TestPdp::builder().snapshot(snapshot(&files(amount))).gateway().start().await;
    let refund = crm(&json!({ "name": "issue_refund", "arguments": { "order": "o-1", "amount": 30 } }));
    let answer = pdp.client().await.authorize(refund).await.unwrap().into_inner();
    pdp.stop();
    answer.decision()
}

#[test]
fn a_generated_bundle_has_as_many_policies_as_it_claims_and_no_warning() {
    let compiled = compile(&files(0)).expect("it compiles");
    assert_eq!(compiled.snapshot.policies().len(), POLICIES);
    let words: Vec<&str> = compiled.warnings.iter().map(|finding| finding.message.as_ref()).collect();
    assert_eq!(words, Vec::<&str>::new());
}

#[tokio::test]
async fn the_switch_of_a_generated_bundle_flips_the_question_and_nothing_else_touches_it() {
    assert_eq!(decision(0).await, v1::Decision::Permit);
    assert_eq!(decision(30).await, v1::Decision::Deny);
}
