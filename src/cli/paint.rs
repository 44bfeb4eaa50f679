//! Findings on paper.
/// x
pub(super) fn findings(findings: &[crate::diagnostic::Diagnostic]) {
    for f in findings {
        anstream::eprintln!("{:?}", f.to_report());
    }
}
