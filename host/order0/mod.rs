//! Order-0 coding of bytes: one adaptive table per chunk, four rows of 32 lanes.
