//! What a browser makes of a page.

use quick_xml::Reader;
use quick_xml::events::Event;

/// All text of a page, which must be well-formed, with ids that occur once and links that lead somewhere.
#[track_caller]
pub(super) fn text_of(html: &str) -> String {
    let mut reader = Reader::from_str(html);
    reader.config_mut().check_end_names = true;
    let (mut text, mut ids, mut links, mut is_style) = (String::new(), Vec::new(), Vec::new(), false);
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => {
                let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
                assert!(
                    !["script", "img", "iframe", "object", "base", "form"].contains(&name.as_str()),
                    "{name}"
                );
                is_style = name == "style";
                for attribute in tag.attributes() {
                    let attribute = attribute.unwrap();
                    let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    let value = String::from_utf8(attribute.value.to_vec()).unwrap();
                    assert!(!key.starts_with("on") && !value.contains('<'), "{key}={value}");
                    match (key.as_str(), value.strip_prefix('#')) {
                        ("id", _) => ids.push(value),
                        ("href", Some(target)) => links.push(target.to_owned()),
                        ("href" | "src", None) => assert_eq!(value, "data:,"),
                        _ => {}
                    }
                }
            }
            Event::End(_) => is_style = false,
            Event::Text(part) if !is_style => {
                text.push_str(std::str::from_utf8(&part).unwrap());
                text.push(' ');
            }
            Event::GeneralRef(entity) => {
                let letter = match entity.to_vec().as_slice() {
                    b"lt" => '<',
                    b"gt" => '>',
                    b"amp" => '&',
                    b"quot" => '"',
                    b"#39" => '\'',
                    b"#10" => '\n',
                    b"#9" => '\t',
                    other => panic!("{other:?}"),
                };
                text.pop();
                text.push(letter);
            }
            _ => {}
        }
    }
    let mut once = ids.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
    for link in links {
        assert!(ids.contains(&link), "{link} leads nowhere");
    }
    text
}
