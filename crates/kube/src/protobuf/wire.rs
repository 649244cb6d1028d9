//! The wire format: fields by number, each with a value whose form says how long it is.

/// Why bytes are no message, in the words of upstream's decoders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("unexpected EOF")]
    End,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    #[error("proto: unexpected end of group")]
    EndOfGroup,
    #[error("proto: illegal tag {0} (wire type {1})")]
    Tag(i64, u64),
    #[error("proto: illegal wireType {0}")]
    Form(u64),
    #[error("proto: wrong wireType = {1} for field {0}")]
    WrongForm(String, u8),
    #[error("the object is nested deeper than {0} levels")]
    Depth(usize),
    #[error("a time is out of range")]
    Time,
    #[error("invalid JSON in field {0}: {1}")]
    Json(String, String),
}

/// What is told of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    /// Of no use in any message, and skipped.
    Group,
    Fixed32([u8; 4]),
}

impl Payload<'_> {
    /// The number of its form.
    pub fn form(self) -> u8 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Group => 3,
            Self::Fixed32(_) => 5,
        }
    }
}

/// Reads the fields of one message.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// If it is longer than 64 bits, or the end comes first.
    pub fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Error::End)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Overflow)
    }

    /// The next field, until there are none.
    ///
    /// # Errors
    /// If what is there is no field, or one that is cut off.
    pub fn next(&mut self) -> Result<Option<(u32, Payload<'a>)>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let (number, form) = self.tag()?;
        let payload = match form {
            3 => self.skip_group()?,
            4 => return Err(Error::EndOfGroup),
            _ => self.payload(form)?,
        };
        Ok(Some((number, payload)))
    }

    fn tag(&mut self) -> Result<(u32, u64), Error> {
        let tag = self.varint()?;
        let (number, form) = (tag >> 3, tag & 7);
        match u32::try_from(number) {
            Ok(number @ 1..0x8000_0000) => Ok((number, form)),
            _ => Err(Error::Tag(i64::try_from(number).unwrap_or(i64::MAX), form)),
        }
    }

    fn payload(&mut self, form: u64) -> Result<Payload<'a>, Error> {
        Ok(match form {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(self.fixed()?),
            2 => Payload::Bytes(self.bytes()?),
            5 => Payload::Fixed32(self.fixed()?),
            other => return Err(Error::Form(other)),
        })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Error::End)?;
        self.0 = rest;
        Ok(*value)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = i64::try_from(self.varint()?).map_err(|_| Error::NegativeLength)?;
        let length = usize::try_from(length).map_err(|_| Error::End)?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(Error::End)?;
        self.0 = rest;
        Ok(value)
    }

    /// Skips what is left of a group, with the groups in it.
    fn skip_group(&mut self) -> Result<Payload<'a>, Error> {
        let mut open = 1_usize;
        while open > 0 {
            match self.tag()?.1 {
                3 => open += 1,
                4 => open -= 1,
                form => {
                    self.payload(form)?;
                }
            }
        }
        Ok(Payload::Group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'a> = Vec<(u32, Payload<'a>)>;

    fn read(bytes: &[u8]) -> Result<Fields<'_>, Error> {
        let mut reader = Reader::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = reader.next()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn fields_are_read_and_what_is_none_is_told() {
        use Payload::{Bytes, Fixed32, Fixed64, Group, Varint};
        let ten = [0xff; 10];
        let cases: [(&[u8], Result<Fields<'_>, Error>); 17] = [
            (b"", Ok(vec![])),
            (b"\x08\x96\x01", Ok(vec![(1, Varint(150))])),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok(vec![(1, Varint(u64::MAX))])),
            (b"\x12\x02ab\x1a\x00", Ok(vec![(2, Bytes(b"ab")), (3, Bytes(b""))])),
            (b"\x09\x01\x02\x03\x04\x05\x06\x07\x08", Ok(vec![(1, Fixed64([1, 2, 3, 4, 5, 6, 7, 8]))])),
            (b"\x0d\x01\x02\x03\x04", Ok(vec![(1, Fixed32([1, 2, 3, 4]))])),
            (b"\x0b\x0b\x08\x01\x0c\x0c\x10\x05", Ok(vec![(1, Group), (2, Varint(5))])),
            (b"\x08", Err(Error::End)),
            (b"\x08\x80", Err(Error::End)),
            (b"\x12\x05ab", Err(Error::End)),
            (b"\x0b\x08\x01", Err(Error::End)),
            (b"\x0d\x01", Err(Error::End)),
            (b"\x0c", Err(Error::EndOfGroup)),
            (b"\x0e", Err(Error::Form(6))),
            (b"\x00\x01", Err(Error::Tag(0, 0))),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(Error::NegativeLength)),
            (&ten, Err(Error::Overflow)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes), expected, "{bytes:02x?}");
        }
    }
}
