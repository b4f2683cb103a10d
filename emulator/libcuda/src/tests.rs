//! Calls of the exported functions, as a C program makes them.
