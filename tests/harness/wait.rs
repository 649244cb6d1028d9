//! Waiting for a condition, never for a length of time.

use std::time::{Duration, Instant};

/// Asks `condition` until it answers, with growing pauses, and panics with its last complaint after `deadline`.
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let complaint = match condition() {
            Ok(value) => return value,
            Err(complaint) => complaint,
        };
        assert!(start.elapsed() < deadline, "waited {deadline:?} for {what}: {complaint}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Long enough for a loaded machine, short enough that a hang is seen.
pub const PATIENCE: Duration = Duration::from_secs(60);
