//! What can be done to the invocations of a function. Every fault that lasts can be ended.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::LambdaError;
use super::service::Lambda;

impl Lambda {
    /// The next asynchronous event of `name` is delivered twice, as AWS says it may be.
    pub async fn duplicate_next(&self, name: &str) -> Result<(), LambdaError> {
        self.function(name, None)?.duplicates.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// While set, every asynchronous event of `name` is delivered twice.
    pub async fn duplicate_all(&self, name: &str, duplicate: bool) -> Result<(), LambdaError> {
        self.function(name, None)?.duplicates_all.store(duplicate, Ordering::SeqCst);
        Ok(())
    }

    /// Every attempt to run `name` that is made from now on, retries too, reaches a process this
    /// much later; zero ends it. Those that wait already go on waiting.
    pub async fn delay_invocations(&self, name: &str, delay: Duration) -> Result<(), LambdaError> {
        self.function(name, None)?.set_delay(delay);
        Ok(())
    }

    /// Kills (`SIGKILL`) every environment of `name`, idle or at work; says how many. What an
    /// environment was working on is a function error, and an asynchronous event is tried again
    /// after 1 and after 2 more minutes ([`super::Settings::retry_delays`]), unless the function
    /// has fewer retries.
    pub async fn kill_environments(&self, name: &str) -> Result<usize, LambdaError> {
        Ok(self.function(name, None)?.kill_environments())
    }
}
