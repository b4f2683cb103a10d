//! Reading a conformance case and checking a back end against it.

use std::collections::HashMap;
use std::path::Path;

use ndarray::Array2;
use parans::{
    Bypass, Coder, CoderBuilder, Family, LengthBytes, Lookup, Precision, Streams, Tables,
};
use safetensors::SafeTensors;

use super::backends::Backend;

/// What a case holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pushes onto streams.
    Stream,
    /// Quantised probabilities.
    Cdf,
    /// Merged bytes.
    Merged,
}

/// How a check ended.
pub enum Outcome {
    /// As it should.
    Passed,
    /// The library does not have it, and says so.
    Unsupported(String),
}

/// One case: its metadata, and its tensors as bytes with their shapes.
pub struct Case {
    /// What it holds.
    pub kind: Kind,
    metadata: HashMap<String, String>,
    tensors: HashMap<String, (Vec<usize>, Vec<u8>)>,
}

type Any<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Case {
    /// Reads a file.
    pub fn read(path: &Path) -> Any<Self> {
        let bytes = std::fs::read(path)?;
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let tensors = SafeTensors::deserialize(&bytes)?
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, (tensor.shape().to_vec(), tensor.data().to_vec())))
            .collect();
        let kind = match metadata.get("kind").map(String::as_str) {
            Some("stream") => Kind::Stream,
            Some("cdf") => Kind::Cdf,
            Some("merged") => Kind::Merged,
            // The quantiser's cases carry no kind of their own in some files.
            None if metadata.contains_key("precision") => Kind::Cdf,
            other => return Err(format!("kind {other:?}").into()),
        };
        Ok(Self { kind, metadata, tensors })
    }

    fn text(&self, key: &str) -> Any<&str> {
        Ok(self.metadata.get(key).ok_or_else(|| format!("no metadata {key:?}"))?)
    }

    fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(&self, key: &str) -> Any<T> {
        Ok(self.text(key)?.parse()?)
    }

    fn tensor(&self, name: &str) -> Any<&(Vec<usize>, Vec<u8>)> {
        Ok(self.tensors.get(name).ok_or_else(|| format!("no tensor {name:?}"))?)
    }

    fn i32s(&self, name: &str) -> Any<Vec<i32>> {
        let (_, bytes) = self.tensor(name)?;
        let (values, _) = bytes.as_chunks::<4>();
        Ok(values.iter().map(|&value| i32::from_le_bytes(value)).collect())
    }

    fn i32_array(&self, name: &str) -> Any<Array2<i32>> {
        let (shape, _) = self.tensor(name)?;
        Ok(Array2::from_shape_vec((shape[0], shape[1]), self.i32s(name)?)?)
    }

    /// Checks one back end against this case.
    pub fn check(&self, backend: &Backend) -> Any<Outcome> {
        let checked = backend.run(|| match self.kind {
            Kind::Stream => self.check_stream(backend),
            Kind::Cdf => self.check_cdf(),
            Kind::Merged => self.check_merged(backend),
        });
        match checked {
            Ok(()) => Ok(Outcome::Passed),
            Err(error) => match error.downcast_ref::<parans::Error>() {
                Some(parans::Error::Unsupported(what)) => Ok(Outcome::Unsupported(what.clone())),
                _ => Err(error),
            },
        }
    }

    fn builder(&self, family: &str, lanes: &str, backend: &Backend) -> Any<CoderBuilder> {
        let mut builder = Coder::builder(self.text(family)?.parse::<Family>()?)
            .lanes(self.number(lanes)?)
            // As torch_ans has it.
            .skip_indexes_past_end(true);
        if self.text("bypass")? == "true" {
            builder = builder.bypass(Bypass::digits(self.number("bypass_precision")?));
        }
        Ok(backend.apply(builder))
    }

    fn check_stream(&self, backend: &Backend) -> Any<()> {
        let precision = Precision::new(self.number("freq_precision")?)?;
        let sizes: Vec<usize> = self.i32s("cdf_sizes")?.into_iter().map(|n| n as usize).collect();
        let offsets = self.i32s("offsets")?;
        let tables = Tables::builder(precision)
            .sizes(&sizes)
            .offsets(&offsets)
            .cdf(self.i32_array("cdfs")?.view())?;
        let builder = self.builder("family", "interleave", backend)?;
        // Streams do not depend on how symbols are found, alias tables apart.
        let lookups = match self.text("lookup")? {
            "alias" => vec![Lookup::Alias],
            "search" | "invcdf" => vec![Lookup::Search, Lookup::InverseCdf, Lookup::Auto],
            other => return Err(format!("lookup {other:?}").into()),
        };
        for lookup in lookups {
            let coder = builder.clone().lookup(lookup).build(tables.clone())?;
            self.check_pushes(&coder)?;
        }
        Ok(())
    }

    fn check_pushes(&self, coder: &Coder) -> Any<()> {
        let pushes: usize = self.number("pushes")?;
        let (shape, bytes) = self.tensor("stream.lengths")?;
        let (lengths, _) = bytes.as_chunks::<8>();
        let mut rest = self.tensor("stream.bytes")?.1.as_slice();
        let mut expected = Vec::with_capacity(shape[0]);
        for &length in lengths {
            let (string, after) = rest.split_at(i64::from_le_bytes(length) as usize);
            expected.push(string.to_vec());
            rest = after;
        }
        let load = |push: usize| -> Any<_> {
            Ok((
                self.i32_array(&format!("symbols.{push}"))?,
                self.i32_array(&format!("indexes.{push}"))?,
            ))
        };
        let mut streams = coder.streams(expected.len()).unwrap();
        for push in 0..pushes {
            let (symbols, indexes) = load(push)?;
            coder.push(&mut streams, &symbols, &indexes)?;
        }
        for (row, (got, want)) in streams.to_byte_strings().iter().zip(&expected).enumerate() {
            if got != want {
                return Err(format!("row {row} differs with {:?}", coder.lookup()).into());
            }
        }
        // Back from the bytes, not from what push left in memory.
        let mut streams = Streams::from_byte_strings(coder.family(), coder.lanes(), &expected)?;
        let mut streams_of_tensor =
            Streams::from_tensor(coder.family(), coder.lanes(), streams.to_tensor()?.view())?;
        for push in (0..pushes).rev() {
            let (symbols, indexes) = load(push)?;
            for streams in [&mut streams, &mut streams_of_tensor] {
                let popped = coder.pop::<i32>(streams, &indexes)?;
                if popped != symbols {
                    return Err(format!("pop {push} differs with {:?}", coder.lookup()).into());
                }
            }
        }
        streams.expect_initial()?;
        Ok(())
    }

    fn check_cdf(&self) -> Any<()> {
        let (shape, bytes) = self.tensor("pmf")?;
        let (values, _) = bytes.as_chunks::<4>();
        let pmf = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        let pmf = Array2::<f32>::from_shape_vec((shape[0], shape[1]), pmf)?;
        let tables = Tables::from_pmf(pmf.view(), Precision::new(self.number("precision")?)?)?;
        for (row, want) in self.i32_array("cdf")?.rows().into_iter().enumerate() {
            let got = tables.cdf(row);
            if !want.iter().map(|&value| value as u32).eq(got) {
                return Err(format!("the CDF of row {row} differs").into());
            }
        }
        Ok(())
    }

    fn check_merged(&self, backend: &Backend) -> Any<()> {
        let precision = Precision::new(self.number("freq_precision")?)?;
        let freqs = self.i32_array("freqs")?.mapv(|count| count as f32);
        let sizes: Vec<usize> = self.i32s("num_freqs")?.into_iter().map(|n| n as usize).collect();
        let offsets = self.i32s("offsets")?;
        let bypass = self.text("bypass")? == "true";
        let tables = Tables::builder(precision)
            .sizes(&sizes)
            .offsets(&offsets)
            .sentinel(bypass)
            .pmf(freqs.view())?;
        let mut builder =
            self.builder("impl", "interleave", backend)?.length_bytes(LengthBytes::Four);
        let parallel = self.text("num_parallel_states")?;
        let encoded = &self.tensor("encoded")?.1;
        // With a number given, both sides know it and the last length is left out. Without one
        // every length is written, and the peer (whatever the README of the cases says) may have
        // flattened all symbols into a single row: the lengths tell.
        builder = if parallel.is_empty() {
            builder.parallel_rows(rows_announced(encoded))
        } else {
            builder.parallel_rows(parallel.parse()?).known_rows(true)
        };
        let coder = builder.build(tables)?;
        let (symbols, indexes) = (self.i32_array("symbols")?, self.i32_array("indexes")?);
        if &coder.encode(&symbols, &indexes)? != encoded {
            return Err("merged bytes differ".into());
        }
        if coder.decode::<i32>(encoded, &indexes)? != symbols {
            return Err("decoded symbols differ".into());
        }
        Ok(())
    }
}

/// How many rows merged bytes with four-byte lengths hold.
fn rows_announced(merged: &[u8]) -> usize {
    let mut rows = 0;
    let mut rest = merged;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        rest = after.get(u32::from_le_bytes(*length) as usize..).unwrap_or_default();
        rows += 1;
    }
    rows
}
