//! Any bytes as coded rows with their tables; those that are read are written back alike, and pop
//! without harm.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::Array2;
use parans::{Coder, Lookup, frame::CodedRows};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut rows) = CodedRows::from_bytes(bytes) else { return };
    assert!(rows.to_bytes().expect("it was read") == bytes);
    let streams = &rows.streams;
    let builder = Coder::builder(streams.family())
        .lanes(streams.lanes())
        .lookup(Lookup::Search)
        .bypass(rows.bypass);
    let Ok(coder) = builder.build(rows.tables.clone()) else { return };
    let indexes = Array2::<i32>::zeros((rows.streams.rows(), 9));
    let _: parans::Result<Array2<i32>> = coder.pop(&mut rows.streams, &indexes);
});
