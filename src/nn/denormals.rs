//! Flushes denormal numbers to zero while networks compute: a saturated score gives gradients near 1e-33, and a backward pass through
//! denormals was measured 25 times slower.
//!
//! What Rust says of it: compiled code may assume the floating-point environment that a thread begins with. The documentation of
//! `core::arch::x86_64::_mm_setcsr` calls a change of these very bits undefined behaviour, even where they are put back, since
//! floating-point operations may be moved past the change; whether the instruction is an intrinsic's or `asm!`'s does not matter. By
//! the letter, then, no Rust code may run while denormals are flushed, and only kernels written in assembly from end to end would be
//! beyond doubt.
//!
//! What holds in fact: LLVM's use of the assumption is that it computes constants at compile time, moves operations and merges equal
//! ones. Each of these gives a result as without flushing or as with it, so a number below the smallest normal one (1.2e-38 in f32)
//! may or may not be 0. No code here decides on such a number, reads the register's flags or changes its rounding, and no index, length
//! or pointer comes from floating-point numbers without a check of its bounds. The price of being without is a factor of 25 in the
//! case above, so this one place departs from the letter, for as short as may be: [`flushed`] puts the register back when its guard
//! goes, and the computing threads, which run nothing but computations, flush from their start to their end.
#![expect(unsafe_code, reason = "the floating-point control register is reached by assembly only")]

use std::marker::PhantomData;

/// What the calling thread's control register was, put back on drop. It stays on its thread.
#[must_use = "denormals are flushed while this lives"]
pub struct Flushed {
    before: control::Register,
    /// Not `Send`: the register is a thread's own.
    _thread: PhantomData<*const ()>,
}

/// Has the calling thread take denormals for 0, and make none, while what this gives lives. Guards that nest are to go in the reverse
/// order, as locals do.
pub fn flushed() -> Flushed {
    let before = control::read();
    control::write(before | control::FLUSH);
    Flushed { before, _thread: PhantomData }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        // Only what this guard has set is put back: flags that operations raised since stay.
        control::write(control::read() & !(control::FLUSH & !self.before));
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod control {
    pub(super) type Register = u32;
    /// Flush-to-zero and denormals-are-zero: Intel SDM, vol. 1, 10.2.3: MXCSR.
    pub(super) const FLUSH: Register = 1 << 15 | 1 << 6;

    pub(super) fn read() -> Register {
        let mut control: Register = 0;
        // SAFETY: writes this thread's MXCSR to a local.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags)) };
        control
    }

    pub(super) fn write(control: Register) {
        // SAFETY: what was read, but for the two bits on denormals; the file's head says what compiled code makes of these. Without
        // `nomem`, so that no access to memory is moved past it.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack)) };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod control {
    pub(super) type Register = u64;
    /// Arm ARM: FPCR.FZ.
    pub(super) const FLUSH: Register = 1 << 24;

    pub(super) fn read() -> Register {
        let control: Register;
        // SAFETY: reads this thread's FPCR.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
        control
    }

    pub(super) fn write(control: Register) {
        // SAFETY: what was read, but for the bit on denormals; the file's head says what compiled code makes of it. Without `nomem`,
        // so that no access to memory is moved past it.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack)) };
    }
}

/// Denormals stay where the register is not known, and in Miri, which runs no assembly.
#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod control {
    pub(super) type Register = u32;
    pub(super) const FLUSH: Register = 0;

    pub(super) fn read() -> Register {
        0
    }

    pub(super) fn write(_: Register) {}
}

#[cfg(all(test, not(miri), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::flushed;

    #[inline(never)]
    fn product() -> f32 {
        std::hint::black_box(std::hint::black_box(1e-30_f32) * std::hint::black_box(1e-10_f32))
    }

    #[test]
    fn a_flushed_thread_has_no_denormals_and_has_them_again_afterwards() {
        assert!(product() > 0.0, "before");
        {
            let _outer = flushed();
            assert_eq!(product().to_bits(), 0, "flushed");
            drop(flushed());
            assert_eq!(product().to_bits(), 0, "still flushed by the outer guard");
        }
        assert!(product() > 0.0, "afterwards");
    }

    #[test]
    fn a_panic_puts_the_register_back() {
        std::panic::catch_unwind(|| {
            let _flushed = flushed();
            panic!("on purpose");
        })
        .expect_err("it panics");
        assert!(product() > 0.0);
    }
}
