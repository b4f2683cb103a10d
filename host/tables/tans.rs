//! The tANS form of all tables.

use parans_kernels::codec::tans::can_spread;
use parans_kernels::codec::{Span, TableSpan, TansDecoderEntry, TansEncoderEntry, tans_table};

use crate::error::{Error, Result};

/// What tANS push and pop read.
#[derive(Clone, Debug)]
pub(crate) struct TansForm {
    /// An entry a symbol, placed as the spans are.
    pub(crate) encoder: Vec<TansEncoderEntry>,
    /// Next states, `2^precision` a table.
    pub(crate) next: Vec<u16>,
    /// The states' entries, `2^precision` a table.
    pub(crate) decoder: Vec<TansDecoderEntry>,
}

impl TansForm {
    /// Spreads the symbols of every table over its states.
    pub(crate) fn build(tables: &[TableSpan], spans: &[Span], precision: u32) -> Result<Self> {
        if precision > 15 || !can_spread(precision) {
            return Err(Error::Unsupported(format!(
                "tANS tables of precision {precision}: it lies in 2..=15, and at 3 the spread does not reach every state"
            )));
        }
        let states = tables.len() << precision;
        if u32::try_from(states).is_err() {
            return Err(Error::Unsupported(format!(
                "{} tANS tables of precision {precision}: together they may have 2^32 states",
                tables.len()
            )));
        }
        let mut form = Self {
            encoder: vec![TansEncoderEntry::default(); spans.len()],
            next: vec![0; states],
            decoder: vec![TansDecoderEntry::default(); states],
        };
        let mut counters = Vec::new();
        for (row, table) in tables.iter().enumerate() {
            let symbols = table.base as usize..(table.base + table.symbols) as usize;
            let states = row << precision..(row + 1) << precision;
            counters.clear();
            counters.resize(symbols.len(), 0);
            let built = tans_table::build(
                &spans[symbols.clone()],
                precision,
                &mut form.decoder[states.clone()],
                &mut form.next[states],
                &mut form.encoder[symbols],
                &mut counters,
            );
            if !built {
                let reason = "its frequencies do not sum to its states".into();
                return Err(Error::InvalidTable { row, reason });
            }
        }
        Ok(form)
    }
}
