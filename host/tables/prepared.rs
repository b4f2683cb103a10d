//! The forms of the tables that coding reads, each made on first use and shared from then on.

use std::sync::OnceLock;

use parans_kernels::codec::{
    EncoderEntry, Interval, Rans32, Rans32x16, Rans64, RansFamily, TableDescriptor,
};

use super::Precision;
use super::alias::AliasForm;
use super::alias_quads::AliasQuads;
use super::buckets::PackedForm;
use super::exact::{self, ExactEntry};
use super::packed::Packed;
use super::slots::{self, SLOTS};
use super::tans::{self, TansForm, TansRowsForm, TansWideForm};
use crate::error::{Error, Result};
use crate::simd::Quad;

/// An inverse CDF of more entries than this is not prepared whole but sparse: 2^19 entries of two
/// bytes fill an L2 cache, and filling more takes longer than all the rest of building
/// tables.
const DENSE_ENTRIES: usize = 1 << 19;

/// The inverse CDF of all tables.
#[derive(Clone, Debug)]
pub(crate) struct InverseCdf {
    /// `tables << bits` symbols.
    pub(crate) symbols: Vec<u16>,
    /// log2 of the entries per table.
    pub(crate) bits: u32,
}

/// Validated tables and their prepared forms.
#[derive(Debug)]
pub(crate) struct Prepared {
    precision: Precision,
    tables: Vec<TableDescriptor>,
    intervals: Vec<Interval>,
    /// Whether every slot of every table is a symbol's. The forms that need that are not made of
    /// other tables.
    whole: bool,
    /// The most bytes of a form whose size is not that of the intervals: a few bytes can ask for
    /// many.
    limit: usize,
    rans64: OnceLock<Vec<EncoderEntry<Rans64>>>,
    exact64: OnceLock<Vec<ExactEntry<u64>>>,
    exact32: OnceLock<Vec<ExactEntry<u32>>>,
    exact32x16: OnceLock<Vec<ExactEntry<u32>>>,
    rans32: OnceLock<Vec<EncoderEntry<Rans32>>>,
    rans32x16: OnceLock<Vec<EncoderEntry<Rans32x16>>>,
    inverse: OnceLock<InverseCdf>,
    alias: OnceLock<AliasForm>,
    alias_quads: OnceLock<Option<AliasQuads>>,
    packed: OnceLock<Option<PackedForm>>,
    slots: OnceLock<Option<Box<[u32; SLOTS]>>>,
    tans: OnceLock<TansForm>,
    /// Without and with bypass coding.
    tans_rows: [OnceLock<TansRowsForm>; 2],
    /// Likewise.
    tans_wide: [OnceLock<TansWideForm>; 2],
    tans_quads: OnceLock<Vec<Quad>>,
}

/// an entry per interval. Tails are runs of one frequency, which is divided by once.
fn encoder_entries<F: RansFamily>(intervals: &[Interval]) -> Vec<EncoderEntry<F>> {
    let mut last = EncoderEntry::new(Interval { start: 0, freq: 1 });
    let entry = |&interval: &Interval| {
        if interval.freq != last.freq {
            last = EncoderEntry::new(interval);
        }
        EncoderEntry { start: interval.start, ..last }
    };
    intervals.iter().map(entry).collect()
}

impl Prepared {
    pub(super) fn new(
        precision: Precision,
        tables: Vec<TableDescriptor>,
        intervals: Vec<Interval>,
    ) -> Self {
        let end = |table: &TableDescriptor| {
            let last = (table.base + table.symbols).checked_sub(1).map(|at| intervals[at as usize]);
            last.map_or(0, |last| u64::from(last.start) + u64::from(last.freq))
        };
        let whole = tables.iter().all(|table| end(table) == 1 << precision.bits());
        Self {
            whole,
            precision,
            tables,
            intervals,
            limit: usize::MAX,
            rans64: OnceLock::new(),
            exact64: OnceLock::new(),
            exact32: OnceLock::new(),
            exact32x16: OnceLock::new(),
            rans32: OnceLock::new(),
            rans32x16: OnceLock::new(),
            inverse: OnceLock::new(),
            alias: OnceLock::new(),
            alias_quads: OnceLock::new(),
            packed: OnceLock::new(),
            slots: OnceLock::new(),
            tans: OnceLock::new(),
            tans_rows: Default::default(),
            tans_wide: Default::default(),
            tans_quads: OnceLock::new(),
        }
    }

