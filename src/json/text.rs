//! The exact text of values within a JSON text, as it was sent.
//! Never checks it: all of it is for text that [`parse`](super::parse) has accepted.

use jiter::Jiter;

/// The exact bytes of a member's value in the text of an object, as they were sent; none when there is no such
/// member. Give it only text that [`parse`](super::parse) has accepted.
pub fn member_bytes<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    bytes_at(object, &[name])
}

/// The exact bytes of the value that these names lead to, each a member of the object before it; of the whole text when there
/// are none. None when there is no such value. Give it only text that [`parse`](super::parse) has accepted.
pub fn bytes_at<'a>(text: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    let mut jiter = Jiter::new(text);
    for name in path {
        let mut found = jiter.next_object().ok()?? == *name;
        while !found {
            let other = jiter.peek().ok()?;
            jiter.known_skip(other).ok()?;
            found = jiter.next_key().ok()?? == *name;
        }
    }
    let first = jiter.peek().ok()?;
    let start = jiter.current_index();
    jiter.known_skip(first).ok()?;
    Some(jiter.slice_to_current(start))
}

/// The exact bytes of each item in the text of an array, as they were sent; none when it is no array. Give it only text
/// that [`parse`](super::parse) has accepted.
pub fn items_bytes(array: &[u8]) -> Option<Vec<&[u8]>> {
    let mut jiter = Jiter::new(array);
    let mut items = Vec::new();
    let mut next = jiter.next_array().ok()?;
    while let Some(first) = next {
        let start = jiter.current_index();
        jiter.known_skip(first).ok()?;
        items.push(jiter.slice_to_current(start));
        next = jiter.array_step().ok()?;
    }
    Some(items)
}

/// The members of the text of an object in their order, each with the exact bytes of its value; none when it is no object. Give
/// it only text that [`parse`](super::parse) has accepted.
pub fn members_bytes(object: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let mut jiter = Jiter::new(object);
    let mut members = Vec::new();
    let mut next = jiter.next_object().ok()?.map(str::to_owned);
    while let Some(name) = next {
        let first = jiter.peek().ok()?;
        let start = jiter.current_index();
        jiter.known_skip(first).ok()?;
        members.push((name, jiter.slice_to_current(start)));
        next = jiter.next_key().ok()?.map(str::to_owned);
    }
    Some(members)
}

/// The text of an object with these members, each as it is.
pub fn object_text<'m>(members: impl IntoIterator<Item = (&'m str, &'m [u8])>) -> Vec<u8> {
    let mut text = vec![b'{'];
    for (at, (name, value)) in members.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend(serde_json::Value::from(name).to_string().into_bytes());
        text.push(b':');
        text.extend(value);
    }
    text.push(b'}');
    text
}
