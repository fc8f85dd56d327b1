//! Panics that are caught: they become an error of the caller, and print nothing.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`quietly`] this thread is inside of.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Where the latest panic inside of them happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that [`quietly`] caught.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}{}", place.as_ref().map_or_else(String::new, |place| format!(" (at {place})")))]
pub struct Panicked {
    /// The message of the panic.
    said: String,
    /// File, line and column of the source.
    place: Option<String>,
}

/// Runs `work` and catches its panic, which prints nothing on the terminal. Only panics of the calling thread are caught in silence:
/// work that runs on threads of rayon calls this inside of the closure that runs there. Nothing is caught in builds where panics abort.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    /// Leaves the silence at the end, whatever the end is.
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    keep_quiet_where_panics_are_caught();
    DEPTH.set(DEPTH.get() + 1);
    let inside = Inside;
    let answer = catch_unwind(AssertUnwindSafe(work));
    drop(inside);
    answer.map_err(|payload| {
        let said = payload.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Panicked { said: said.to_owned(), place: PLACE.take() }
    })
}

/// Puts a hook before the one that prints: it passes on all panics but those that are caught here.
fn keep_quiet_where_panics_are_caught() {
    static ONCE: Once = Once::new();
    if std::thread::panicking() {
        return; // a hook cannot be set now; the panic that goes on has its own words
    }
    ONCE.call_once(|| set_hook(before(take_hook())));
}

type Hook = Box<dyn Fn(&PanicHookInfo) + Send + Sync>;

/// A hook that hands to `print` the panics that no one catches here.
fn before(print: Hook) -> Hook {
    Box::new(move |panic| {
        if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
            print(panic);
        } else {
            // A thread that is ending has no place for words any more.
            PLACE.try_with(|place| *place.borrow_mut() = panic.location().map(ToString::to_string)).ok();
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_caught_panic_gives_its_message_and_place() {
        let panicked = quietly(|| panic!("a bad thing")).unwrap_err();
        assert_eq!(panicked.said, "a bad thing");
        assert!(
            panicked.to_string().starts_with("a bad thing (at ") && panicked.to_string().contains("panics.rs:"),
            "{panicked}"
        );
        assert_eq!(quietly(|| 3), Ok(3));
        assert!(quietly(|| std::panic::panic_any(7)).unwrap_err().to_string().starts_with("no message (at"));
    }

    #[test]
    fn only_panics_inside_are_silent_and_only_on_their_own_thread() {
        let heard = Arc::new(AtomicUsize::new(0));
        let (others, ear) = (take_hook(), Arc::clone(&heard));
        set_hook(before(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>().is_some_and(|said| said.starts_with("tried")) {
                ear.fetch_add(1, Ordering::SeqCst);
            } else {
                others(panic); // another test's
            }
        })));
        quietly(|| quietly(|| panic!("tried inside")).unwrap_err()).unwrap();
        assert_eq!((heard.load(Ordering::SeqCst), DEPTH.get()), (0, 0));
        let other = quietly(|| std::thread::scope(|scope| scope.spawn(|| panic!("tried on another thread")).join()));
        assert!(other.unwrap().is_err());
        assert_eq!(heard.load(Ordering::SeqCst), 1, "a panic of another thread is heard");
    }
}
