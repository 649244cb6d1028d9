//! How much is remembered, and how much there is room for.

use super::*;

fn key(name: &str) -> Key {
    Key::new("configmaps", "default", name)
}

fn map(text: &str) -> Value {
    json!({ "kind": "ConfigMap", "data": { "text": text } })
}

/// `state` after so many changes of one object, whose text is so long.
fn changed(state: State, changes: usize, length: usize) -> State {
    let mut txn = Txn::new(state, Timestamp::UNIX_EPOCH);
    for index in 0..changes {
        txn.put(key("a"), map(&format!("{index}{}", "x".repeat(length))));
    }
    txn.into_state()
}

#[test]
fn nothing_is_forgotten_before_it_was_shown() {
    let mut state = changed(State::default(), 1_500, 1);
    state.trim(0);
    assert_eq!(state.since(0).map(Iterator::count), Some(1_500));
    // Once it was, only so much is remembered, beside what came later.
    let seen = state.revision();
    let mut state = changed(state, 700, 9);
    state.trim(seen);
    assert_eq!(state.forgotten(), 1_200);
    let mut state = changed(state, 1_100, 9);
    state.trim(seen);
    assert_eq!((state.forgotten(), state.since(seen).map(Iterator::count)), (seen, Some(1_800)));
    assert!(state.since(seen - 1).is_none());
}

#[test]
fn history_is_bounded_in_bytes() {
    let mut state = changed(State::default(), 100, 1 << 20);
    let seen = state.revision();
    state.trim(seen);
    let remembered = state.since(state.forgotten()).map(Iterator::count).unwrap_or_default();
    // Each keeps two objects and a line.
    assert!((20..=21).contains(&remembered), "{remembered}");
    // Objects that are large and few leave room for small ones again.
    let mut state = changed(state, 2_000, 1);
    state.trim(state.revision());
    assert_eq!(state.since(state.forgotten()).map(Iterator::count), Some(REMEMBERED));
    assert!(state.log_bytes < 4 << 20, "{}", state.log_bytes);
}

#[test]
fn history_read_from_elsewhere_counts_like_any_other() {
    let before = changed(State::default(), 1_000, 1);
    let rows = |state: &State| {
        let row = |o: &Arc<Object>| crate::journal::Row {
            key: o.key.clone(),
            revision: o.revision,
            value: Some(o.value().to_string()),
        };
        Saved { revision: state.revision(), rows: state.all().map(row).collect() }
    };
    let fresh = State::loaded([], rows(&changed(before.clone(), 50, 9))).unwrap();
    let (state, _) = before.followed_by(&fresh);
    let sum = state.since(state.forgotten()).unwrap().map(|event| event.size()).sum::<usize>();
    assert_eq!((state.log_bytes, state.log.size(), state.bytes()), (sum, REMEMBERED, fresh.bytes()));
}

#[test]
fn a_cluster_has_room_for_so_many_bytes() {
    let mut txn = Txn::new(State::default(), Timestamp::UNIX_EPOCH);
    let large = map(&"x".repeat(MOST_BYTES / 2));
    txn.put(key("a"), large.clone());
    assert!(!txn.state().is_full() && !txn.state().has_room(None, &large));
    assert!(txn.state().has_room(None, &map("small")));
    txn.put(key("b"), large.clone());
    assert!(txn.state().is_full() && !txn.state().has_room(None, &map("small")));
    // What does not grow may change all the same, or nothing could be cleared up.
    assert!(txn.state().has_room(Some(&large), &large) && txn.state().has_room(Some(&large), &map("small")));
    txn.edit(&key("b"), |value| *value = map("small"));
    assert!(!txn.state().is_full());
    txn.remove(&key("a"));
    txn.remove(&key("b"));
    assert_eq!(txn.state().bytes(), 0);
}

#[test]
fn small_values_count_for_what_they_take_in_memory() {
    let numbers = json!(vec![0; 1_000]);
    assert!(object::size(&numbers) > 10 * numbers.to_string().len() && object::size(&json!("text")) > 4);
}
