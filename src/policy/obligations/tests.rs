use super::*;

fn read_one(text: &str) -> Result<Vec<Obligation>, String> {
    obligations(text, "p")
}

fn refused(text: &str, wanted: &str) {
    let wrong = read_one(text).expect_err(text);
    assert!(wrong.contains(wanted), "{text}: {wrong}");
}

#[test]
fn an_obligation_is_written_in_yaml_or_json() {
    let wanted = serde_json::json!({"acr_value": "urn:acme:loa:3", "amr_values": ["hwk", "pin"]});
    for text in [
        "step-up: { acr_value: 'urn:acme:loa:3', amr_values: [hwk, pin] }",
        "{\"step-up\": {\"acr_value\": \"urn:acme:loa:3\", \"amr_values\": [\"hwk\", \"pin\"]}}",
        "step-up:\n  acr_value: urn:acme:loa:3\n  amr_values: [hwk, pin]\n",
    ] {
        let read = read_one(text).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((&*read[0].id, read[0].kind), ("p#1", ObligationType::StepUp));
        assert_eq!(Json::Object((*read[0].properties).clone()), wanted);
    }
}

#[test]
fn a_list_has_several_numbered_in_their_order() {
    let read = read_one("[notification: { to: a }, session_termination: { subject: { type: user, id: u } }, notification: { to: b }]")
        .unwrap();
    let told: Vec<(&str, &str)> = read.iter().map(|one| (&*one.id, one.kind.name())).collect();
    assert_eq!(told, [("p#1", "notification"), ("p#2", "session_termination"), ("p#3", "notification")]);
    assert!(read.iter().all(|one| one.policy() == "p"));
}

#[test]
fn every_type_says_what_it_needs() {
    refused("step-up: {}", "needs `acr_value`");
    refused("step-up: { amr_values: [hwk] }", "needs `acr_value`");
    refused("notification: { topic: x }", "needs `to`");
    refused("session_termination: {}", "needs `subject`");
    refused("custom: {}", "says nothing");
    assert!(
        read_one("custom: { vendor: acme, action: redact, json_pointers: [/arguments/iban], n: 3 }").is_ok()
    );
}

#[test]
fn what_an_enforcement_point_could_misread_is_refused() {
    refused("stepup: { acr_value: x }", "`stepup` is no type of obligation");
    refused("step-up: { acr_value: x, arm_values: [hwk] }", "no property `arm_values`");
    refused("step-up: { acr_value: 3 }", "must be a text");
    refused("step-up: { acr_value: '' }", "must be a text");
    refused("step-up: { acr_value: x, amr_values: hwk }", "a list of texts");
    refused("step-up: { acr_value: x, amr_values: [] }", "a list of texts");
    refused("session_termination: { subject: { id: u } }", "a `type` and an `id`");
    refused("custom: { action: }", "has no value");
    refused("custom: { action: [ { x: null } ] }", "has no value");
    refused("step-up", "its type, a colon");
    refused("step-up: x", "are a mapping");
    refused("", "its type, a colon");
    refused("[]", "1 to 16");
    refused("{ step-up: { acr_value: x }, notification: { to: a } }", "its type, a colon");
    refused("step-up: { acr_value: x, acr_value: y }", "cannot be read");
    refused("step-up: { acr_value: x", "cannot be read");
    refused(&format!("custom: {{ x: {}{} }}", "[".repeat(40), "]".repeat(40)), "cannot be read");
    refused(&format!("custom: {{ x: {} }}", "y".repeat(BYTES_MAX)), "at most 4096 bytes");
}
