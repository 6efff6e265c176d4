//! What the library has to say beside results and errors, to whoever wants to hear it. Nothing is ever printed.

use std::fmt;
use std::sync::Arc;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogLevel {
    /// Something goes on, but not as well as it could.
    Warning,
    /// Good to know.
    Info,
}

/// Where messages go. Called on the thread whose call has something to say, while that call is at work: it must not
/// call into the library's indexes.
#[derive(Clone)]
pub struct Log(Arc<Take>);

type Take = dyn Fn(LogLevel, &str) + Send + Sync;

impl Log {
    /// Sends messages to `take`.
    pub fn new(take: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(crate) fn say(&self, level: LogLevel, text: &str) {
        (self.0)(level, text);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
