//! `parans decompress --keep-going`: what is whole of a damaged file, and a line for each loss.

use std::{
    io::{self, Read, Seek, Write},
    ops::Range,
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result};
use parans::frame::{Damage, FrameSalvage, Loss, ReadOptions, Summary};

use crate::{escape, input::Input, output::Output, sparse};

/// Bytes of a pipe to keep in memory before they go to a temporary file.
const SPOOL: usize = 64 << 20;

/// What was saved, what was lost, and the seconds it took.
pub(crate) struct Saved {
    pub(crate) output: Output,
    pub(crate) summary: Summary,
    pub(crate) damage: Vec<Damage>,
    pub(crate) seconds: f64,
}

/// Saves what is whole of `input` in `output`, with or without holes for zeros. A pipe is copied to
/// a temporary file first: salvage looks at a file from both ends.
pub(crate) fn save(
    input: &Input,
    mut output: Output,
    options: ReadOptions,
    holes: bool,
) -> Result<Saved> {
    let begin = Instant::now();
    let mut writer = sparse::Writer::new(&mut output, holes);
    let saved = match input.file().filter(|_| input.length().is_some()) {
        Some(file) => salvage(file, &mut writer, options),
        None => {
            let mut copy = tempfile::spooled_tempfile(SPOOL);
            input.read_ahead(|mut ahead| io::copy(&mut ahead, &mut copy))?;
            salvage(copy, &mut writer, options)
        }
    };
    let (summary, damage) = saved.with_context(|| input.path.display().to_string())?;
    Ok(Saved { output, summary, damage, seconds: begin.elapsed().as_secs_f64() })
}

fn salvage(
    input: impl Read + Seek,
    output: &mut impl Write,
    options: ReadOptions,
) -> Result<(Summary, Vec<Damage>)> {
    let mut salvage = FrameSalvage::new(input, options)?;
    let summary = salvage.copy_to(output)?;
    Ok((summary, salvage.damage().to_vec()))
}

/// Prints a line for each loss on standard error.
pub(crate) fn report(path: &Path, damage: &[Damage]) {
    for Damage { frame, chunk, output, loss, reason, .. } in damage {
        let Range { start, end } = output;
        let lost = match loss {
            Loss::Nothing => format!("lost no bytes of frame {frame}"),
            Loss::Zeros => format!("lost bytes {start}..{end}"),
            Loss::Omitted(n) => format!("lost {n} bytes at byte {start}, left out"),
            Loss::Doubtful => format!("not sure of bytes {start}..{end}"),
            _ => format!("lost an unknown number of bytes at byte {start}"),
        };
        let place = match chunk {
            Some(chunk) if *frame > 0 => format!(" at chunk {chunk} of frame {frame}"),
            Some(chunk) => format!(" at chunk {chunk}"),
            None => String::new(),
        };
        // Nobody to tell is no reason to fail differently.
        let _ = writeln!(io::stderr(), "parans: {}: {lost}{place}: {reason}", escape::path(path));
    }
}
