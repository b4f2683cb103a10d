//! A CDF of its own for every symbol, coded straight from the CDF: nothing is prepared that is used
//! once.

use super::row::RowModel;
use super::{FoundValue, Located, Value};
use crate::codec::{BypassCode, Interval, RowError};

/// The CDFs of a row's symbols: `width = alphabet + 1` values each, from 0 to `2^precision`,
/// strictly increasing.
#[derive(Clone, Copy, Debug)]
pub struct Cdfs<'a> {
    /// `symbols * width` values.
    pub cdfs: &'a [u32],
    /// Values a CDF.
    pub width: usize,
    /// The smallest symbol.
    pub offset: i32,
    /// Whether the last symbol of each CDF is the bypass sentinel.
    pub sentinel: bool,
}

impl Cdfs<'_> {
    #[inline(always)]
    fn row(&self, position: usize) -> Result<&[u32], RowError> {
        let at = position * self.width;
        self.cdfs.get(at..at + self.width).ok_or(RowError::ParameterOutOfRange)
    }

    /// The slots of symbol `number`; an error where the CDF does not increase there.
    #[inline(always)]
    fn interval(row: &[u32], number: usize) -> Result<Interval, RowError> {
        match (row.get(number), row.get(number + 1)) {
            (Some(&start), Some(&end)) if end > start => Ok(Interval { start, freq: end - start }),
            _ => Err(RowError::ParameterOutOfRange),
        }
    }
}

impl RowModel for Cdfs<'_> {
    #[inline(always)]
    fn locate(&self, position: usize, symbol: i32) -> Result<Located, RowError> {
        let row = self.row(position)?;
        // Symbols with a code of their own: all, or all but the sentinel.
        let own = (self.width as i64 - 1 - i64::from(self.sentinel)).max(0);
        let value = i64::from(symbol) - i64::from(self.offset);
        if value >= 0 && value < own {
            return Ok(Located { interval: Self::interval(row, value as usize)?, escape: None });
        }
        if !self.sentinel {
            return Err(RowError::SymbolOutOfRange);
        }
        let raw = BypassCode::raw(value, own as u32)?;
        Ok(Located { interval: Self::interval(row, own as usize)?, escape: Some(raw) })
    }

    #[inline(always)]
    fn find(&self, position: usize, slot: u32) -> Result<FoundValue, RowError> {
        let row = self.row(position)?;
        // The last value at most `slot`, in ceil(log2(width)) steps without a branch on what the
        // CDF holds: the CDF is a row that is read once, so there is no table to make this quicker.
        let (mut low, mut len) = (0usize, self.width - 1);
        while len > 1 {
            let half = len / 2;
            let middle = row.get(low + half).copied().unwrap_or(u32::MAX);
            low = if middle <= slot { low + half } else { low };
            len -= half;
        }
        let interval = Self::interval(row, low)?;
        if slot.wrapping_sub(interval.start) >= interval.freq {
            return Err(RowError::ParameterOutOfRange);
        }
        let value = if self.sentinel && low + 2 == self.width {
            Value::Outside { offset: self.offset, max: low as u32 }
        } else {
            let symbol = i64::from(self.offset) + low as i64;
            Value::Symbol(i32::try_from(symbol).map_err(|_| RowError::ParameterOutOfRange)?)
        };
        Ok(FoundValue { interval, value })
    }
}
