//! The ratio of paired measurements, with its confidence interval.

use statrs::distribution::{ContinuousCDF as _, StudentsT};
use std::fmt;

/// A ratio and the 95 % confidence interval of its geometric mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ratio {
    /// Of pairs (ours, theirs): the geometric mean of ours / theirs, by Student's t over the logarithms.
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let count = pairs.len() as f64;
        let logs: Vec<f64> = pairs.iter().map(|(ours, theirs)| (ours / theirs).ln()).collect();
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?.inverse_cdf(0.975);
        let half = t * (variance / count).sqrt();
        Some(Self { mean: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} (95 % confidence {:.3} to {:.3})", self.mean, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_turns_have_the_ratio_one_and_no_doubt() {
        let ratio = Ratio::of(&[(2.0, 2.0); 10]).unwrap();
        assert_eq!((ratio.mean, ratio.low, ratio.high), (1.0, 1.0, 1.0));
    }

    #[test]
    fn the_interval_is_students() {
        // Logarithms -0.1 and 0.1, five times each: mean 0, s = 0.10541, t(9, 97.5 %) = 2.26216, half = 0.07541.
        let (up, down) = ((0.1_f64).exp(), (-0.1_f64).exp());
        let pairs: Vec<_> = (0..10).map(|n| (if n % 2 == 0 { up } else { down }, 1.0)).collect();
        let ratio = Ratio::of(&pairs).unwrap();
        assert!((ratio.mean - 1.0).abs() < 1e-9);
        assert!((ratio.high.ln() - 0.07541).abs() < 1e-4, "{ratio}");
    }
}
