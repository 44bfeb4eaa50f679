//! Decimals, addresses, times and spans.

use super::fixtures::{ADA, CHART, OPEN};
use super::{Case, allow, deny};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "decimals are compared, and equal however written",
        schema: None,
        policies: r#"
            @id("less") permit (principal, action, resource) when { context.d.lessThan(decimal("1.5")) };
            @id("most") permit (principal, action, resource) when { context.d.lessThanOrEqual(decimal("1.50")) };
            @id("same") permit (principal, action, resource) when { context.d == decimal("1.500") };
            @id("more") forbid (principal, action, resource) when { context.d.greaterThan(decimal("10.0")) };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (
                ADA,
                OPEN,
                CHART,
                r#"{"d": {"__extn": {"fn": "decimal", "arg": "1.5"}}}"#,
                allow(&["most", "same"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"d": {"__extn": {"fn": "decimal", "arg": "-3.0"}}}"#,
                allow(&["less", "most"]),
            ),
            (ADA, OPEN, CHART, r#"{"d": {"__extn": {"fn": "decimal", "arg": "10.01"}}}"#, deny(&["more"])),
            (ADA, OPEN, CHART, r#"{"d": 1}"#, deny(&[]).failing(&["less", "most", "more"])),
        ],
    },
    Case {
        name: "arguments that are nothing",
        schema: None,
        policies: r#"
            @id("decimal") permit (principal, action, resource) when { decimal("x") == decimal("1.0") };
            @id("digits") permit (principal, action, resource) when { decimal("1.00000") == decimal("1.0") };
            @id("ip") forbid (principal, action, resource) when { ip("10.0.0.256").isIpv4() };
            @id("given") permit (principal, action, resource) when { ip(context.s).isIpv6() };
            @id("day") forbid (principal, action, resource) when { datetime("2024-02-30") == context.s };
            @id("span") permit (principal, action, resource) unless { duration("1m1h") == context.s };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (
                ADA,
                OPEN,
                CHART,
                r#"{"s": "::1"}"#,
                allow(&["given"]).failing(&["decimal", "digits", "ip", "day", "span"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"s": "x"}"#,
                deny(&[]).failing(&["decimal", "digits", "ip", "given", "day", "span"]),
            ),
        ],
    },
    Case {
        name: "ranges of addresses",
        schema: None,
        policies: r#"
            @id("ten") permit (principal, action, resource) when { context.ip.isInRange(ip("10.0.0.0/8")) };
            @id("one") permit (principal, action, resource) when { context.ip == ip("10.1.2.3/32") };
            @id("loop") permit (principal, action, resource) when { context.ip.isLoopback() };
            @id("many") forbid (principal, action, resource) when { context.ip.isMulticast() };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (
                ADA,
                OPEN,
                CHART,
                r#"{"ip": {"__extn": {"fn": "ip", "arg": "10.1.2.3"}}}"#,
                allow(&["ten", "one"]),
            ),
            (ADA, OPEN, CHART, r#"{"ip": {"__extn": {"fn": "ip", "arg": "10.0.0.0/7"}}}"#, deny(&[])),
            (ADA, OPEN, CHART, r#"{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}}"#, allow(&["loop"])),
            (ADA, OPEN, CHART, r#"{"ip": {"__extn": {"fn": "ip", "arg": "ff02::1"}}}"#, deny(&["many"])),
        ],
    },
    Case {
        name: "versions of addresses",
        schema: None,
        policies: r#"
            @id("four") permit (principal, action, resource) when { context.ip.isIpv4() };
            @id("six") permit (principal, action, resource) when { context.ip.isIpv6() };
            @id("all four") forbid (principal, action, resource) when { context.ip.isInRange(ip("0.0.0.0/0")) };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, r#"{"ip": {"__extn": {"fn": "ip", "arg": "1.2.3.4"}}}"#, deny(&["all four"])),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"ip": {"__extn": {"fn": "ip", "arg": "2001:db8::/32"}}}"#,
                allow(&["six"]),
            ),
            (ADA, OPEN, CHART, r#"{"ip": "1.2.3.4"}"#, deny(&[]).failing(&["four", "six", "all four"])),
        ],
    },
    Case {
        name: "times are compared, and equal however written",
        schema: None,
        policies: r#"
            @id("before") permit (principal, action, resource) when { context.t < datetime("2024-06-01") };
            @id("same") permit (principal, action, resource) when { context.t == datetime("2024-06-01T00:00:00Z") };
            @id("zone") permit (principal, action, resource)
              when { context.t == datetime("2024-06-01T02:00:00+0200") };
            @id("past") forbid (principal, action, resource) when { context.t >= datetime("2030-01-01") };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (
                ADA,
                OPEN,
                CHART,
                r#"{"t": {"__extn": {"fn": "datetime", "arg": "2024-06-01"}}}"#,
                allow(&["same", "zone"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"t": {"__extn": {"fn": "datetime", "arg": "1969-12-31T23:59:59Z"}}}"#,
                allow(&["before"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"t": {"__extn": {"fn": "datetime", "arg": "2030-01-01"}}}"#,
                deny(&["past"]),
            ),
            (ADA, OPEN, CHART, r#"{"t": 5}"#, deny(&[]).failing(&["before", "past"])),
        ],
    },
    Case {
        name: "sums of times and spans",
        schema: None,
        policies: r#"
            @id("offset") permit (principal, action, resource)
              when { context.t.offset(duration("1d12h")) > datetime("2024-06-02T12:00:00Z") };
            @id("since") permit (principal, action, resource)
              when { context.t.durationSince(datetime("2024-06-01")) == duration("90m") };
            @id("date") permit (principal, action, resource) when { context.t.toDate() == datetime("2024-06-01") };
            @id("time") permit (principal, action, resource) when { context.t.toTime() == duration("1h30m") };
            @id("over") forbid (principal, action, resource)
              when { context.t.offset(duration("9223372036854775807ms")) > context.t };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (
                ADA,
                OPEN,
                CHART,
                r#"{"t": {"__extn": {"fn": "datetime", "arg": "2024-06-01T01:30:00Z"}}}"#,
                allow(&["offset", "since", "date", "time"]).failing(&["over"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"t": {"__extn": {"fn": "datetime", "arg": "2024-05-31T01:30:00Z"}}}"#,
                allow(&["time"]).failing(&["over"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"t": {"__extn": {"fn": "datetime", "arg": "1970-01-01"}}}"#,
                deny(&["over"]),
            ),
        ],
    },
    Case {
        name: "spans, in units and compared",
        schema: None,
        policies: r#"
            @id("hours") permit (principal, action, resource) when { context.d.toHours() == 1 };
            @id("minutes") permit (principal, action, resource) when { context.d.toMinutes() == 90 };
            @id("long") permit (principal, action, resource) when { context.d >= duration("1h") };
            @id("back") forbid (principal, action, resource) when { context.d < duration("0s") };"#,
        links: &[],
        entities: "[]",
        requests: &[
            (
                ADA,
                OPEN,
                CHART,
                r#"{"d": {"__extn": {"fn": "duration", "arg": "1h30m"}}}"#,
                allow(&["hours", "minutes", "long"]),
            ),
            (
                ADA,
                OPEN,
                CHART,
                r#"{"d": {"__extn": {"fn": "duration", "arg": "5400s"}}}"#,
                allow(&["hours", "minutes", "long"]),
            ),
            (ADA, OPEN, CHART, r#"{"d": {"__extn": {"fn": "duration", "arg": "-1ms"}}}"#, deny(&["back"])),
            (ADA, OPEN, CHART, r#"{"d": {"__extn": {"fn": "duration", "arg": "0ms"}}}"#, deny(&[])),
        ],
    },
    Case {
        name: "attributes of entities that are of extensions",
        schema: None,
        policies: r#"
            @id("net") permit (principal, action, resource) when { context.ip.isInRange(principal.net) };
            @id("sets") permit (principal, action, resource) when { principal.nets.contains(context.ip) };"#,
        links: &[],
        entities: r#"[{ "uid": { "type": "Nurse", "id": "ada" }, "parents": [], "attrs": {
            "net": { "__extn": { "fn": "ip", "arg": "10.0.0.0/24" } },
            "nets": [{ "__extn": { "fn": "ip", "arg": "1.1.1.1/32" } }] } }]"#,
        requests: &[
            (ADA, OPEN, CHART, r#"{"ip": {"__extn": {"fn": "ip", "arg": "10.0.0.9"}}}"#, allow(&["net"])),
            (ADA, OPEN, CHART, r#"{"ip": {"__extn": {"fn": "ip", "arg": "1.1.1.1"}}}"#, allow(&["sets"])),
            (
                r#"Nurse::"bo""#,
                OPEN,
                CHART,
                r#"{"ip": {"__extn": {"fn": "ip", "arg": "1.1.1.1"}}}"#,
                deny(&[]).failing(&["net", "sets"]),
            ),
        ],
    },
];
