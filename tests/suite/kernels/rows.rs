//! Moving the words of rows together and apart.

use bytemuck::{bytes_of, cast_slice};
use parans_kernels::abi::{MOVE_ROWS, MOVED_BYTES, MoveParams, MoveShape};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::kernels::machine::Machine;

pub fn check(machine: &dyn Machine) {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(3);
    for word_bytes in [1, 2, 4] {
        // Empty rows, whole ones, a row of several parts, a part that is full to the byte.
        let full = MOVED_BYTES / word_bytes;
        let stride = 2 * full + 40;
        let lens = [0, 1, 33, full, 0, full + 1, stride, 31];
        let rows = lens.len() as u32;
        let bytes_of_row = |len: u32| (len * word_bytes) as usize;
        let mut offsets = vec![0u64];
        for len in lens {
            offsets.push(offsets[offsets.len() - 1] + bytes_of_row(len) as u64);
        }
        let total = offsets[lens.len()] as usize;
        let apart: Vec<u8> = (0..rows * stride * word_bytes).map(|_| rng.random()).collect();
        let row_apart = |row: usize| row * bytes_of_row(stride);
        let mut wanted = Vec::new();
        for (row, len) in lens.into_iter().enumerate() {
            wanted.extend_from_slice(&apart[row_apart(row)..][..bytes_of_row(len)]);
        }
        let parts = stride.div_ceil(full);
        let mut shape = MoveShape { rows, stride, word_bytes, parts, together: 1, zero: 0 };
        let mut params = MoveParams {
            apart: machine.upload(&apart),
            together: machine.alloc(total),
            offsets: machine.upload(cast_slice(&offsets[..lens.len()])),
            lengths: machine.upload(cast_slice(&lens)),
            shape,
        };
        let threads = u64::from(rows * parts * 32);
        machine.launch(MOVE_ROWS, threads, 0, bytes_of(&params));
        assert!(machine.download(params.together, total) == wanted, "{word_bytes} bytes");

        // Apart again, into memory where nothing else may be written.
        shape.together = 0;
        let before = vec![0xa5; apart.len()];
        (params.apart, params.shape) = (machine.upload(&before), shape);
        machine.launch(MOVE_ROWS, threads, 0, bytes_of(&params));
        let mut wanted = before;
        for (row, len) in lens.into_iter().enumerate() {
            let row = row_apart(row)..row_apart(row) + bytes_of_row(len);
            wanted[row.clone()].copy_from_slice(&apart[row]);
        }
        assert!(machine.download(params.apart, apart.len()) == wanted, "{word_bytes} bytes");
        machine.reset();
    }
}
