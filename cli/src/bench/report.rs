//! What is printed: a table to be read, or JSON.

use std::io::{self, Write};

use anyhow::{Result, ensure};
use parans::{Family, Lookup};

use super::{
    args::BenchArgs,
    measure::{Figures, Speed},
    plot::Plot,
};
use crate::{
    failure::{self, Usage, named},
    output::Output,
};

/// Up to this many symbols the time of a call says more than the speed.
const SMALL: usize = 100_000;

/// What one line is measured with.
pub(super) struct Setting {
    pub(super) family: Family,
    pub(super) lanes: usize,
    pub(super) bits: u32,
}

/// Prints lines as they come, and at the end which of them was the fastest.
pub(super) struct Report<'a> {
    args: &'a BenchArgs,
    threads: usize,
    /// Whether each line has the speeds on one thread as well.
    beside: bool,
    /// Whether family and lanes differ from line to line.
    sweep: bool,
    started: bool,
    /// The fastest push and the fastest pop, with what they were measured with.
    best: [Option<(f64, String)>; 2],
    plot: Plot,
}

impl<'a> Report<'a> {
    pub(super) fn new(args: &'a BenchArgs, threads: usize, beside: bool, sweep: bool) -> Self {
        Self {
            args,
            threads,
            beside,
            sweep,
            started: false,
            best: [None, None],
            plot: Plot::default(),
        }
    }

