//! Values of columns that Rust has no type for.

use clickhouse::native::DataTypeNode;
use clickhouse::native::encode::{Encode, ValueWriter};

use crate::clock::UnixNanos;

type EncodeError = Box<dyn std::error::Error + Send + Sync>;

/// `DateTime64(9)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant(pub UnixNanos);

impl Encode for Instant {
    fn produces() -> DataTypeNode {
        DataTypeNode::new("DateTime64(9)").expect("a type of ClickHouse")
    }

    fn encode(&self, writer: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        Ok(writer.write_fixed(&self.0.0.to_le_bytes())?)
    }
}

/// `DateTime`, from Unix seconds; what is before 1970 or after 2106 is 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Second(pub i64);

impl Encode for Second {
    fn produces() -> DataTypeNode {
        DataTypeNode::DateTime(None)
    }

    fn encode(&self, writer: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        Ok(writer.write_fixed(&u32::try_from(self.0).unwrap_or(0).to_le_bytes())?)
    }
}

/// `Map(String, String)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairs<'a>(pub &'a [(String, String)]);

impl Encode for Pairs<'_> {
    fn produces() -> DataTypeNode {
        DataTypeNode::Map([Box::new(DataTypeNode::String), Box::new(DataTypeNode::String)])
    }

    fn encode(&self, writer: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        let mut map = writer.write_map::<&str, &str>()?;
        for (name, value) in self.0 {
            map.write(name, value)?;
        }
        map.finish();
        Ok(())
    }
}
