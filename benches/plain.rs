//! Cedar's own authorizer on the policies of a bundle: what there is to be compared with.
//! Never types, records or explains: it is the evaluation and nothing else, for one party.

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use palisade::diagnostic::File;
use serde_json::{Value, json};

/// Everything that one evaluation needs, made beforehand.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    request: Request,
}

fn uid(text: &str) -> EntityUid {
    let parsed = text.parse();
    assert!(parsed.is_ok(), "{text}");
    parsed.unwrap_or_else(|_| unreachable!())
}

/// A declared entity as the bundle's store has it: the order of data classes is used up (ARCHITECTURE.md).
fn as_compiled(item: Value) -> Value {
    let is_class = item.pointer("/uid/type").is_some_and(|kind| kind == "DataClass");
    let member = |(name, value): (String, Value)| match name.as_str() {
        "attrs" => (name, explicit(value)),
        "parents" if is_class => (name, json!([])),
        _ => (name, value),
    };
    match item {
        Value::Object(members) => Value::Object(members.into_iter().map(member).collect()),
        other => other,
    }
}

/// A value of an entities file as it has to be written where no schema says what is a reference.
fn explicit(value: Value) -> Value {
    match value {
        Value::Object(members) if members.len() == 2 && members.contains_key("type") => {
            json!({ "__entity": members })
        }
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, item)| (name, explicit(item))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(explicit).collect()),
        scalar => scalar,
    }
}

impl Cedar {
    /// The policies of a bundle, its entities, and those that Palisade derives of the refund.
    pub fn of(files: &[File]) -> Self {
        let of = |folder: &'static str| files.iter().filter(move |file| file.path.starts_with(folder));
        let text = of("policies/").map(|file| &*file.text).collect::<Vec<_>>().join("\n");
        let policies: Result<PolicySet, _> = text.parse();
        assert!(policies.is_ok(), "the policies parse");
        let mut items: Vec<Value> = of("entities/")
            .filter_map(|file| serde_json::from_str::<Vec<Value>>(&file.text).ok())
            .flatten()
            .map(as_compiled)
            .collect();
        let entity = |kind: &str, id: &str, attributes: Value, parents: &[(&str, &str)]| {
            let parents: Vec<Value> =
                parents.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
            json!({"uid": {"type": kind, "id": id}, "attrs": attributes, "parents": parents})
        };
        let class = json!([{"__entity": {"type": "DataClass", "id": "confidential"}}]);
        items.push(entity("Action", "crm/issue_refund", json!({}), &[("Action", "tools/call")]));
        items.push(entity("Server", "crm", json!({}), &[("ServerGroup", "business")]));
        items.push(entity(
            "Tool",
            "crm/issue_refund",
            json!({"data_classes": class}),
            &[("Server", "crm"), ("DataClass", "confidential")],
        ));
        let entities = Entities::from_json_value(Value::Array(items), None);
        assert!(entities.is_ok(), "{:?}", entities.err());
        let context = json!({
            "actor": {"__entity": {"type": "Agent", "id": "support-bot"}},
            "actor_depth": 1,
            "now": {"__extn": {"fn": "datetime", "arg": "2026-11-21T10:00:00Z"}},
            "input": {"order": "o-1", "amount": 30},
            "input_unseen": [],
        });
        let context = Context::from_json_value(context, None);
        let (principal, action) = (uid("Human::\"ana\""), uid("Action::\"crm/issue_refund\""));
        let resource = uid("Tool::\"crm/issue_refund\"");
        let request =
            context.ok().and_then(|context| Request::new(principal, action, resource, context, None).ok());
        let cedar = Self {
            authorizer: Authorizer::new(),
            policies: policies.unwrap_or_default(),
            entities: entities.unwrap_or_default(),
            request: request.unwrap_or_else(|| unreachable!()),
        };
        assert!(cedar.refund_is_permitted(), "plain Cedar permits it too");
        cedar
    }

    /// One evaluation.
    pub fn refund_is_permitted(&self) -> bool {
        self.authorizer.is_authorized(&self.request, &self.policies, &self.entities).decision()
            == Decision::Allow
    }
}