    /// The same tables, with forms of at most `limit` bytes.
    pub(super) fn limited(&self, limit: usize) -> Self {
        let limited = Self::new(self.precision, self.tables.clone(), self.intervals.clone());
        Self { limit, ..limited }
    }

    /// The most bytes of a form; `usize::MAX` where that is not limited.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Refuses a form of too many bytes.
    fn expect_within(&self, form: &str, bytes: u64) -> Result<()> {
        if bytes > self.limit as u64 {
            return Err(Error::Unsupported(format!(
                "{form} of {} tables of precision {} take {bytes} bytes; the limit for these tables is {}",
                self.tables.len(),
                self.precision,
                self.limit
            )));
        }
        Ok(())
    }

    /// Refuses tables with slots of no symbol.
    fn expect_whole(&self, form: &str) -> Result<()> {
        if self.whole {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!("{form} of CDF rows that end before 2^precision")))
    }

    /// A size of `bytes` for each of `2^bits` entries of each table.
    fn size(&self, bits: u32, bytes: u64) -> u64 {
        (self.tables.len() as u64).saturating_mul(bytes << bits)
    }

    /// Whether every slot of every table is a symbol's.
    pub(crate) fn are_whole(&self) -> bool {
        self.whole
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Every table's place.
    pub(crate) fn tables(&self) -> &[TableDescriptor] {
        &self.tables
    }

    /// The intervals of all tables.
    pub(crate) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// The intervals of one table.
    pub(crate) fn table_intervals(&self, table: usize) -> &[Interval] {
        let place = &self.tables[table];
        &self.intervals[place.base as usize..(place.base + place.symbols) as usize]
    }

    /// The largest alphabet, sentinel included.
    pub(crate) fn largest_alphabet(&self) -> usize {
        self.tables.iter().map(|table| table.symbols as usize).max().unwrap_or(0)
    }

    pub(crate) fn rans64(&self) -> &[EncoderEntry<Rans64>] {
        self.rans64.get_or_init(|| encoder_entries(&self.intervals))
    }

    /// Entries with exact quotients, for precisions up to 16: of rans64,
    pub(crate) fn exact64(&self) -> &[ExactEntry<u64>] {
        let build = || exact::entries::<Rans64>(&self.intervals, self.precision.bits());
        self.exact64.get_or_init(build)
    }

    /// of rans32,
    pub(crate) fn exact32(&self) -> &[ExactEntry<u32>] {
        let build = || exact::entries::<Rans32>(&self.intervals, self.precision.bits());
        self.exact32.get_or_init(build)
    }

    /// and of rans32_16.
    pub(crate) fn exact32x16(&self) -> &[ExactEntry<u32>] {
        let build = || exact::entries::<Rans32x16>(&self.intervals, self.precision.bits());
        self.exact32x16.get_or_init(build)
    }

    pub(crate) fn rans32(&self) -> &[EncoderEntry<Rans32>] {
        self.rans32.get_or_init(|| encoder_entries(&self.intervals))
    }

    pub(crate) fn rans32x16(&self) -> &[EncoderEntry<Rans32x16>] {
        self.rans32x16.get_or_init(|| encoder_entries(&self.intervals))
    }

    /// How many bits of a slot the inverse CDF resolves: all of them while the tables together stay
    /// small, else as many as give about four entries per symbol.
    pub(crate) fn inverse_bits(&self) -> u32 {
        let precision = self.precision.bits();
        if self.tables.len().checked_shl(precision).is_some_and(|n| n <= DENSE_ENTRIES)
            && precision < 23
        {
            return precision;
        }
        let wanted = (self.largest_alphabet() * 4).next_power_of_two().trailing_zeros();
        wanted.clamp(1, precision)
    }

    /// Refuses tables that have no inverse CDF.
    pub(crate) fn check_inverse(&self) -> Result<()> {
        if self.largest_alphabet() > 1 << 16 {
            return Err(Error::Unsupported(format!(
                "inverse CDF of an alphabet of {}; the limit is 65536 (search has none)",
                self.largest_alphabet()
            )));
        }
        self.expect_within("the inverse CDFs", self.inverse_bytes())
    }

    /// Bytes of the inverse CDF.
    fn inverse_bytes(&self) -> u64 {
        self.size(self.inverse_bits(), size_of::<u16>() as u64)
    }

    /// Whether the inverse CDF stays within its limit.
    pub(crate) fn has_room_for_inverse(&self) -> bool {
        self.inverse_bytes() <= self.limit as u64
    }

    /// The inverse CDF, dense or sparse.
    pub(crate) fn inverse(&self) -> Result<&InverseCdf> {
        self.check_inverse()?;
        Ok(self.inverse.get_or_init(|| self.build_inverse(self.inverse_bits())))
    }

    fn build_inverse(&self, bits: u32) -> InverseCdf {
        let shift = self.precision.bits() - bits;
        let mut symbols = Vec::with_capacity(self.tables.len() << bits);
        for table in 0..self.tables.len() {
            let row_end = symbols.len() + (1 << bits);
            let mut filled = 0u64;
            for (symbol, interval) in self.table_intervals(table).iter().enumerate() {
                // The entries k whose slot k << shift lies below this symbol's end.
                let end =
                    (u64::from(interval.start) + u64::from(interval.freq)).div_ceil(1 << shift);
                symbols.extend(std::iter::repeat_n(symbol as u16, (end - filled) as usize));
                filled = end;
            }
            // Slots of no symbol are the last one's, as the search finds them.
            let last = self.tables[table].symbols.saturating_sub(1);
            symbols.resize(row_end, last as u16);
        }
        InverseCdf { symbols, bits }
    }

    /// The packed form, for tables that have one.
    pub(crate) fn packed(&self) -> Option<&PackedForm> {
        let packed = || Packed::build(&self.tables, &self.intervals, self.precision.bits());
        let build = || self.whole.then(packed).flatten().map(PackedForm::new);
        self.packed.get_or_init(build).as_ref()
    }

    /// The slots of a single small table.
    pub(crate) fn slots(&self) -> Option<&[u32; SLOTS]> {
        let build = || self.whole.then(|| slots::build(&self.tables, &self.intervals)).flatten();
        self.slots.get_or_init(build).as_deref()
    }

    /// The alias form.
    pub(crate) fn alias(&self) -> Result<&AliasForm> {
        if let Some(form) = self.alias.get() {
            return Ok(form);
        }
        self.expect_whole("alias tables")?;
        self.expect_within("the alias tables", self.size(self.precision.bits(), 4))?;
        let form = AliasForm::build(&self.tables, &self.intervals, self.precision.bits())?;
        Ok(self.alias.get_or_init(|| form))
    }

    /// The alias form for vectors of eight elements, and the remapped slots; `None` for tables that
    /// have none.
    pub(crate) fn alias_quads(&self) -> Option<(&AliasQuads, &[u32])> {
        let (form, packed) = (self.alias().ok()?, self.packed()?);
        let build = || AliasQuads::build(form, &packed.packed, &self.intervals);
        Some((self.alias_quads.get_or_init(build).as_ref()?, &form.remap))
    }

    /// The tANS form.
    pub(crate) fn tans(&self) -> Result<&TansForm> {
        if let Some(form) = self.tans.get() {
            return Ok(form);
        }
        self.expect_whole("tANS")?;
        // The states' entries and next states, and the two forms for several rows at once.
        self.expect_within("the states", self.size(self.precision.bits(), 2 + 3 * 4))?;
        let form = TansForm::build(&self.tables, &self.intervals, self.precision.bits())?;
        Ok(self.tans.get_or_init(|| form))
    }

    /// The tANS form for rows side by side.
    pub(crate) fn tans_rows(&self, bypass: bool) -> Result<&TansRowsForm> {
        let form = self.tans()?;
        let precision = self.precision.bits();
        let build = || TansRowsForm::build(form, &self.tables, precision, bypass);
        Ok(self.tans_rows[usize::from(bypass)].get_or_init(build))
    }

    /// The tANS form for pushing rows across vectors of eight elements; `None` where the tables
    /// have no packed form.
    pub(crate) fn tans_quads(&self) -> Option<&[Quad]> {
        let (form, packed) = (self.tans().ok()?, self.packed()?);
        Some(self.tans_quads.get_or_init(|| tans::quads(form, &packed.packed, &self.tables)))
    }

    /// The tANS form for rows across vectors of sixteen elements.
    pub(crate) fn tans_wide(&self, bypass: bool) -> Result<&TansWideForm> {
        let form = self.tans()?;
        let precision = self.precision.bits();
        let build = || TansWideForm::build(form, &self.tables, precision, bypass);
        Ok(self.tans_wide[usize::from(bypass)].get_or_init(build))
    }
}
