//! Vectors of f32 for the instruction sets of this machine, chosen when the program runs.
//!
//! A kernel is written once, as [`Work`] over any [`Simd`], and compiled for each instruction set. A token of a set (such as
//! [`Avx512`]) exists only where the CPU has it, which is what makes its operations safe to call.
#![expect(unsafe_code, reason = "vector instructions exist on some CPUs only")]

/// Numbers in the widest vectors of any set.
pub(crate) const WIDEST_LANES: usize = 16;

/// An instruction set: its vectors, and arithmetic on them.
pub(crate) trait Simd: Copy + Send + Sync {
    type Vector: Copy + Send + Sync;
    /// Numbers in a vector.
    const LANES: usize;
    /// A vector of f64: half as many, but no fewer than 4.
    type Doubles: Copy;

    fn splat(self, value: f32) -> Self::Vector;
    /// Loads [`Self::LANES`] numbers.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Stores [`Self::LANES`] numbers.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a b + c, rounded once or twice.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Four neighbours after the other, the first ones to the first vector, and so on.
    fn deal(self, vectors: [Self::Vector; 4]) -> [Self::Vector; 4];
    /// One number of each vector after the other: the inverse of [`Self::deal`].
    fn weave(self, vectors: [Self::Vector; 4]) -> [Self::Vector; 4];

    /// Loads and widens as many numbers.
    fn widen(self, from: &[f32]) -> Self::Doubles;
    /// Stores as many numbers, rounded.
    fn narrow(self, doubles: Self::Doubles, to: &mut [f32]);
    fn scale(self, factor: f64, a: Self::Doubles) -> Self::Doubles;
    fn add_doubles(self, a: Self::Doubles, b: Self::Doubles) -> Self::Doubles;
    fn sub_doubles(self, a: Self::Doubles, b: Self::Doubles) -> Self::Doubles;
    /// Runs `work` as code compiled for this instruction set.
    fn compiled<W: Work>(self, work: W);
}

/// What is compiled for each instruction set. `run` and all it calls are to be `#[inline(always)]`, since only what is inlined
/// into [`Simd::compiled`] uses the set's instructions.
pub(crate) trait Work {
    fn run<S: Simd>(self, simd: S);
}

