//! `palisade reach` as a shell sees it: of a running server, and of a bundle.

use std::process::Command;

use serde_json::Value as Json;

use super::child::{Ended, Process};
use super::place::Place;

const PALISADE: &str = env!("CARGO_BIN_EXE_palisade");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn reach(place: &Place, options: &[&str]) -> Ended {
    let mut command = Command::new(PALISADE);
    command.current_dir(place.path()).env("NO_COLOR", "1").arg("reach").args(options);
    Process::spawn(&mut command).end()
}

const ANA: [&str; 4] = ["--human", "ana", "--agent", "support-bot"];

#[test]
fn a_bundle_says_what_a_bot_can_reach_and_under_which_conditions() {
    let place = Place::shipped();
    let ended = reach(&place, &[&["--bundle", ROOT], &ANA[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in [
        "Tool::\"crm/issue_refund\"  [payment]  crm/issue_refund",
        "  for the principal: permit `support/refund`, callable if (0 < context.input.amount) && (context.input.amount <= 100)",
        "  for the agent: permit `support/bots`",
        "Tool::\"crm/lookup_customer\"  [customer]  crm/lookup_customer",
        "data classes: ",
    ] {
        assert!(ended.stdout.contains(line), "{line}\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("export_customers"), "{}", ended.stdout);
}

#[test]
fn programs_get_one_document() {
    let place = Place::shipped();
    let ended = reach(&place, &[&["--bundle", ROOT, "--format", "json"], &ANA[..]].concat());
    let told: Json = serde_json::from_str(&ended.stdout).unwrap();
    let refund = told["reached"].as_array().unwrap();
    let refund = refund.iter().find(|one| one["action"]["id"] == "crm/issue_refund").unwrap();
    assert_eq!(refund["shares"][0]["half"], "PRINCIPAL");
    assert_eq!(refund["shares"][0]["permits"][0]["policy"], "support/refund");
    let asks = "(0 < context.input.amount) && (context.input.amount <= 100)";
    assert_eq!(refund["shares"][0]["permits"][0]["asks"], asks);
    assert_eq!((&told["more"], &told["reason"]), (&false.into(), &"".into()));
}

#[test]
fn a_server_says_the_same_to_who_may_see_policies() {
    let place = Place::shipped();
    let server = place.start();
    let address = server.grpc.to_string();
    let ended = reach(&place, &[&["--grpc", &address], &ANA[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("callable if (0 < context.input.amount)"), "{}", ended.stdout);
    // Without the token of the data directory it is the local caller, who may not.
    let ended = reach(&place, &[&["--grpc", &address, "--data", "elsewhere"], &ANA[..]].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`explain`"), "{}", ended.stderr);
}

#[test]
fn who_asks_has_to_be_said() {
    let place = Place::shipped();
    let ended = reach(&place, &["--bundle", ROOT]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("say who asks"), "{}", ended.stderr);
}
