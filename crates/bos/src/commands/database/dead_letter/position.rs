//! Dead letters as the command line names them.

use client::documents::MessagePosition;
use contract::Topic;

/// Reads a position on a topic of the platform.
pub(super) fn parse(text: &str) -> Result<MessagePosition, &'static str> {
    let position: MessagePosition = text.parse()?;
    if position.topic.parse::<Topic>().is_err() {
        return Err("no topic of the platform has this name; `bos dead-letter list` prints the ids");
    }
    Ok(position)
}

/// The path of a dead letter at a server.
pub(super) fn path(position: &MessagePosition) -> String {
    format!("v1/dead-letters/{position}")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_dead_letter_is_named_by_the_position_of_its_message() {
        let text = "huleedu.els.batch.phase.outcome.v1/3/4711";
        let position = parse(text).unwrap();
        assert_eq!((position.partition, position.offset, position.to_string().as_str()), (3, 4711, text));
        for wrong in ["", "huleedu.els.batch.phase.outcome.v1/3", "a/b/c", "other.topic/1/2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
