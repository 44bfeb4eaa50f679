//! How long a page of a search takes, and a list of tools (B9).
//! Never asserts a time: it reports medians. `make bench` runs it.

#[path = "bundles.rs"]
mod bundles;
#[expect(dead_code, reason = "only its PDP and its parties are of use here")]
#[path = "refund.rs"]
mod refund;

use std::fmt::Write as _;
use std::hint::black_box;

use bundles::Beside;
use criterion::{Criterion, criterion_group, criterion_main};
use palisade::access::{DecisionId, Question, Timestamp};
use palisade::diagnostic::File;
use palisade::identity::Claim;
use palisade::pdp::{Ask, Found, ListedTools, Occasion, Page, Pdp, Request, Search, Sought, ToolList};
use palisade::value::Uid;
use refund::Lines;

const DOCUMENTS: usize = 10_000;
const TOOLS: usize = 300;

fn occasion() -> Occasion<'static> {
    Occasion {
        id: DecisionId("01a1fcae-0000-7000-8000-000000000000".into()),
        now: Timestamp(1_795_255_200_000),
        elapsed_us: &|| 0,
    }
}

fn found(pdp: &Pdp<Lines>, search: &Search) -> Option<Found> {
    pdp.search(search, occasion()).ok()?.settle().ok()
}

/// Documents of which ana reads those with an even number, and writes the last one.
fn documents() -> Vec<File> {
    let mut entities = String::from(r#"[{"uid": {"type": "User", "id": "ana"}, "attrs": {}, "parents": []}"#);
    for at in 0..DOCUMENTS {
        let (even, last) = (at % 2 == 0, at + 1 == DOCUMENTS);
        let _ = write!(
            entities,
            r#", {{"uid": {{"type": "Doc", "id": "d-{at:05}"}}, "attrs": {{"even": {even}, "last": {last}}}, "parents": []}}"#
        );
    }
    entities.push(']');
    vec![
        File::new(
            "schemas/doc.cedarschema",
            "entity User; entity Doc = { even: Bool, last: Bool };
             action read, write appliesTo { principal: [User], resource: [Doc] };",
        ),
        File::new("entities/doc.json", entities),
        File::new(
            "policies/doc.cedar",
            r#"permit (principal == User::"ana", action == Action::"read", resource) when { resource.even };
               permit (principal == User::"ana", action == Action::"write", resource) when { resource.last };"#,
        ),
    ]
}

/// A page of 100 among 10,000 resources: where every other one is a result, and where all must be looked at for one.
fn resources(criterion: &mut Criterion) {
    let pdp = refund::pdp(refund::snapshot(&documents()));
    let search = |action: &str| {
        let claim = Claim { principal: Uid::new("User", "ana"), actor: None, earlier_actors: vec![] };
        let ask = Ask::Access(Question::new(Uid::new("Action", action), Uid::new("Doc", "")));
        let request = Request { claim: Some(claim), ask, ..refund::refund("support-bot") };
        Search {
            request,
            sought: Sought::Resources { kind: "Doc".into(), server: None },
            page: Page::default(),
        }
    };
    let mut group = criterion.benchmark_group("search 10000 resources");
    for (name, action, results) in [("a page of 100", "read", 100), ("one result at the end", "write", 1)] {
        let search = search(action);
        let count = found(&pdp, &search).map(|found| found.results.len());
        assert_eq!(count, Some(results), "{name}");
        group.bench_function(name, |b| b.iter(|| found(&pdp, black_box(&search))));
    }
    group.finish();
}

/// B9: what ana's bot may call among 300 tools of three servers: none of them, and then all.
fn tools(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("list 300 tools");
    let all = r#"@id("made") permit (principal, action in Action::"tools/call", resource) when { context.input has count || true };"#;
    for (name, extra, expected) in [("none may be called", None, 0), ("all may be called", Some(all), TOOLS)]
    {
        let mut files = Beside { tools: TOOLS, ..Beside::default() }.files();
        files.extend(extra.map(|text| File::new("policies/made.cedar", text)));
        let pdp = refund::pdp(refund::snapshot(&files));
        let servers = TOOLS / bundles::PER_FILE;
        let lists: Vec<ToolList> = (0..servers)
            .map(|at| ToolList {
                request: refund::refund("support-bot"),
                server: format!("made-{at}"),
                listed: None,
            })
            .collect();
        let listed =
            |list: &ToolList| -> Option<ListedTools> { pdp.list_tools(list, occasion()).ok()?.settle().ok() };
        let count = || lists.iter().filter_map(listed).map(|listed| listed.listed.names.len()).sum::<usize>();
        assert_eq!(count(), expected, "{name}");
        group.bench_function(name, |b| b.iter(|| black_box(count())));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = resources, tools
}
criterion_main!(benches);
