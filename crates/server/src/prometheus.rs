//! Metrics in Prometheus' text, for programs without a recorder of their own.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{Mutex, PoisonError};

/// The process has a recorder of metrics that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process has a recorder of metrics already; give `Admin::metrics` what renders that, in place of \
     `Admin::prometheus`"
)]
pub struct OtherRecorder;

/// Ours, once it is installed: any number of listeners may show what it has.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Installs a recorder for what goes through the `metrics` facade, that of the process, and answers what renders it in
/// Prometheus' text; once more, what renders the same. What was recorded before is not there, so call it early.
///
/// ```
/// let render = exeunt_server::prometheus()?;
/// metrics::counter!("shop_orders_total").increment(7);
/// assert!(render().contains("shop_orders_total 7"));
/// # Ok::<(), exeunt_server::OtherRecorder>(())
/// ```
///
/// # Errors
///
/// The process has another recorder.
pub fn prometheus() -> Result<impl Fn() -> String + Send + Sync + 'static, OtherRecorder> {
    // Held all through it, so that two who come at once do not take each other for somebody else.
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = match &*installed {
        Some(handle) => handle.clone(),
        None => {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).map_err(|_| OtherRecorder)?;
            installed.insert(handle).clone()
        }
    };
    Ok(move || {
        // Folds histograms, which would grow between two scrapes for ever otherwise.
        handle.run_upkeep();
        handle.render()
    })
}
