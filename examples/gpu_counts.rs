//! What the library's launches cost on the software device, one JSON object per line: see
//! `scripts/gpu-counts`. With the argument `budgets`, the most that each may cost instead.

#[path = "../tests/common/counts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod counts;
#[path = "../tests/common/frame_counts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod frame_counts;
#[path = "../tests/common/software.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod software;

fn main() {
    let budgets = std::env::args().nth(1).is_some_and(|argument| argument == "budgets");
    counts::count_all(|count| {
        println!("{}", if budgets { count.budget() } else { count.json() });
    });
    frame_counts::count_frames(|count| {
        println!("{}", if budgets { count.budget() } else { count.json() });
    });
}
