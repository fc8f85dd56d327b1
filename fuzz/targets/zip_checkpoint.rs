#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::target("zip_checkpoint", bytes));
