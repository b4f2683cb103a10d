//! Popping from checkpoints into device memory: the segments of rows are rows of one launch, so
//! that few long rows fill a device.

use std::ops::Range;

use parans_kernels::abi::index_type;

use super::resident::{DeviceStreams, GpuCoder};
use super::tensors::{DeviceIndexes, DeviceSymbols, expect_shapes};
use crate::error::{Error, Result};
use crate::family::{RowFormat, with_family};
use crate::streams::{Checkpoints, Streams};

/// Segments of the same length that one launch pops.
struct Part {
    rows: Range<usize>,
    segments: Range<usize>,
    /// Symbols of each.
    columns: usize,
    /// Symbols from one to the next.
    stride: usize,
}

impl Part {
    /// All segments of rows of `columns` symbols: in one launch where all are whole. Else what is
    /// left behind the whole ones is a launch for all rows, and each row is one before that.
    fn of_rows(rows: usize, columns: usize, every: usize) -> Vec<Self> {
        let (whole, rest) = (columns / every, columns % every);
        let of = |rows| Self { rows, segments: 0..whole, columns: every, stride: every };
        if rest == 0 {
            return vec![of(0..rows)];
        }
        let mut parts = Vec::new();
        if whole > 0 {
            parts.extend((0..rows).map(|row| of(row..row + 1)));
        }
        parts.push(Self {
            rows: 0..rows,
            segments: whole..whole + 1,
            columns: rest,
            stride: columns,
        });
        parts
    }

    /// How many segments.
    fn len(&self) -> usize {
        self.rows.len() * self.segments.len()
    }

    /// The row and the segment of its rows of a launch.
    fn place(&self, at: usize) -> (usize, usize) {
        let each = self.segments.len().max(1);
        (self.rows.start + at / each, self.segments.start + at % each)
    }

    /// The segments as streams.
    fn cut(&self, streams: &Streams, checkpoints: &Checkpoints) -> Result<Streams> {
        let cut = |row| checkpoints.cut(streams, row, self.segments.clone());
        let mut rows = self.rows.clone().map(cut).collect::<Result<Vec<_>>>()?;
        if rows.len() == 1 {
            return Ok(rows.remove(0));
        }
        with_family!(streams.family(), F => joined::<F>(streams.lanes(), &rows))
    }
}

/// The rows of several streams.
fn joined<F: RowFormat>(lanes: usize, streams: &[Streams]) -> Result<Streams> {
    let parts: Vec<_> = streams.iter().map(Streams::parts::<F>).collect();
    let states: Vec<F::Field> = parts.iter().flat_map(|part| part.states).copied().collect();
    let lens = parts.iter().flat_map(|part| part.lens).copied().collect();
    let mut words = parts.iter().flat_map(|part| {
        part.starts.iter().zip(part.lens).map(|(&start, &len)| &part.words[start..][..len])
    });
    Streams::from_rows::<F>(lanes, &states, lens, |_, into| {
        into.copy_from_slice(words.next().unwrap_or_default());
        Ok(())
    })
}

impl GpuCoder<'_> {
    /// Pops into `symbols`, of shape (rows, columns), what
    /// [`Coder::push_checkpointed`](crate::Coder::push_checkpointed) pushed last. The segments
    /// between checkpoints are rows of their own: of all rows in one launch where the columns are a
    /// multiple of [`Checkpoints::every`], else in a launch per row and one for what is left.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Unsupported`] for indexes other than one
    /// for all or one per symbol, and for symbols whose rows do not follow one another;
    /// [`Error::Row`] for a damaged row, with [`RowCause::Checkpoint`](crate::RowCause::Checkpoint)
    /// where it is not what its checkpoints say; [`Error::InvalidArgument`] for checkpoints of
    /// other streams. The streams are then as they were.
    pub fn pop_checkpointed(
        &self,
        streams: &mut Streams,
        checkpoints: &Checkpoints,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        let shape @ (rows, columns) = (checkpoints.rows(), checkpoints.columns());
        expect_shapes(
            "checkpoints",
            shape,
            [
                ("symbols", (symbols.rows, symbols.columns)),
                ("indexes", (indexes.rows, indexes.columns)),
            ],
        )?;
        self.plan().expect_streams(streams, rows)?;
        checkpoints.expect_streams(streams)?;
        let one = indexes.kind == index_type::CONSTANT;
        let each = indexes.symbol_stride == 1 && (rows == 1 || indexes.row_stride == columns);
        if !(one || each) || rows > 1 && symbols.row_stride != columns {
            return Err(Error::Unsupported(
                "checkpoints with these indexes or rows: an index per symbol or one for all, and \
                 rows one after another, are popped from them"
                    .into(),
            ));
        }
        if columns == 0 {
            return Ok(());
        }
        let every = checkpoints.every();
        let mut popped = Vec::new();
        for part in Part::of_rows(rows, columns, every) {
            let cut = part.cut(streams, checkpoints)?;
            let mut device = DeviceStreams::from_streams(self.gpu(), &cut, 0)?;
            let first = part.rows.start * columns + part.segments.start * every;
            let at = |log2: u32| (first as u64) << log2;
            let symbols = DeviceSymbols {
                address: symbols.address + at(symbols.kind & 3),
                rows: part.len(),
                columns: part.columns,
                row_stride: part.stride,
                ..*symbols
            };
            let mut indexes = DeviceIndexes { rows: part.len(), columns: part.columns, ..*indexes };
            if !one {
                indexes.address += at(indexes.kind);
                indexes.row_stride = part.stride;
            }
            self.launch(false, &mut device, &symbols, &indexes)?;
            popped.push((part, device, symbols, indexes));
        }
        let mut ends = Vec::new();
        for (part, device, symbols, indexes) in popped {
            self.check(&device, &symbols, &indexes).map_err(|error| match error {
                Error::Row { row: at, position, cause } => {
                    let (row, segment) = part.place(at);
                    Error::Row { row, position: segment * every + position, cause }
                }
                other => other,
            })?;
            let end = device.to_streams()?;
            for (at, row) in part.rows.clone().enumerate() {
                let first = at * part.segments.len();
                checkpoints.expect_ends(&end, first, row, part.segments.clone())?;
            }
            ends.push((part, end));
        }
        // The last segments come last.
        for (part, end) in &ends {
            for (at, row) in part.rows.clone().enumerate() {
                streams.set_row_from(row, end, (at + 1) * part.segments.len() - 1);
            }
        }
        Ok(())
    }
}
