//! Upper tails of the two over-dispersed count distributions, summed in log space so that a tail of 10⁻²⁰⁰ is still a number.
//!
//! Definitions as in Johnson, Kemp and Kotz, *Univariate Discrete Distributions*, 3rd ed., 5.1 (negative binomial) and 6.2.2
//! (beta–binomial). Mid-p (half of the observed point's own mass) as in Lancaster, *Significance tests in discrete
//! distributions*, JASA 56 (1961).

use statrs::function::gamma::ln_gamma;

/// Terms summed before the rest is bounded by a geometric series.
const TERMS_MAX: u32 = 4_096;

/// ln P(X = k) of the negative binomial with `mean` and `size` r: variance mean + mean²/r. The gamma mixture of Poissons.
fn ln_negative_binomial(k: f64, mean: f64, size: f64) -> f64 {
    ln_gamma(k + size) - ln_gamma(size) - ln_gamma(k + 1.0) + size * (-(mean / (size + mean))).ln_1p() + k * (mean / (size + mean)).ln()
}

/// ln P(X = k) of the beta–binomial with `n` trials.
fn ln_beta_binomial(k: f64, n: f64, alpha: f64, beta: f64) -> f64 {
    let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) + ln_beta(k + alpha, n - k + beta) - ln_beta(alpha, beta)
}

/// −log10 of the mid-p upper tail P(X > k) + ½ P(X = k) of the negative binomial. 0 at and below the mean: no evidence of too many.
///
/// `mean` and `size` are positive; `size` is the reciprocal of the over-dispersion.
#[must_use]
pub fn negative_binomial(k: f64, mean: f64, size: f64) -> f64 {
    if k <= mean {
        return 0.0;
    }
    let q = mean / (size + mean);
    upper_mid_p(ln_negative_binomial(k, mean, size), f64::INFINITY, |j| (k + j + size) / (k + j + 1.0) * q)
}

/// −log10 of the mid-p upper tail of the beta–binomial: `k` failures among `n` trials, where failures have a Beta(alpha, beta) share.
/// 0 at and below the mean.
#[must_use]
pub fn beta_binomial(k: f64, n: f64, alpha: f64, beta: f64) -> f64 {
    if k <= n * alpha / (alpha + beta) {
        return 0.0;
    }
    upper_mid_p(ln_beta_binomial(k, n, alpha, beta), n - k, |j| (n - k - j) * (k + j + alpha) / ((k + j + 1.0) * (n - k - j - 1.0 + beta)))
}

/// −log10(p₀ · (½ + r₀ + r₀r₁ + …)) where `ratio(j)` = p(k+j+1)/p(k+j), over at most `steps` further points.
fn upper_mid_p(ln_first: f64, steps: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term) = (0.5, 1.0);
    for j in 0..TERMS_MAX {
        let j = f64::from(j);
        if j >= steps {
            break;
        }
        let r = ratio(j);
        term *= r;
        sum += term;
        if term < 1e-12 * sum {
            break;
        }
        if j + 1.0 >= f64::from(TERMS_MAX) && r < 1.0 {
            sum += term * r / (1.0 - r);
        }
    }
    (-(ln_first + f64::ln(sum)) / std::f64::consts::LN_10).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} is not {b}");
    }

    /// With size 1 the negative binomial is the geometric: P(X ≥ k) = q^k exactly.
    #[test]
    fn the_geometric_is_exact() {
        for (mean, k) in [(1.0_f64, 3.0_f64), (4.0, 40.0), (0.5, 100.0), (9.0, 2_000.0)] {
            let q: f64 = mean / (1.0 + mean);
            let exact = k * q.ln() + (q + 0.5 * (1.0 - q)).ln();
            close(negative_binomial(k, mean, 1.0), -exact / std::f64::consts::LN_10);
        }
    }

    /// As the size grows the negative binomial becomes the Poisson: P(X ≥ 10 | 3) = 0.00110249, P(X = 10) = 0.00081015.
    #[test]
    fn a_great_size_is_the_poisson() {
        let exact: f64 = 0.001_102_488 - 0.5 * 0.000_810_151;
        assert!((negative_binomial(10.0, 3.0, 1e9) + exact.log10()).abs() < 1e-4);
    }

    /// Against the plain sum of the mass function, in ordinary numbers.
    #[test]
    fn tails_agree_with_plain_sums() {
        for (k, mean, size) in [(30_u32, 10.0, 2.5), (12, 3.0, 0.7), (200, 100.0, 8.0)] {
            let below: f64 = (0..k).map(|j| ln_negative_binomial(f64::from(j), mean, size).exp()).sum();
            let at = ln_negative_binomial(f64::from(k), mean, size).exp();
            assert!((negative_binomial(f64::from(k), mean, size) + (1.0 - below - 0.5 * at).log10()).abs() < 1e-6);
        }
        for (k, n, a, b) in [(7_u32, 20_u32, 1.0, 9.0), (3, 5, 0.5, 30.0), (90, 400, 4.0, 60.0)] {
            let above: f64 = (k + 1..=n).map(|j| ln_beta_binomial(f64::from(j), f64::from(n), a, b).exp()).sum();
            let at = ln_beta_binomial(f64::from(k), f64::from(n), a, b).exp();
            close(beta_binomial(f64::from(k), f64::from(n), a, b), -(above + 0.5 * at).log10());
        }
    }

    /// Beta(1, 1): every number of failures is equally likely, 1/(n+1).
    #[test]
    fn a_uniform_share_is_exact() {
        close(beta_binomial(19.0, 20.0, 1.0, 1.0), -(1.5_f64 / 21.0).log10());
        close(beta_binomial(20.0, 20.0, 1.0, 1.0), -(0.5_f64 / 21.0).log10());
    }

    #[test]
    fn great_numbers_end_soon_and_stay_finite() {
        let evidence = negative_binomial(3e6, 1e6, 10.0);
        assert!(evidence > 3.0 && evidence < 8.0, "{evidence}");
        assert!(negative_binomial(1e9, 10.0, 5.0).is_finite());
        assert!(beta_binomial(5e5, 1e6, 3.0, 3_000.0).is_finite());
    }
}
