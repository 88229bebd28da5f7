//! A bridge to tokio-util's `CancellationToken`, for code that already has one.

use crate::machine::Phase;
use crate::stop::Stop;
use tokio_util::sync::CancellationToken;

impl Stop {
    /// A token that is cancelled when `phase` is reached: [`Phase::LameDuck`] is the stop request, [`Phase::Draining`] the
    /// moment to accept nothing new and to finish. Also in a forked child, where the phase would never come.
    ///
    /// Each call makes a token and a task that waits for the phase; code that needs many takes one, and its clones and
    /// children. To cancel the token yourself changes nothing here.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let token = lifecycle.stop().token(Phase::Draining);
    /// let old = tokio::spawn(async move { token.cancelled().await }); // written before there was a lifecycle
    /// lifecycle.stop().request_stop("the example is over");
    /// old.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use = "nobody else has the token"]
    pub fn token(&self, phase: Phase) -> CancellationToken {
        let token = CancellationToken::new();
        let (stop, cancelled) = (self.clone(), token.clone().drop_guard());
        // The guard cancels also where the runtime ends before the phase comes.
        tokio::spawn(async move {
            stop.reached(phase).await;
            drop(cancelled);
        });
        token
    }

    /// The cancellation of `token` is a stop request, with `why` for its cause.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use tokio_util::sync::CancellationToken;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let token = CancellationToken::new(); // what older code cancels
    /// lifecycle.stop().request_when_cancelled(token.clone(), "the importer gave up");
    /// token.cancel();
    /// lifecycle.stop().requested().await;
    /// assert_eq!(lifecycle.stop().cause().unwrap().to_string(), "the importer gave up");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn request_when_cancelled(&self, token: CancellationToken, why: impl Into<String>) {
        let (stop, why) = (self.clone(), why.into());
        tokio::spawn(async move {
            tokio::select! {
                // A token of ours, or of both sides, is cancelled by the stop: that is no further request.
                biased;
                () = stop.requested() => {}
                () = token.cancelled() => drop(stop.request_stop(why)),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Lifecycle};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_cancelled_at_its_phase_and_not_before() {
        let config = Config::default().lame_duck(Duration::from_secs(3));
        let lifecycle = Lifecycle::on_runtime(config).unwrap();
        let stop = lifecycle.stop();
        lifecycle.ready();
        let (requested, draining) = (stop.token(Phase::LameDuck), stop.token(Phase::Draining));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!requested.is_cancelled());
        stop.request_stop("the test wants it");
        requested.cancelled().await;
        assert!(!draining.is_cancelled(), "three seconds too early");
        draining.cancelled().await;
        assert!(stop.phase() >= Phase::Draining);
        assert_eq!(lifecycle.finished().await.exit_status(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_token_is_a_stop_request_once() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let stop = lifecycle.stop();
        let token = CancellationToken::new();
        stop.request_when_cancelled(token.child_token(), "the older code");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!stop.is_requested());
        token.cancel();
        stop.requested().await;
        assert_eq!(stop.cause().unwrap().to_string(), "the older code");
        assert_eq!(lifecycle.finished().await.exit_status(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_of_ours_that_comes_back_asks_for_nothing() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let stop = lifecycle.stop();
        stop.request_when_cancelled(stop.token(Phase::LameDuck), "the echo");
        stop.request_stop("the test wants it");
        stop.reached(Phase::Stopped).await;
        assert_eq!(stop.cause().unwrap().to_string(), "the test wants it");
        _ = lifecycle.finished().await;
    }
}
