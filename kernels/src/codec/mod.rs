//! The scalar codec: families, table entries, words of a row, and whole-row push and pop.
