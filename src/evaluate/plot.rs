//! The calibration plot: how many windows of normal traffic are as surprising as a finding says, against how many should be.

use plotters::prelude::*;

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The p-values of what is about no attack, sorted.
    pub p_values: Vec<f64>,
    /// How many windows were judged.
    pub windows: u64,
}

impl Calibration {
    /// Points (expected, observed): at each p-value the number of windows that should be at most as probable, and the number that were.
    pub fn points(&self) -> Vec<(f64, f64)> {
        self.p_values.iter().enumerate().map(|(i, p)| (p * self.windows as f64, (i + 1) as f64)).collect()
    }

    /// The picture, as SVG: both axes logarithmic, the diagonal for perfect calibration. What stays below the line of the budget is no
    /// finding, so that the curve bends away to the right of it.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn svg(&self) -> Result<String, String> {
        let mut out = String::new();
        self.draw(&mut out).map_err(|error| error.to_string())?;
        Ok(out)
    }

    fn draw(&self, out: &mut String) -> Result<(), Box<dyn std::error::Error + '_>> {
        let points: Vec<_> = self.points().into_iter().map(|(expected, observed)| (expected.max(0.01), observed)).collect();
        let most = points.iter().map(|(x, y)| x.max(*y)).fold(10.0, f64::max) * 1.5;
        let area = SVGBackend::with_string(out, (640, 640)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Calibration on what is about no attack", ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d((0.01..most).log_scale(), (0.5..most).log_scale())?;
        chart.configure_mesh().x_desc("expected windows of normal traffic: p × windows").y_desc("observed findings with at most this p").draw()?;
        chart.draw_series(LineSeries::new([(0.5, 0.5), (most, most)], &BLACK))?;
        chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, BLUE.filled())))?;
        area.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    #[test]
    fn uniform_values_lie_on_the_diagonal_and_are_drawn() {
        let uniform = Calibration { p_values: (1..=20).map(|i| f64::from(i) / 1000.0).collect(), windows: 1000 };
        for (expected, observed) in uniform.points() {
            assert!((expected - observed).abs() < 1e-9);
        }
        let svg = uniform.svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && svg.matches("<circle").count() == 20, "{svg}");
        assert!(Calibration { p_values: Vec::new(), windows: 0 }.svg().unwrap().contains("</svg>"));
    }
}