    /// Prints one measurement; `one` is the same on one thread.
    pub(super) fn row(
        &mut self,
        setting: &Setting,
        lookup: Lookup,
        (rows, columns): (usize, usize),
        figures: &Figures,
        one: Option<&Figures>,
    ) -> Result<()> {
        let text = if self.args.json {
            self.json(setting, lookup, (rows, columns), figures)
        } else {
            self.line(setting, lookup, rows, figures, one)
        };
        let heading = if self.started || self.args.json {
            String::new()
        } else {
            self.heading(setting, lookup)
        };
        self.started = true;
        let name = if self.sweep { name(setting, lookup) + " " } else { String::new() };
        self.plot.add(format!("{name}push"), rows, figures.push.best);
        self.plot.add(format!("{name}pop"), rows, figures.pop.best);
        if let Some(copy) = figures.copy {
            self.plot.add("copy".into(), rows, copy);
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{heading}{text}").and_then(|()| out.flush()).map_err(unwritable)
    }

    /// Says that a family of a sweep is left out.
    pub(super) fn refused(&self, family: Family, error: &anyhow::Error) {
        let _ = writeln!(io::stderr(), "parans: {family} left out: {}", failure::line(error));
    }

    /// Prints what was fastest, and draws the picture if there is to be one.
    pub(super) fn finish(self, plot: Option<Output>) -> Result<()> {
        ensure!(self.started, Usage("there is nothing to measure".into()));
        if let Some(output) = plot {
            let args = self.args;
            let title = format!(
                "symbols per call: {}, tables: {} of {}, device: {}, threads: {}",
                args.symbols, args.tables, args.alphabet, args.device, self.threads
            );
            self.plot.write(&title, output)?;
        }
        let [Some((push, push_with)), Some((pop, pop_with))] = self.best else { return Ok(()) };
        writeln!(
            io::stdout().lock(),
            "best: push {push:.1} Msym/s ({push_with}), pop {pop:.1} Msym/s ({pop_with})"
        )
        .map_err(unwritable)
    }

    fn json(
        &self,
        setting: &Setting,
        lookup: Lookup,
        (rows, columns): (usize, usize),
        figures: &Figures,
    ) -> String {
        let args = self.args;
        serde_json::json!({
            "family": setting.family.name(), "lanes": setting.lanes, "lookup": lookup.name(),
            "device": args.device.to_string(), "rows": rows, "symbols": rows * columns,
            "alphabet": args.alphabet, "tables": args.tables, "precision": setting.bits,
            "bypass": args.bypass, "threads": self.threads,
            "push_msym_s": rounded(figures.push.best, 1),
            "pop_msym_s": rounded(figures.pop.best, 1),
            "bytes_per_symbol": rounded(figures.bytes_per_symbol, 5),
        })
        .to_string()
    }

    /// What was measured, what each column is, and the columns' names.
    fn heading(&self, setting: &Setting, lookup: Lookup) -> String {
        let args = self.args;
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let (with, precision) = if self.sweep {
            (String::new(), String::new())
        } else {
            (format!("{}, ", name(setting, lookup)), format!(" at {} bits", setting.bits))
        };
        let mut text = format!(
            "{with}{} per call, {} of {}{precision}, on {}, {}\n",
            plural(args.symbols, "symbol"),
            plural(args.tables, "table"),
            plural(args.alphabet, "symbol"),
            args.device,
            plural(self.threads, "thread"),
        );
        let columns = self.columns();
        let width = columns.iter().map(|(names, _)| names.join(", ").len()).max().unwrap_or(0);
        for (names, meaning) in &columns {
            text += &format!("  {:<width$}  {meaning}\n", names.join(", "));
        }
        if self.sweep {
            text += &format!("{:<9} {:>5} {:<6} ", "family", "lanes", "lookup");
        }
        text += &format!("{:>6}", "rows");
        for name in columns.iter().flat_map(|(names, _)| names) {
            text += &format!(" {name:>9}");
        }
        text + "\n"
    }

    /// The names of the columns behind the rows, and what they mean. [`Self::line`] fills them.
    fn columns(&self) -> Vec<([&'static str; 2], String)> {
        let calls = format!("the same, in the median of {} calls", self.args.repeat);
        let mut columns = vec![
            (["push", "pop"], "million symbols per second, in the fastest call".to_owned()),
            (["push-med", "pop-med"], calls),
        ];
        if self.beside {
            columns.push((["push-1thr", "pop-1thr"], "the fastest call on one thread".into()));
        }
        if self.small() {
            columns.push((["push-us", "pop-us"], "microseconds, of the fastest call".into()));
        }
        let copy = "share of the speed of copying symbols and indexes, on as many threads";
        columns.push((["push/copy", "pop/copy"], copy.into()));
        columns.push((["bytes/sym", "copy"], "coded bytes per symbol; the copy's speed".into()));
        columns
    }

    fn small(&self) -> bool {
        self.args.symbols <= SMALL
    }

    fn line(
        &mut self,
        setting: &Setting,
        lookup: Lookup,
        rows: usize,
        figures: &Figures,
        one: Option<&Figures>,
    ) -> String {
        let Figures { push, pop, bytes_per_symbol, copy } = figures;
        for (best, speed) in self.best.iter_mut().zip([push.best, pop.best]) {
            if best.as_ref().is_none_or(|(before, _)| speed > *before) {
                *best = Some((speed, format!("{}, {rows} rows", name(setting, lookup))));
            }
        }
        let speeds = |of: fn(&Speed) -> f64| [push, pop].map(|speed| format!("{:.1}", of(speed)));
        let mut cells = Vec::new();
        cells.extend(speeds(|speed| speed.best));
        cells.extend(speeds(|speed| speed.median));
        if let Some(one) = one {
            cells.extend([&one.push, &one.pop].map(|speed| format!("{:.1}", speed.best)));
        }
        if self.small() {
            cells.extend(speeds(|speed| speed.microseconds));
        }
        let shares =
            [push, pop].map(|speed| copy.map_or("-".into(), |copy| share(speed.best, copy)));
        cells.extend(shares);
        cells.push(format!("{bytes_per_symbol:.5}"));
        cells.push(copy.map_or("-".into(), |copy| format!("{copy:.1}")));
        let mut text = String::new();
        if self.sweep {
            let Setting { family, lanes, .. } = setting;
            text += &format!("{family:<9} {lanes:>5} {:<6} ", lookup.name());
        }
        text += &format!("{rows:>6}");
        cells.iter().fold(text, |text, cell| text + &format!(" {cell:>9}"))
    }
}

fn name(setting: &Setting, lookup: Lookup) -> String {
    format!("{} x{} {}", setting.family, setting.lanes, lookup.name())
}

/// A speed as a share of a copy's, in percent.
pub(super) fn share(speed: f64, copy: f64) -> String {
    if copy > 0.0 { format!("{:.1}%", 100.0 * speed / copy) } else { "-".into() }
}

pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (value * unit).round() / unit
}

pub(super) fn unwritable(error: io::Error) -> anyhow::Error {
    named(error, "cannot write standard output").into()
}
