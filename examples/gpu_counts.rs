//! What the library's launches cost on the software device, one JSON object per line: see
//! `scripts/gpu-counts`.

#[path = "../tests/common/counts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod counts;
#[path = "../tests/common/software.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod software;

fn main() {
    counts::count_all(|count| println!("{}", count.json()));
}
