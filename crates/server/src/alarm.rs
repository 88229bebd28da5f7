//! The time of a connection, and a clock for what its drain machine waits for.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// The time, by the runtime's clock (which a test may have paused).
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// A clock that is seldom set: it may ring too early, never too late.
///
/// Each request moves the end of the idle time, and moving a timer costs a lock of the runtime; so a ring that comes
/// early is answered with another look at the machine instead.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Whether its time has come since it was set.
    pub(crate) fn rings(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed())
    }

    /// Sees to it that the task is woken at `at` or sooner. Ready: that is now.
    pub(crate) fn set(&mut self, at: Option<std::time::Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at.map(Instant::from) else { return Poll::Pending };
        match &mut self.sleep {
            Some(sleep) if sleep.deadline() <= at && !sleep.is_elapsed() => return Poll::Pending,
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
        // Polled when it is set and not again; so it must not put that off because the task's budget is used up.
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| pin!(unconstrained(sleep.as_mut())).poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_though_it_was_set_with_the_last_of_the_budget() {
        let at = Instant::now() + Duration::from_secs(1);
        let task = tokio::spawn(async move {
            let mut alarm = Alarm::default();
            poll_fn(|cx| {
                if alarm.rings() {
                    return Poll::Ready(());
                }
                while tokio::task::coop::has_budget_remaining() {
                    _ = pin!(tokio::task::coop::consume_budget()).poll(cx);
                }
                alarm.set(Some(at.into_std()), cx)
            })
            .await;
        });
        tokio::time::timeout(Duration::from_secs(10), task).await.expect("nothing wakes it").unwrap();
    }
}
