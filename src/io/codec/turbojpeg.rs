//! Calls libjpeg-turbo for JPEG by cosine transform: one gray component of 8 or 12 bits.
#![expect(unsafe_code, reason = "libjpeg-turbo is a C library")]

use std::ffi::{CStr, c_int};

use turbojpeg_sys as tj;

/// Scans that a progressive stream may have. Each costs a walk over the whole image, and may take a few bytes only; encoders write about ten.
const MOST_SCANS: c_int = 64;

/// A decompressor, destroyed when dropped.
struct Handle(tj::tjhandle);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle came from tj3Init, is not null, and is destroyed once.
        unsafe { tj::tj3Destroy(self.0) };
    }
}

/// Decodes a stream whose frame header says `rows`, `columns`, `precision` and one component; anything that libjpeg-turbo warns of is an error.
pub(super) fn decode(bytes: &[u8], rows: usize, columns: usize, precision: u16) -> Result<Vec<u16>, String> {
    let handle = Handle::new()?;
    handle.set(tj::TJPARAM_TJPARAM_STOPONWARNING, 1)?;
    handle.set(tj::TJPARAM_TJPARAM_SCANLIMIT, MOST_SCANS)?;
    // SAFETY: `bytes` is valid for reads of its length during the call.
    handle.done(unsafe { tj::tj3DecompressHeader(handle.0, bytes.as_ptr(), bytes.len() as tj::size_t) })?;
    let found = [tj::TJPARAM_TJPARAM_JPEGHEIGHT, tj::TJPARAM_TJPARAM_JPEGWIDTH, tj::TJPARAM_TJPARAM_PRECISION]
        .map(|parameter| handle.get(parameter));
    let wanted = [rows, columns, usize::from(precision)];
    if found.map(|value| usize::try_from(value).unwrap_or(0)) != wanted {
        return Err(format!(
            "libjpeg-turbo reads rows, columns and bits {found:?} where the frame header says {wanted:?}"
        ));
    }
    let gray = tj::TJPF_TJPF_GRAY;
    match precision {
        8 => {
            let mut samples = vec![0_u8; rows * columns];
            // SAFETY: TJPF_GRAY at the header's size, which was compared with ours, writes rows x columns bytes; pitch 0 means unpadded rows.
            handle.done(unsafe {
                tj::tj3Decompress8(handle.0, bytes.as_ptr(), bytes.len() as tj::size_t, samples.as_mut_ptr(), 0, gray)
            })?;
            Ok(samples.into_iter().map(u16::from).collect())
        }
        12 => {
            let mut samples = vec![0_i16; rows * columns];
            // SAFETY: TJPF_GRAY at the header's size, which was compared with ours, writes rows x columns shorts; pitch 0 means unpadded rows.
            handle.done(unsafe {
                tj::tj3Decompress12(handle.0, bytes.as_ptr(), bytes.len() as tj::size_t, samples.as_mut_ptr(), 0, gray)
            })?;
            Ok(samples.into_iter().map(|sample| sample as u16).collect())
        }
        _ => Err(format!("the frame header says {precision} bits per sample; the cosine transform has 8 or 12")),
    }
}

impl Handle {
    fn new() -> Result<Self, String> {
        // SAFETY: tj3Init takes any value and returns null where it fails.
        let handle = unsafe { tj::tj3Init(tj::TJINIT_TJINIT_DECOMPRESS as c_int) };
        if handle.is_null() { Err("libjpeg-turbo has no memory left".into()) } else { Ok(Self(handle)) }
    }

    fn set(&self, parameter: tj::TJPARAM, value: c_int) -> Result<(), String> {
        // SAFETY: the handle is live.
        self.done(unsafe { tj::tj3Set(self.0, parameter as c_int, value) })
    }

    fn get(&self, parameter: tj::TJPARAM) -> c_int {
        // SAFETY: the handle is live.
        unsafe { tj::tj3Get(self.0, parameter as c_int) }
    }

    /// The library's own words where `result` is not 0.
    fn done(&self, result: c_int) -> Result<(), String> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: the handle is live; the string is its own, ends in zero, and is copied before the next call.
        let words = unsafe { CStr::from_ptr(tj::tj3GetErrorStr(self.0)) };
        Err(words.to_string_lossy().into_owned())
    }
}
