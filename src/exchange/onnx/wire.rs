//! Bounds of an ONNX file, held before its parser runs: each message lies within the one around it, none is nested too deeply, and
//! there are no more of them than a network has.
//!
//! The parser takes a length at its word, allocates as much, and follows nested messages as deeply as they go. What passes here it reads
//! in memory of at most 24 times the file and 1 GiB: a number in one byte becomes one of eight, in a vector that doubles.

use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek};

/// Deepest nesting of messages. An `If` within an `If` costs three.
const DEEPEST: usize = 40;
/// Most messages: nodes, attributes, tensors, shapes and what they are made of.
const MOST_MESSAGES: usize = 1 << 22;
/// Most nodes, attributes and tensors, the larger messages.
const MOST_LARGE: usize = 1 << 20;
/// Longest name or text but those of the metadata.
const LONGEST_TEXT: u64 = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Entry,
    ValueInfo,
    Type,
    Sequence,
    TensorType,
    Shape,
    Dimension,
    Opset,
}

/// What a field of a length holds.
enum Field {
    Message(Message),
    /// A text, and the longest that it may be.
    Text(u64),
    Varints,
    /// Numbers of so many bytes each.
    Fixed(u64),
    Bytes,
}

/// The fields that the parser reads, of <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>.
fn field(of: Message, number: u64) -> Field {
    use Message::{
        Attribute, Dimension, Entry, Graph, Model, Node, Opset, Sequence, Shape, Tensor, TensorType, Type, ValueInfo,
    };
    match (of, number) {
        (Model, 7) | (Attribute, 6) => Field::Message(Graph),
        (Model, 8) => Field::Message(Opset),
        (Model, 14) | (Tensor, 13) => Field::Message(Entry),
        (Graph, 1) => Field::Message(Node),
        (Graph | Attribute, 5) => Field::Message(Tensor),
        (Graph, 11..=13) => Field::Message(ValueInfo),
        (Node, 5) => Field::Message(Attribute),
        (ValueInfo, 2) | (Sequence, 1) => Field::Message(Type),
        (Type, 1) => Field::Message(TensorType),
        (Type, 4) => Field::Message(Sequence),
        (TensorType, 2) => Field::Message(Shape),
        (Shape, 1) => Field::Message(Dimension),
        (Entry, _) => Field::Text(1 << 26),
        (Model | Dimension, 2)
        | (Model, 3)
        | (Node, 1..=4 | 7)
        | (Attribute, 1 | 4 | 9)
        | (Tensor, 8)
        | (ValueInfo | Opset, 1) => Field::Text(LONGEST_TEXT),
        (Tensor, 5 | 7) => Field::Varints,
        (Tensor, 4) => Field::Fixed(4),
        (Tensor, 10) => Field::Fixed(8),
        _ => Field::Bytes,
    }
}

/// Says whether a file keeps the bounds. Reads from where `file` stands.
pub(super) fn check(file: impl Read + Seek, length: u64) -> Result<()> {
    let mut walk = Walk { file: BufReader::new(file), at: 0, messages: 0, large: 0 };
    walk.message(Message::Model, length, 0)
}

struct Walk<R> {
    file: BufReader<R>,
    at: u64,
    messages: usize,
    large: usize,
}

fn fault<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidData, why.into()))
}

impl<R: Read + Seek> Walk<R> {
    fn varint(&mut self, end: u64) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            if self.at >= end {
                return fault("a number goes beyond what holds it");
            }
            let mut byte = [0];
            self.file.read_exact(&mut byte)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        fault("a number of more than ten bytes")
    }

    fn skip(&mut self, bytes: u64, end: u64) -> Result<()> {
        match self.at.checked_add(bytes).filter(|to| *to <= end) {
            Some(to) => {
                // `end` is at most the file's length.
                self.file.seek_relative(bytes as i64)?;
                self.at = to;
                Ok(())
            }
            None => fault(format!("a field of {bytes} bytes goes beyond what holds it")),
        }
    }

    fn count(&mut self, message: Message, depth: usize) -> Result<()> {
        self.messages += 1;
        self.large += usize::from(matches!(message, Message::Node | Message::Attribute | Message::Tensor));
        if depth > DEEPEST {
            return fault(format!("messages are nested more than {DEEPEST} deep"));
        }
        if self.messages > MOST_MESSAGES || self.large > MOST_LARGE {
            return fault(format!(
                "it has more than {MOST_LARGE} nodes, attributes and tensors, or {MOST_MESSAGES} parts"
            ));
        }
        Ok(())
    }

    fn message(&mut self, message: Message, end: u64, depth: usize) -> Result<()> {
        self.count(message, depth)?;
        while self.at < end {
            let tag = self.varint(end)?;
            match tag & 7 {
                0 => {
                    self.varint(end)?;
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint(end)?;
                    let Some(inner) = self.at.checked_add(length).filter(|inner| *inner <= end) else {
                        return fault(format!("a part of {length} bytes goes beyond what holds it"));
                    };
                    self.field(&field(message, tag >> 3), inner, depth)?;
                }
                wire => return fault(format!("a field of the wire type {wire}, which ONNX does not have")),
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, end: u64, depth: usize) -> Result<()> {
        let length = end - self.at;
        match field {
            Field::Message(message) => self.message(*message, end, depth + 1),
            Field::Varints => {
                while self.at < end {
                    self.varint(end)?;
                }
                Ok(())
            }
            Field::Text(most) if length > *most => fault(format!("a text of {length} bytes; {most} are the most")),
            Field::Fixed(bytes) if !length.is_multiple_of(*bytes) => {
                fault(format!("numbers of {bytes} bytes each in {length} bytes"))
            }
            Field::Text(_) | Field::Fixed(_) | Field::Bytes => self.skip(length, end),
        }
    }
}
