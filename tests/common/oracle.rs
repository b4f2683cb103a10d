//! A naive coder, written for clarity alone.