/// The best set of this CPU, or one that a test wants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Instructions {
    pub(crate) fn best() -> Self {
        Self::all().next().unwrap_or(Self::Portable(Portable))
    }

    /// All that this CPU has, the best first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [Avx512::found().map(Self::Avx512), Avx2::found().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [None; 2];
        vectors.into_iter().flatten().chain([Self::Portable(Portable)])
    }

    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::LANES,
            Self::Portable(_) => Portable::LANES,
        }
    }

    pub(crate) fn run(self, work: impl Work) {
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
pub(crate) struct Portable;

impl Simd for Portable {
    type Vector = [f32; 4];
    const LANES: usize = 4;
    type Doubles = [f64; 4];

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
    #[inline(always)]
    fn deal(self, vectors: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
        std::array::from_fn(|i| std::array::from_fn(|j| vectors[j][i]))
    }
    #[inline(always)]
    fn weave(self, vectors: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
        self.deal(vectors) // four by four, it is its own inverse
    }
    #[inline(always)]
    fn widen(self, from: &[f32]) -> [f64; 4] {
        self.load(from).map(f64::from)
    }
    #[inline(always)]
    fn narrow(self, doubles: [f64; 4], to: &mut [f32]) {
        self.store(doubles.map(|double| double as f32), to);
    }
    #[inline(always)]
    fn scale(self, factor: f64, a: [f64; 4]) -> [f64; 4] {
        a.map(|a| factor * a)
    }
    #[inline(always)]
    fn add_doubles(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub_doubles(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    fn compiled<W: Work>(self, work: W) {
        work.run(self);
    }
}

/// The widest vectors of this CPU for which there are kernels, by name: what every kernel is compiled for and runs with here.
pub(crate) fn widest() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if Avx512::found().is_some() {
        return "AVX-512";
    } else if Avx2::found().is_some() {
        return "AVX2";
    }
    "portable"
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m256d, __m512, __m512d, _mm_loadu_ps, _mm_storeu_ps, _mm256_add_pd, _mm256_add_ps, _mm256_cvtpd_ps,
        _mm256_cvtps_pd, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_pd, _mm256_mul_ps, _mm256_permute2f128_ps,
        _mm256_set1_pd, _mm256_set1_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_sub_pd, _mm256_sub_ps,
        _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_pd, _mm512_add_ps, _mm512_cvtpd_ps, _mm512_cvtps_pd,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_pd, _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_set1_pd,
        _mm512_set1_ps, _mm512_setr_epi32, _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_storeu_ps, _mm512_sub_pd,
        _mm512_sub_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
    };

    use super::{Simd, Work};

    /// Made by `found` alone.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx512(());

    /// AVX2 with FMA. Made by `found` alone.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx2(());

    impl Avx512 {
        pub(crate) fn found() -> Option<Self> {
            is_x86_feature_detected!("avx512f").then_some(Self(()))
        }
    }

    impl Avx2 {
        pub(crate) fn found() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }
    }

    macro_rules! simd {
        ($set:ident, $vector:ty, $lanes:literal, $features:literal,
         $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $deal:ident, $weave:ident,
         $doubles:ty, $half:literal, $load_half:ident, $store_half:ident, $widen:ident, $narrow:ident,
         $splat_double:ident, $add_doubles:ident, $sub_doubles:ident, $mul_doubles:ident) => {
            impl Simd for $set {
                type Vector = $vector;
                const LANES: usize = $lanes;
                type Doubles = $doubles;

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
                #[inline(always)]
                fn deal(self, vectors: [$vector; 4]) -> [$vector; 4] {
                    // SAFETY: `self` exists, so the CPU has the instructions.
                    unsafe { $deal(vectors) }
                }
                #[inline(always)]
                fn weave(self, vectors: [$vector; 4]) -> [$vector; 4] {
                    // SAFETY: `self` exists, so the CPU has the instructions.
                    unsafe { $weave(vectors) }
                }
                #[inline(always)]
                fn widen(self, from: &[f32]) -> $doubles {
                    let from: &[f32; $half] = from.first_chunk().expect("a vector's numbers");
                    // SAFETY: `self` exists, so the CPU has the instructions; they read the array, of any alignment.
                    unsafe { $widen($load_half(from.as_ptr())) }
                }
                #[inline(always)]
                fn narrow(self, doubles: $doubles, to: &mut [f32]) {
                    let to: &mut [f32; $half] = to.first_chunk_mut().expect("a vector's numbers");
                    // SAFETY: `self` exists, so the CPU has the instructions; they write the array, of any alignment.
                    unsafe { $store_half(to.as_mut_ptr(), $narrow(doubles)) }
                }
                #[inline(always)]
                fn scale(self, factor: f64, a: $doubles) -> $doubles {
                    // SAFETY: `self` exists, so the CPU has the instructions.
                    unsafe { $mul_doubles($splat_double(factor), a) }
                }
                #[inline(always)]
                fn add_doubles(self, a: $doubles, b: $doubles) -> $doubles {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $add_doubles(a, b) }
                }
                #[inline(always)]
                fn sub_doubles(self, a: $doubles, b: $doubles) -> $doubles {
                    // SAFETY: `self` exists, so the CPU has the instruction.
                    unsafe { $sub_doubles(a, b) }
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
        _mm512_fmadd_ps,
        deal_16,
        weave_16,
        __m512d,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm512_cvtps_pd,
        _mm512_cvtpd_ps,
        _mm512_set1_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd
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
        _mm256_fmadd_ps,
        deal_8,
        weave_8,
        __m256d,
        4,
        _mm_loadu_ps,
        _mm_storeu_ps,
        _mm256_cvtps_pd,
        _mm256_cvtpd_ps,
        _mm256_set1_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd
    );

    /// Two by two: the first and second of each four, the third and fourth; then all first ones, and so on.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn deal_16([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        let first = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
        let third = _mm512_setr_epi32(2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
        let [ab, cd] = [_mm512_permutex2var_ps(a, first, b), _mm512_permutex2var_ps(c, first, d)];
        let [ef, gh] = [_mm512_permutex2var_ps(a, third, b), _mm512_permutex2var_ps(c, third, d)];
        [
            _mm512_shuffle_f32x4::<0x44>(ab, cd),
            _mm512_shuffle_f32x4::<0xee>(ab, cd),
            _mm512_shuffle_f32x4::<0x44>(ef, gh),
            _mm512_shuffle_f32x4::<0xee>(ef, gh),
        ]
    }

    /// Transposed within halves, after the halves are put where they belong.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn deal_8([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        // Fours 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        let [p, q] = [_mm256_permute2f128_ps::<0x20>(a, c), _mm256_permute2f128_ps::<0x31>(a, c)];
        let [r, t] = [_mm256_permute2f128_ps::<0x20>(b, d), _mm256_permute2f128_ps::<0x31>(b, d)];
        let [pq, pq_high] = [_mm256_unpacklo_ps(p, q), _mm256_unpackhi_ps(p, q)];
        let [rt, rt_high] = [_mm256_unpacklo_ps(r, t), _mm256_unpackhi_ps(r, t)];
        [
            _mm256_shuffle_ps::<0x44>(pq, rt),
            _mm256_shuffle_ps::<0xee>(pq, rt),
            _mm256_shuffle_ps::<0x44>(pq_high, rt_high),
            _mm256_shuffle_ps::<0xee>(pq_high, rt_high),
        ]
    }
    /// Fours 0, 4, 8, 12 of the woven numbers, then 1, 5, 9, 13, and so on; then they are put where they belong.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn weave_16([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        let [ab, ab_high] = [_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)];
        let [cd, cd_high] = [_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)];
        let [p, q] = [_mm512_shuffle_ps::<0x44>(ab, cd), _mm512_shuffle_ps::<0xee>(ab, cd)];
        let [r, t] = [_mm512_shuffle_ps::<0x44>(ab_high, cd_high), _mm512_shuffle_ps::<0xee>(ab_high, cd_high)];
        let [pq, pq_high] = [_mm512_shuffle_f32x4::<0x44>(p, q), _mm512_shuffle_f32x4::<0xee>(p, q)];
        let [rt, rt_high] = [_mm512_shuffle_f32x4::<0x44>(r, t), _mm512_shuffle_f32x4::<0xee>(r, t)];
        [
            _mm512_shuffle_f32x4::<0x88>(pq, rt),
            _mm512_shuffle_f32x4::<0xdd>(pq, rt),
            _mm512_shuffle_f32x4::<0x88>(pq_high, rt_high),
            _mm512_shuffle_f32x4::<0xdd>(pq_high, rt_high),
        ]
    }

    /// Fours 0 and 4 of the woven numbers, 1 and 5, 2 and 6, 3 and 7; then they are put where they belong.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn weave_8([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        let [ab, ab_high] = [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)];
        let [cd, cd_high] = [_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)];
        let [p, q] = [_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd)];
        let [r, t] = [_mm256_shuffle_ps::<0x44>(ab_high, cd_high), _mm256_shuffle_ps::<0xee>(ab_high, cd_high)];
        [
            _mm256_permute2f128_ps::<0x20>(p, q),
            _mm256_permute2f128_ps::<0x20>(r, t),
            _mm256_permute2f128_ps::<0x31>(p, q),
            _mm256_permute2f128_ps::<0x31>(r, t),
        ]
    }
}
