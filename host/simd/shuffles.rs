//! Byte-shuffle controls for levels without compress and expand instructions: eight words at a
//! time, by an 8-bit mask.

/// Sixteen bytes of control; a byte of 0x80 gives zero, with `pshufb` as with `tbl`.
#[repr(align(16))]
#[derive(Clone, Copy)]
pub(super) struct Control(pub(super) [u8; 16]);

/// Moves the words of the mask to the front, in order.
pub(super) static PACK: [Control; 256] = {
    let mut table = [Control([0x80; 16]); 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut word, mut to) = (0, 0);
        while word < 8 {
            if mask >> word & 1 == 1 {
                table[mask].0[2 * to] = 2 * word as u8;
                table[mask].0[2 * to + 1] = 2 * word as u8 + 1;
                to += 1;
            }
            word += 1;
        }
        mask += 1;
    }
    table
};

/// Gives the words of the mask, from the lowest up, the words of the source from the last down; the
/// others zero.
pub(super) static SPREAD_BACKWARDS: [Control; 256] = {
    let mut table = [Control([0x80; 16]); 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut word, mut from) = (0, 7);
        while word < 8 {
            if mask >> word & 1 == 1 {
                table[mask].0[2 * word] = 2 * from;
                table[mask].0[2 * word + 1] = 2 * from + 1;
                from = from.wrapping_sub(1);
            }
            word += 1;
        }
        mask += 1;
    }
    table
};
