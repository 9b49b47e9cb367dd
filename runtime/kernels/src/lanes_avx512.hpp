// Vectors of eight lanes, with IFMA and VPOPCNTDQ where the including file is compiled for them.
#pragma once
#include <immintrin.h>

#include "kernels.hpp"

namespace {

struct Lanes {
    using V = __m512i;
    static constexpr size_t count = 8;
    static V load(const u64* p) { return _mm512_loadu_si512(p); }
    static V load(const i32* p) {  // extends the sign
        return _mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static void store(u64* p, V v) { _mm512_storeu_si512(p, v); }
    static __mmask8 first(size_t left) { return static_cast<__mmask8>((1u << left) - 1); }
    static V load(const u64* p, size_t left) {
        return left >= count ? load(p) : _mm512_maskz_loadu_epi64(first(left), p);
    }
    static V load(const i32* p, size_t left) {
        return left >= count ? load(p) : _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(first(left), p));
    }
    static void store(u64* p, V v, size_t left) {
        left >= count ? store(p, v) : _mm512_mask_storeu_epi64(p, first(left), v);
    }
    static void load_pairs(const u64* p, size_t left, V& even, V& odd) {
        const V a = load(p, 2 * left), b = load(p + count, 2 * left > count ? 2 * left - count : 0);
        even = _mm512_permutex2var_epi64(a, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b);
        odd = _mm512_permutex2var_epi64(a, _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1), b);
    }
    static V set(u64 x) { return _mm512_set1_epi64(static_cast<i64>(x)); }
    static V count_up() { return _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0); }
    static V add(V a, V b) { return _mm512_add_epi64(a, b); }
    static V sub(V a, V b) { return _mm512_sub_epi64(a, b); }
    static V and_(V a, V b) { return _mm512_and_si512(a, b); }
    static V xor_(V a, V b) { return _mm512_xor_si512(a, b); }
    static V or_(V a, V b) { return _mm512_or_si512(a, b); }
    // All ones in each lane whose bit is set.
    static V where(u64 bits) { return _mm512_movm_epi64(static_cast<__mmask8>(bits)); }
    static V mul(V a, V b) { return _mm512_mullo_epi64(a, b); }
    static V mul_32(V a, V b) { return _mm512_mul_epi32(a, b); }  // of the lower halves, signed
    static V shl(V a, int s) { return _mm512_sll_epi64(a, _mm_cvtsi32_si128(s)); }
    static V shr(V a, int s) { return _mm512_srl_epi64(a, _mm_cvtsi32_si128(s)); }
    static V shr(V a, V s) { return _mm512_srlv_epi64(a, s); }
    static V sar(V a, int s) { return _mm512_sra_epi64(a, _mm_cvtsi32_si128(s)); }
    static V gather(const i64* table, V index) { return _mm512_i64gather_epi64(index, table, 8); }
    static V gather(const u64* table, V index) { return _mm512_i64gather_epi64(index, table, 8); }
    static V cut(V a, V b) { return _mm512_min_epu64(a, sub(a, b)); }
    static V lift(V a, V b) { return _mm512_min_epu64(a, add(a, b)); }  // a from -b to b - 1, to from 0 on
    static V negate(V a, V bits, V bit, V p) {
        return _mm512_mask_sub_epi64(a, _mm512_test_epi64_mask(bits, bit) & _mm512_test_epi64_mask(a, a), p, a);
    }
    static u64 low_bits(V a) { return _mm512_test_epi64_mask(a, set(1)); }
    static u64 parities(V a) {
#ifdef __AVX512VPOPCNTDQ__
        a = _mm512_popcnt_epi64(a);
#else
        for (int s = 32; s != 0; s >>= 1) a = _mm512_xor_si512(a, shr(a, s));
#endif
        return low_bits(a);
    }
    static V mul_add(V sum, V a, V b) { return add(sum, mul(a, b)); }
    static V mul_add_52(V sum, V a, V b) {
#ifdef __AVX512IFMA__
        return _mm512_madd52lo_epu64(sum, a, b);
#else
        return mul_add(sum, a, b);
#endif
    }
};

// The same lanes, as the bits of doubles.
struct Doubles {
    using V = Lanes::V;
    static __m512d of(V a) { return _mm512_castsi512_pd(a); }
    static V bits(__m512d a) { return _mm512_castpd_si512(a); }
    static V set(double x) { return bits(_mm512_set1_pd(x)); }
    static V add(V a, V b) { return bits(_mm512_add_pd(of(a), of(b))); }
    static V sub(V a, V b) { return bits(_mm512_sub_pd(of(a), of(b))); }
    static V mul(V a, V b) { return bits(_mm512_mul_pd(of(a), of(b))); }
    static V mul_add(V a, V b, V c) { return bits(_mm512_fmadd_pd(of(a), of(b), of(c))); }    // a b + c
    static V mul_sub(V a, V b, V c) { return bits(_mm512_fmsub_pd(of(a), of(b), of(c))); }    // a b - c
    static V sub_mul(V c, V a, V b) { return bits(_mm512_fnmadd_pd(of(a), of(b), of(c))); }  // c - a b
};

}  // namespace
