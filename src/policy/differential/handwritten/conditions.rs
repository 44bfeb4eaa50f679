//! Conditions: the context, guards, errors and their order, tags, entities.

use super::fixtures::{ADA, AMEND, BO, BURN, CHART, CY, DEE, DIARY, ENTITIES, OPEN, SCHEMA};
use super::{Case, allow, deny};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a guarded equality",
        schema: Some(SCHEMA),
        policies: r#"
            @id("step") permit (principal, action, resource) when { context has reason && context.reason == "x" };
            @id("nested") permit (principal, action, resource)
              when { context has task && context.task has purpose && context.task.purpose == "x" };
            @id("at once") permit (principal, action, resource)
              when { context has task.purpose && "x" == context.task.purpose };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&[])),
            (ADA, OPEN, CHART, r#"{"reason": "x"}"#, allow(&["step"])),
            (ADA, OPEN, CHART, r#"{"reason": "y", "task": {"step": 1}}"#, deny(&[])),
            (ADA, OPEN, CHART, r#"{"task": {"purpose": "x", "step": 1}}"#, allow(&["nested", "at once"])),
        ],
    },
    Case {
        name: "an equality without its guard fails",
        schema: None,
        policies: r#"@id("p") permit (principal, action, resource) when { context.reason == "x" };
            @id("f") forbid (principal, action, resource) when { context.reason == "y" };
            @id("n") permit (principal, action, resource) when { context.reason != "x" };
            @id("u") permit (principal, action, resource) unless { context.reason == "x" };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&[]).failing(&["p", "f", "n", "u"])),
            (ADA, OPEN, CHART, r#"{"reason": "x"}"#, allow(&["p"])),
            (ADA, OPEN, CHART, r#"{"reason": "y"}"#, deny(&["f"])),
            (ADA, OPEN, CHART, r#"{"reason": 1}"#, allow(&["n", "u"])),
        ],
    },
    Case {
        name: "a guard that is too shallow, or another's",
        schema: None,
        policies: r#"
            @id("shallow") permit (principal, action, resource)
              when { context has task && context.task.purpose == "x" };
            @id("another") permit (principal, action, resource)
              when { context has n && context.reason == "x" };
            @id("late") permit (principal, action, resource)
              when { context.reason == "x" && context has reason };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&[]).failing(&["late"])),
            (ADA, OPEN, CHART, r#"{"task": {}}"#, deny(&[]).failing(&["shallow", "late"])),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"task": {"purpose": "x"}, "n": 1}"#,
                allow(&["shallow"]).failing(&["another", "late"]),
            ),
            (ADA, OPEN, CHART, r#"{"task": "x"}"#, deny(&[]).failing(&["shallow", "late"])),
            (ADA, OPEN, CHART, r#"{"n": 1, "reason": "x"}"#, allow(&["another", "late"])),
        ],
    },
    Case {
        name: "has, into what is no record",
        schema: None,
        policies: r#"@id("at once") permit (principal, action, resource) when { context has a.b };
            @id("by steps") permit (principal, action, resource) when { context has a && context.a has b };
            @id("to the end") forbid (principal, action, resource) when { context has a.b.c };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&[])),
            (ADA, OPEN, CHART, r#"{"a": 1}"#, deny(&[]).failing(&["at once", "by steps", "to the end"])),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"a": {"b": 1}}"#,
                allow(&["at once", "by steps"]).failing(&["to the end"]),
            ),
            (ADA, OPEN, CHART, r#"{"a": {"b": {"c": 1}}}"#, deny(&["to the end"])),
            (ADA, OPEN, CHART, r#"{"a": {"__entity": {"type": "Nurse", "id": "ada"}}}"#, deny(&[])),
            (ADA, OPEN, CHART, r#"{"a": {"__entity": {"type": "Nurse", "id": "dee"}}}"#, deny(&[])),
        ],
    },
    Case {
        name: "values of other types are not equal, and that is no error",
        schema: None,
        policies: r#"@id("text") permit (principal, action, resource) when { context.v == "1" };
            @id("long") permit (principal, action, resource) when { context.v == 1 };
            @id("bool") permit (principal, action, resource) when { true == context.v };
            @id("set") permit (principal, action, resource) when { context.v == [2, 1] };
            @id("record") permit (principal, action, resource) when { context.v == {b: 2, "a": 1} };
            @id("entity") permit (principal, action, resource) when { context.v == Nurse::"1" };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, r#"{"v": "1"}"#, allow(&["text"])),
            (ADA, OPEN, CHART, r#"{"v": 1}"#, allow(&["long"])),
            (ADA, OPEN, CHART, r#"{"v": true}"#, allow(&["bool"])),
            (ADA, OPEN, CHART, r#"{"v": [1, 2, 1]}"#, allow(&["set"])),
            (ADA, OPEN, CHART, r#"{"v": {"a": 1, "b": 2}}"#, allow(&["record"])),
            (ADA, OPEN, CHART, r#"{"v": {"__entity": {"type": "Nurse", "id": "1"}}}"#, allow(&["entity"])),
            (ADA, OPEN, CHART, r#"{"v": {"a": 1, "b": 2, "c": 3}}"#, deny(&[])),
        ],
    },
    Case {
        name: "clauses hold together, in their order",
        schema: None,
        policies: r#"
            @id("first") permit (principal, action, resource) when { context.a } when { context.b == 1 };
            @id("second") permit (principal, action, resource) when { context.b == 1 } when { context.a };
            @id("not") permit (principal, action, resource) unless { context.a } unless { context.b == 1 };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, r#"{"a": false}"#, deny(&[]).failing(&["second", "not"])),
            (ADA, OPEN, CHART, r#"{"a": true}"#, deny(&[]).failing(&["first", "second"])),
            (ADA, OPEN, CHART, r#"{"a": true, "b": 1}"#, allow(&["first", "second"])),
            (ADA, OPEN, CHART, r#"{"a": false, "b": 2}"#, allow(&["not"])),
            (ADA, OPEN, CHART, r#"{"b": 2}"#, deny(&[]).failing(&["first", "not"])),
        ],
    },
    Case {
        name: "what is not reached does not fail",
        schema: None,
        policies: r#"
            @id("and") permit (principal, action, resource) when { context.on && context.nothing };
            @id("or") permit (principal, action, resource) when { context.on || context.nothing };
            @id("if") permit (principal, action, resource) when { if context.on then true else context.nothing };
            @id("scope") forbid (principal == Nurse::"cy", action, resource) when { context.nothing };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, r#"{"on": true}"#, allow(&["or", "if"]).failing(&["and"])),
            (ADA, OPEN, CHART, r#"{"on": false}"#, deny(&[]).failing(&["or", "if"])),
            (CY, OPEN, CHART, r#"{"on": true}"#, allow(&["or", "if"]).failing(&["and", "scope"])),
            (ADA, OPEN, CHART, r#"{"on": 1}"#, deny(&[]).failing(&["and", "or", "if"])),
        ],
    },
    Case {
        name: "conditions that are no conditions",
        schema: None,
        policies: r#"@id("true") permit (principal, action, resource) when { true };
            @id("false") permit (principal, action, resource) when { false };
            @id("one") permit (principal, action, resource) when { 1 };
            @id("text") forbid (principal, action, resource) unless { "x" };
            @id("late") permit (principal, action, resource) when { true && 1 };
            @id("early") permit (principal, action, resource) when { false && 1 };
            @id("whole") forbid (principal, action, resource) when { context };"#,
        links: &[],
        entities: "[]",
        requests: &[(ADA, OPEN, CHART, "{}", allow(&["true"]).failing(&["one", "text", "late", "whole"]))],
    },
    Case {
        name: "the context as a whole",
        schema: None,
        policies: r#"@id("empty") permit (principal, action, resource) when { context == {} };
            @id("one") permit (principal, action, resource) when { context == {n: 1} };
            @id("held") permit (principal, action, resource) when { [{n: 2}, {n: 1}].contains(context) };
            @id("other") forbid (principal, action, resource) unless { context != {n: 3} };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["empty"])),
            (ADA, OPEN, CHART, r#"{"n": 1}"#, allow(&["one", "held"])),
            (ADA, OPEN, CHART, r#"{"n": 1, "m": 1}"#, deny(&[])),
            (ADA, OPEN, CHART, r#"{"n": 3}"#, deny(&["other"])),
        ],
    },
    Case {
        name: "attributes of entities, known and not",
        schema: Some(SCHEMA),
        policies: r#"@id("rank") permit (principal, action, resource) when { principal.rank > 2 };
            @id("named") permit (principal, action, resource) when { Nurse::"bo".rank > principal.rank };
            @id("has") forbid (principal, action, resource) when { principal has shift };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&["has"])),
            (BO, OPEN, CHART, "{}", allow(&["rank"])),
            (CY, OPEN, CHART, "{}", allow(&["named"])),
            (DEE, OPEN, CHART, "{}", deny(&[]).failing(&["rank", "named"])),
        ],
    },
    Case {
        name: "from mentor to mentor",
        schema: None,
        policies: r#"@id("unguarded") permit (principal, action, resource) when { principal.mentor.mentor.rank > 0 };
            @id("guarded") permit (principal, action, resource)
              when { principal has mentor.mentor.rank && principal.mentor.mentor.rank > 0 };
            @id("mine") permit (principal, action, resource)
              when { resource has author && resource.author.mentor == principal };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&[]).failing(&["unguarded"])),
            (BO, OPEN, CHART, "{}", allow(&["mine"]).failing(&["unguarded"])),
            (CY, OPEN, DIARY, "{}", deny(&[]).failing(&["unguarded"])),
            (r#"Nurse::"none""#, OPEN, r#"Record::"none""#, "{}", deny(&[]).failing(&["unguarded"])),
        ],
    },
    Case {
        name: "sums that overflow",
        schema: Some(SCHEMA),
        policies: r#"@id("plus") permit (principal, action, resource) when { principal.rank + 1 > 0 };
            @id("times") permit (principal, action, resource) when { principal.rank * 2 >= 0 };
            @id("minus") forbid (principal, action, resource) when { -principal.rank - 2 < -9 };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["plus", "times"])),
            (BO, OPEN, CHART, "{}", deny(&[]).failing(&["plus", "times", "minus"])),
            (CY, OPEN, CHART, "{}", allow(&["plus", "times"])),
        ],
    },
    Case {
        name: "tags",
        schema: None,
        policies: r#"@id("guarded") permit (principal, action, resource)
              when { principal.hasTag("badge") && principal.getTag("badge") == "blue" };
            @id("bare") permit (principal, action, resource) when { resource.getTag("kind") == "chart" };
            @id("same") permit (principal, action, resource) when { principal.hasTag(context.reason)
              && resource.hasTag(context.reason)
              && principal.getTag(context.reason) == resource.getTag(context.reason) };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, r#"{"reason": "badge"}"#, allow(&["guarded", "bare", "same"])),
            (ADA, OPEN, DIARY, "{}", allow(&["guarded"]).failing(&["bare", "same"])),
            (DEE, OPEN, CHART, r#"{"reason": "badge"}"#, allow(&["bare"])),
            (BO, OPEN, r#"Record::"none""#, r#"{"reason": 1}"#, deny(&[]).failing(&["bare", "same"])),
        ],
    },
    Case {
        name: "sets",
        schema: None,
        policies: r#"@id("any") permit (principal, action, resource) when { resource.labels.containsAny(context.s) };
            @id("all") permit (principal, action, resource) when { resource.labels.containsAll(context.s) };
            @id("one") permit (principal, action, resource) when { context.s.contains("x") };
            @id("empty") forbid (principal, action, resource) when { resource.labels.isEmpty() };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, r#"{"s": ["x", "z"]}"#, allow(&["any", "one"])),
            (ADA, OPEN, CHART, r#"{"s": []}"#, allow(&["all"])),
            (ADA, OPEN, CHART, r#"{"s": ["y", 1]}"#, allow(&["any"])),
            (ADA, OPEN, DIARY, r#"{"s": ["x"]}"#, deny(&["empty"])),
            (ADA, OPEN, CHART, r#"{"s": "x"}"#, deny(&[]).failing(&["any", "all", "one"])),
        ],
    },
    Case {
        name: "in, with sets of entities and of others",
        schema: None,
        policies: r#"
            @id("wards") permit (principal, action, resource) when { principal in [Ward::"west", Ward::"none"] };
            @id("given") permit (principal, action, resource) when { principal in context.s };
            @id("action") forbid (principal, action, resource) when { action in [Action::"change"] };
            @id("mixed") permit (principal, action, resource) when { principal in [Ward::"east", 1] };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (BO, OPEN, CHART, r#"{"s": []}"#, allow(&["wards"]).failing(&["mixed"])),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"s": [{"__entity": {"type": "Ward", "id": "house"}}]}"#,
                allow(&["given"]).failing(&["mixed"]),
            ),
            (CY, OPEN, CHART, r#"{"s": ["x"]}"#, deny(&[]).failing(&["given", "mixed"])),
            (ADA, r#"Action::"change""#, CHART, r#"{"s": []}"#, deny(&["action"]).failing(&["mixed"])),
        ],
    },
    Case {
        name: "patterns",
        schema: None,
        policies: r#"@id("start") permit (principal, action, resource) when { context.v like "a*" };
            @id("star") permit (principal, action, resource) when { context.v like "*\*" };
            @id("within") permit (principal, action, resource) when { context.v like "*b*c*" };
            @id("nothing") forbid (principal, action, resource) when { context.v like "" };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, r#"{"v": "abc"}"#, allow(&["start", "within"])),
            (ADA, OPEN, CHART, r#"{"v": "A*"}"#, allow(&["star"])),
            (ADA, OPEN, CHART, r#"{"v": ""}"#, deny(&["nothing"])),
            (ADA, OPEN, CHART, r#"{"v": ["a"]}"#, deny(&[]).failing(&["start", "star", "within", "nothing"])),
        ],
    },
    Case {
        name: "is, in conditions",
        schema: None,
        policies: r#"@id("nurse") permit (principal, action, resource) when { principal is Nurse in Ward::"east" };
            @id("author") permit (principal, action, resource) when { resource.author is Nurse };
            @id("text") forbid (principal, action, resource) when { context.v is Nurse };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["nurse", "author"]).failing(&["text"])),
            (DEE, OPEN, DIARY, r#"{"v": "x"}"#, deny(&[]).failing(&["author", "text"])),
            (DEE, OPEN, CHART, r#"{"v": {"__entity": {"type": "Nurse", "id": "no"}}}"#, deny(&["text"])),
        ],
    },
    Case {
        name: "guards of a forbid",
        schema: Some(SCHEMA),
        policies: r#"@id("all") permit (principal, action in Action::"any", resource);
            @id("secret") forbid (principal, action, resource)
              when { resource.secret } unless { resource has author && resource.author == principal };
            @id("high") forbid (principal, action in [Action::"burn", Action::"amend"], resource)
              unless { context has task.purpose && context.task.purpose == "x" && context.task.step <= 2 };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["all"])),
            (ADA, OPEN, DIARY, "{}", deny(&["secret"])),
            (ADA, BURN, DIARY, "{}", deny(&["secret", "high"])),
            (ADA, AMEND, CHART, r#"{"task": {"purpose": "x", "step": 2}}"#, allow(&["all"])),
            (ADA, AMEND, CHART, r#"{"task": {"purpose": "x", "step": 3}}"#, deny(&["high"])),
            (ADA, OPEN, r#"Record::"none""#, "{}", allow(&["all"]).failing(&["secret"])),
        ],
    },
];
