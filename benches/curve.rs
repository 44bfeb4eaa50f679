//! One decision on 10 to 100,000 policies, by Palisade and by Cedar's own authorizer, measured side by side and drawn.
//! Never a test: it prints medians, and writes `docs/curve.svg` when it is asked to (`--svg docs/curve.svg`).

#[path = "bundles.rs"]
mod bundles;
#[path = "plain.rs"]
mod plain;
#[path = "refund.rs"]
mod refund;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bundles::Beside;
use refund::{decide, permitting};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
/// How long each of the two is measured in each of the rounds.
const SPAN: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

/// One size, with the medians in microseconds.
struct Point {
    policies: usize,
    palisade_us: f64,
    cedar_us: f64,
}

fn main() {
    // `cargo bench` without a name runs everything; this takes minutes, so it wants to be asked.
    let path = std::env::args().skip_while(|argument| argument != "--svg").nth(1);
    let Some(path) = path else { return };
    println!("| policies | Palisade, both halves | Cedar's authorizer, one half |\n|---|---|---|");
    let points: Vec<Point> = SIZES.into_iter().map(point).collect();
    let written = std::fs::write(&path, svg(&points));
    assert!(written.is_ok(), "{path}: {written:?}");
}

fn point(policies: usize) -> Point {
    let files = Beside { policies, ..Beside::default() }.files();
    let cedar = plain::Cedar::of(&files);
    let (pdp, request) = permitting(&files, "support-bot");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(mean_us(|| drop(black_box(decide(&pdp, black_box(&request))))));
        theirs.push(mean_us(|| assert!(cedar.refund_is_permitted())));
    }
    let point = Point { policies, palisade_us: median(ours), cedar_us: median(theirs) };
    println!("| {policies} | {:.1} µs | {:.1} µs |", point.palisade_us, point.cedar_us);
    point
}

fn mean_us(mut once: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < SPAN {
        once();
        count += 1;
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(count.max(1))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 60.0;
/// Decades: 10 to 100,000 policies, 1 µs to 1 s.
const ACROSS: (f64, f64) = (1.0, 5.0);
const UP: (f64, f64) = (0.0, 6.0);

fn x(policies: f64) -> f64 {
    MARGIN + (policies.log10() - ACROSS.0) / (ACROSS.1 - ACROSS.0) * (WIDTH - 2.5 * MARGIN)
}

fn y(us: f64) -> f64 {
    HEIGHT - MARGIN - (us.log10() - UP.0) / (UP.1 - UP.0) * (HEIGHT - 1.5 * MARGIN)
}

fn svg(points: &[Point]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"Time of one decision by number of policies\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    let labels = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"];
    for (label, us) in labels.iter().zip([1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]) {
        let (left, right, at) = (x(10.0), x(100_000.0), y(us));
        let _ = writeln!(
            svg,
            "<path d=\"M{left:.1} {at:.1}H{right:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\" fill=\"#555\">{label}</text>",
            left - 8.0,
            at + 4.0,
        );
    }
    for (label, policies) in
        ["10", "100", "1,000", "10,000", "100,000"].iter().zip([10.0, 1e2, 1e3, 1e4, 1e5])
    {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{label}</text>",
            x(policies),
            HEIGHT - MARGIN + 20.0,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">policies in the bundle</text>",
        x(1_000.0),
        HEIGHT - MARGIN + 42.0,
    );
    line(&mut svg, points, "Cedar, one half", "#b3541e", |point| point.cedar_us);
    line(&mut svg, points, "Palisade, both halves", "#1e5fb3", |point| point.palisade_us);
    svg.push_str("</svg>\n");
    svg
}

#[expect(clippy::cast_precision_loss, reason = "a place on a picture")]
fn line(svg: &mut String, points: &[Point], name: &str, colour: &str, of: impl Fn(&Point) -> f64) {
    let place = |point: &Point| (x(point.policies as f64), y(of(point)));
    let path: Vec<String> = points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    for (x, y) in points.iter().map(place) {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
    }
    if let Some((x, y)) = points.last().map(place) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" text-anchor=\"end\">{name}</text>",
            x + 70.0,
            y - 10.0
        );
    }
}
