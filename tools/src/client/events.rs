//! Server-sent events (the `text/event-stream` of the HTML standard, 9.2.6), as far as daybook sends them.

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its type; empty where none is said.
    pub kind: String,
    /// Its data; empty for a bare id.
    pub data: String,
    /// The id that holds from it on.
    pub id: Option<String>,
}

/// Makes events of bytes that come in pieces.
#[derive(Debug, Default)]
pub struct EventReader {
    line: Vec<u8>,
    event: ServerEvent,
}

impl EventReader {
    /// Takes a piece; answers the events that it ends.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                let line = std::mem::take(&mut self.line);
                events.extend(self.take(&String::from_utf8_lossy(&line)));
            }
        }
        events
    }

    fn take(&mut self, line: &str) -> Option<ServerEvent> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (event != ServerEvent::default()).then_some(event);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments, and what other servers say.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "retry: 1000\n\nid: 7\ndata: {\"a\":1}\n\n:\n\nid: 9\n\nevent: problem\r\ndata: x\r\ndata: y\r\n\r\ndata: cut";

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<ServerEvent> {
        let mut reader = EventReader::default();
        pieces.into_iter().flat_map(|piece| reader.feed(piece)).collect()
    }

    fn event(kind: &str, data: &str, id: Option<&str>) -> ServerEvent {
        ServerEvent { kind: kind.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn comments_are_nothing_and_an_event_ends_with_a_blank_line() {
        let events = [
            event("", "{\"a\":1}", Some("7")),
            event("", "", Some("9")),
            event("problem", "x\ny", None),
        ];
        assert_eq!(read([STREAM.as_bytes()]), events);
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_are_the_whole(size in 1usize..40) {
            prop_assert_eq!(read(STREAM.as_bytes().chunks(size)), read([STREAM.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read([&*bytes]);
        }
    }
}
