//! What the gateway says of itself in the Prometheus text format.

/// One scrape.
#[derive(Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of all samples of a name that have these labels; `None` where there are none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (known, given) = series.split_once('{').unwrap_or((series, ""));
            let has = |(key, value): &(&str, &str)| given.contains(&format!("{key}=\"{value}\""));
            (known == name && labels.iter().all(has)).then(|| value.parse::<f64>().unwrap())
        });
        samples.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }
}
