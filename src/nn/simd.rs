//! Vectors of f32 for the instruction sets of this machine, chosen when the program runs.
//!
//! A kernel is written once, as [`Work`] over any [`Simd`], and compiled for each instruction set. A token of a set (such as
//! [`Avx512`]) exists only where the CPU has it, which is what makes its operations safe to call.
#![expect(unsafe_code, reason = "vector instructions exist on some CPUs only")]

/// An instruction set: its vectors, and arithmetic on them.
pub(super) trait Simd: Copy + Send + Sync {
    type Vector: Copy + Send + Sync;
    /// Numbers in a vector.
    const LANES: usize;

    fn splat(self, value: f32) -> Self::Vector;
    /// From [`Self::LANES`] numbers.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// To [`Self::LANES`] numbers.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a b + c, rounded once or twice.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Runs `work` as code compiled for this instruction set.
    fn compiled<W: Work>(self, work: W);
}

/// What is compiled for each instruction set. `run` and all it calls are to be `#[inline(always)]`, since only what is inlined
/// into [`Simd::compiled`] uses the set's instructions.
pub(super) trait Work {
    fn run<S: Simd>(self, simd: S);
}

/// The best set of this CPU, or one that a test wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Instructions {
    pub(super) fn best() -> Self {
        Self::all().next().unwrap_or(Self::Portable(Portable))
    }

    /// All that this CPU has, the best first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [Avx512::found().map(Self::Avx512), Avx2::found().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [None; 2];
        vectors.into_iter().flatten().chain([Self::Portable(Portable)])
    }

    pub(super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::LANES,
            Self::Portable(_) => Portable::LANES,
        }
    }

    pub(super) fn run(self, work: impl Work) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.compiled(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.compiled(work),
            Self::Portable(simd) => simd.compiled(work),
        }
    }
}

/// Four numbers in plain Rust, which is what SSE2 and NEON hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Simd for Portable {
    type Vector = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 4] {
        *from.first_chunk().expect("a vector's numbers")
    }
    #[inline(always)]
    fn store(self, vector: [f32; 4], to: &mut [f32]) {
        *to.first_chunk_mut().expect("a vector's numbers") = vector;
    }
    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    fn compiled<W: Work>(self, work: W) {
        work.run(self);
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps,
        _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_ps,
        _mm512_set1_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    use super::{Simd, Work};

    /// Made by `found` alone.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Avx512(());

    /// AVX2 with FMA. Made by `found` alone.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Avx2(());

    impl Avx512 {
        pub(super) fn found() -> Option<Self> {
            is_x86_feature_detected!("avx512f").then_some(Self(()))
        }
    }

    impl Avx2 {
        pub(super) fn found() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }
    }

    macro_rules! simd {
        ($set:ident, $vector:ty, $lanes:literal, $features:literal,
         $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident) => {
            impl Simd for $set {
                type Vector = $vector;
                const LANES: usize = $lanes;

                #[inline(always)]
                fn splat(self, value: f32) -> $vector {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $splat(value) }
                }
                #[inline(always)]
                fn load(self, from: &[f32]) -> $vector {
                    let from: &[f32; $lanes] = from.first_chunk().expect("a vector's numbers");
                    // SAFETY: `self` exists, so the CPU has the instruction; it reads the array, of any alignment.
                    unsafe { $load(from.as_ptr()) }
                }
                #[inline(always)]
                fn store(self, vector: $vector, to: &mut [f32]) {
                    let to: &mut [f32; $lanes] = to.first_chunk_mut().expect("a vector's numbers");
                    // SAFETY: `self` exists, so the CPU has the instruction; it writes the array, of any alignment.
                    unsafe { $store(to.as_mut_ptr(), vector) }
                }
                #[inline(always)]
                fn add(self, a: $vector, b: $vector) -> $vector {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn sub(self, a: $vector, b: $vector) -> $vector {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $sub(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: $vector, b: $vector) -> $vector {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $mul_add(a, b, c) }
                }
                fn compiled<W: Work>(self, work: W) {
                    #[target_feature(enable = $features)]
                    fn within<W: Work>(simd: $set, work: W) {
                        work.run(simd);
                    }
                    // SAFETY: `self` exists, so the CPU has these features.
                    unsafe { within(self, work) }
                }
            }
        };
    }
    simd!(
        Avx512,
        __m512,
        16,
        "avx512f",
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps
    );
    simd!(
        Avx2,
        __m256,
        8,
        "avx2,fma",
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps
    );
}
