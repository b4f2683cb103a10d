//! `--plot`: speeds over numbers of rows, as a picture.

use std::{io::Write, path::Path};

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::output::{Output, Wish};

/// Pixels.
const SIZE: (u32, u32) = (900, 520);

/// The lines of the picture: a name, and a speed for each number of rows.
#[derive(Default)]
pub(super) struct Plot {
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// Adds a speed, in million symbols per second, to the line of this name.
    pub(super) fn add(&mut self, name: String, rows: usize, speed: f64) {
        let point = (rows as f64, speed);
        match self.lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push(point),
            None => self.lines.push((name, vec![point])),
        }
    }

    /// Writes the picture to a file that was opened before.
    pub(super) fn write(mut self, title: &str, mut output: Output) -> Result<()> {
        for (_, points) in &mut self.lines {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let rows = points().fold((f64::MAX, 1.0), |(least, most): (f64, f64), &(rows, _)| {
            (least.min(rows), most.max(rows))
        });
        let speeds = points().fold((f64::MAX, 0.0), |(least, most): (f64, f64), &(_, speed)| {
            (least.min(speed), most.max(speed))
        });
        // A call that takes no time that is measured has no place on a scale of factors.
        let slowest = speeds.0.max(1e-3);
        let speeds = (slowest / 1.2, 1.2 * speeds.1.max(2.0 * slowest));
        let mut svg = String::new();
        self.draw(title, (rows.0, rows.1.max(2.0 * rows.0)), speeds, &mut svg)
            .map_err(|error| anyhow!("cannot draw: {error}"))?;
        output.write_all(svg.as_bytes())?;
        output.commit()
    }

    fn draw(
        &self,
        title: &str,
        rows: (f64, f64),
        speeds: (f64, f64),
        svg: &mut String,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(
                (rows.0..rows.1).log_scale().base(2.0),
                (speeds.0..speeds.1).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc("rows")
            .y_desc("million symbols per second")
            .x_label_formatter(&|rows| format!("{rows:.0}"))
            .y_label_formatter(&|speed| format!("{speed}"))
            .light_line_style(WHITE)
            .draw()?;
        for (number, (name, points)) in self.lines.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }
}

/// Opens the file of a picture before anything is measured for it.
pub(super) fn open(path: &Path) -> Result<Output> {
    Output::file(path, Wish::plain(false))
}
