//! Calls are spent once, and never beyond what is charged.

use super::*;

#[test]
fn calls_are_spent_up_to_what_is_charged_and_never_beyond_what_there_is() {
    let calls = Calls::new(40, 16, 0);
    let spent = (0..20).filter(|_| calls.spend().is_ok()).count();
    assert_eq!((spent, calls.spend()), (16, Err(NotInForce::Uncharged)));
    calls.charge(100);
    let spent = (0..30).filter(|_| calls.spend().is_ok()).count();
    assert_eq!((spent, calls.spend()), (24, Err(NotInForce::OverBudget { calls_max: 40 })));
}

#[test]
fn what_is_settled_is_not_spent_by_those_who_come_late() {
    let calls = Calls::new(100, 50, 7);
    assert_eq!((calls.settle(), calls.charged()), ((50, 7), 7));
    assert_eq!(calls.spend(), Err(NotInForce::Uncharged));
}

#[test]
fn what_is_set_aside_is_there_or_not_taken_at_all() {
    let calls = Calls::new(10, 10, 4);
    assert!(!calls.take(7));
    assert!(calls.take(6));
    assert_eq!(calls.left(), 0);
    calls.give_back(6);
    assert_eq!(calls.left(), 6);
}

#[test]
fn many_spend_at_once_and_none_is_counted_twice() {
    let calls = Calls::new(1000, 1000, 0);
    let spent: usize = std::thread::scope(|scope| {
        let spend = || (0..600).filter(|_| calls.spend().is_ok()).count();
        let all: Vec<_> = (0..4).map(|_| scope.spawn(spend)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!((spent, calls.spent()), (1000, 1000));
}
