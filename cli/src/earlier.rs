//! `--dedup`: tensors of the files that a command has compressed already.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use parans::frame::{Base, Entry, Repeat};

use crate::base;

/// The tensors of earlier files, by their fingerprints.
#[derive(Default)]
pub(crate) struct Earlier {
    outputs: Vec<PathBuf>,
    /// The output that has a tensor, and where in its content.
    tensors: HashMap<u128, (usize, u64)>,
}

/// A base and the ranges of it that content repeats.
pub(crate) type Shared = (Arc<Base>, Vec<Repeat>);

impl Earlier {
    /// What content with these tensors probably has in common with earlier files, for an output.
    pub(crate) fn shared(
        &self,
        tensors: &[(&Entry, u128)],
        target: Option<&Path>,
    ) -> Result<Vec<Shared>> {
        let mut ranges: HashMap<usize, Vec<Repeat>> = HashMap::new();
        for (entry, number) in tensors {
            if let Some(&(output, source)) = self.tensors.get(number) {
                let content = entry.offset..entry.end();
                ranges.entry(output).or_default().push(Repeat { content, source });
            }
        }
        let mut outputs: Vec<usize> = ranges.keys().copied().collect();
        outputs.sort_unstable();
        let open = |output: usize| {
            let bases = base::for_writing(target, &self.outputs[output..=output])?;
            let ranges = ranges.remove(&output).unwrap_or_default();
            Ok(bases.into_iter().map(|base| (base, ranges.clone())).collect::<Vec<_>>())
        };
        let shared: Result<Vec<Vec<Shared>>> = outputs.into_iter().map(open).collect();
        Ok(shared?.concat())
    }

    /// Takes the tensors of a file whose output is complete.
    pub(crate) fn add(&mut self, tensors: Vec<(Entry, u128)>, target: &Path) {
        let output = self.outputs.len();
        self.outputs.push(target.to_owned());
        for (entry, number) in tensors {
            self.tensors.entry(number).or_insert((output, entry.offset));
        }
    }
}
