//! The figures as one table: what was measured, its reference of the same run, and the aim.

/// Whether an aim was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Missed,
    /// A figure without an aim of its own.
    Info,
}

struct Row {
    what: String,
    measured: String,
    reference: String,
    aim: &'static str,
    verdict: Verdict,
}

/// All rows of a run, in their order.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a figure that has an aim.
    pub fn aimed(&mut self, what: impl Into<String>, measured: String, reference: String, aim: &'static str, met: bool) {
        self.add(what.into(), measured, reference, aim, if met { Verdict::Met } else { Verdict::Missed });
    }

    /// Adds a figure without an aim.
    pub fn info(&mut self, what: impl Into<String>, measured: String, reference: String) {
        self.add(what.into(), measured, reference, "", Verdict::Info);
    }

    fn add(&mut self, what: String, measured: String, reference: String, aim: &'static str, verdict: Verdict) {
        // At once as well: a run takes minutes.
        println!("{what}: {measured}; {reference}");
        self.0.push(Row { what, measured, reference, aim, verdict });
    }

    /// Prints everything, aligned.
    pub fn print(&self) {
        let width =
            |of: fn(&Row) -> &str, least: usize| self.0.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).max(least);
        let (what, measured) = (width(|row| &row.what, 4), width(|row| &row.measured, 8));
        let (reference, aim) = (width(|row| &row.reference, 25), width(|row| row.aim, 3));
        println!("\n{:what$}  {:measured$}  {:reference$}  {:aim$}", "what", "measured", "reference of the same run", "aim");
        println!("{}", "-".repeat(what + measured + reference + aim + 14));
        for row in &self.0 {
            let verdict = match row.verdict {
                Verdict::Met => "met",
                Verdict::Missed => "MISSED",
                Verdict::Info => "",
            };
            let Row { what: name, measured: value, reference: beside, aim: wanted, .. } = row;
            println!("{name:what$}  {value:measured$}  {beside:reference$}  {wanted:aim$}  {verdict}");
        }
        let missed = self.0.iter().filter(|row| row.verdict == Verdict::Missed).count();
        let aimed = self.0.iter().filter(|row| row.verdict != Verdict::Info).count();
        println!("\n{} of {aimed} aims met; docs/BENCHMARKS.md says what the figures mean", aimed - missed);
    }
}
