#[test]
fn print() {
    crate::common::frame_counts::count_frames(|c| println!("{}", c.json()));
}
