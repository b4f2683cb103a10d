//! Loops unrolled by hand.

/// Runs a block once per number, with the number as a constant: a loop over arrays of vectors may
/// stay one, which keeps them in memory instead of registers, at half the speed. `below LIMIT`
/// after the numbers leaves out those that are not.
macro_rules! unroll {
    ($n:ident in $($value:literal)* => $body:block) => {{$(
        {
            #[allow(non_upper_case_globals, reason = "it stands for a loop's variable")]
            const $n: usize = $value;
            $body
        }
    )*}};
    ($n:ident in $($value:literal)* below $limit:ident => $body:block) => {{$(
        if $value < $limit {
            #[allow(non_upper_case_globals, reason = "it stands for a loop's variable")]
            const $n: usize = $value;
            $body
        }
    )*}};
}
pub(crate) use unroll;
