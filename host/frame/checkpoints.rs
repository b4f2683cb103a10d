//! The bytes of checkpoints: the side table that coded rows may have beside them.
//! `docs/frame-format.md` has the layout.

use super::{
    rows::{family_of, number_of},
    wire::Fields,
};
use crate::{Checkpoints, Error, Result, streams::check_lanes};

const TAG: &[u8; 4] = b"ckpt";
/// Bytes of a cursor.
const CURSOR: usize = 8;

impl Checkpoints {
    /// The table as bytes, for whoever keeps it beside the rows;
    /// [`CodedRows`](crate::frame::CodedRows) does so in a frame.
    ///
    /// # Errors
    /// `Unsupported` for a family that the format has no number for.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let family = self.family();
        let mut out = TAG.to_vec();
        // A lane count is at most 32.
        out.extend([number_of(family)?, self.lanes() as u8, 0, 0]);
        for number in [self.every(), self.columns(), self.rows()] {
            out.extend((number as u64).to_le_bytes());
        }
        for (cursor, fields) in self.entries() {
            out.extend(cursor.to_le_bytes());
            for field in fields {
                out.extend(&field.to_le_bytes()[..family.state_bytes()]);
            }
        }
        Ok(out)
    }

    /// Reads what [`Checkpoints::to_bytes`] made. Whether the entries are right shows when rows are
    /// popped with them.
    ///
    /// # Errors
    /// `Unsupported` for a family without a number here; `Corrupt` or `Truncated` for bytes that
    /// nothing wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields(bytes);
        let checkpoints = Self::read(&mut fields)?;
        if !fields.0.is_empty() {
            return Err(Error::Corrupt(format!(
                "{} bytes are left over after the checkpoints",
                fields.0.len()
            )));
        }
        Ok(checkpoints)
    }

    /// Takes a table off the front of bytes.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self> {
        if fields.bytes(4)? != TAG {
            return Err(Error::Corrupt("checkpoints begin with another tag".into()));
        }
        let (family, lanes, zero) = (fields.u8()?, fields.u8()?, fields.u16()?);
        let family = family_of(family)?;
        let lanes = usize::from(lanes);
        check_lanes(lanes)?;
        let (every, columns, rows) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let corrupt = || {
            Error::Corrupt(format!(
                "checkpoints every {every} of {columns} symbols in {rows} rows, in {} bytes",
                fields.0.len()
            ))
        };
        let state = family.state_bytes();
        let width = family.header_fields(lanes);
        if zero != 0 || every == 0 || !every.is_multiple_of(lanes as u64) {
            return Err(corrupt());
        }
        let count = columns.div_ceil(every).saturating_sub(1).checked_mul(rows);
        let size = count.and_then(|count| count.checked_mul((CURSOR + width * state) as u64));
        // The bytes for them are here, or they are refused before memory is set aside.
        let (Some(count), Some(_)) = (count, size.filter(|&size| size <= fields.0.len() as u64))
        else {
            return Err(corrupt());
        };
        let shape = [rows, columns, every].map(usize::try_from);
        let [Ok(rows), Ok(columns), Ok(every)] = shape else { return Err(corrupt()) };
        let mut cursors = Vec::with_capacity(count as usize);
        let mut all = Vec::with_capacity(count as usize * width);
        for _ in 0..count {
            cursors.push(fields.u64()?);
            for _ in 0..width {
                all.push(if state == 8 { fields.u64()? } else { fields.u32()?.into() });
            }
        }
        Ok(Self::from_parts((family, lanes), (rows, columns, every), cursors, all))
    }
}
