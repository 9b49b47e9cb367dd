// Vectors of four lanes.
#pragma once
#include <immintrin.h>

#include "kernels.hpp"

namespace {

struct Lanes {
    using V = __m256i;
    static constexpr size_t count = 4;
    static V load(const u64* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static V load(const i32* p) {  // extends the sign
        return _mm256_cvtepi32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static void store(u64* p, V v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    static V load(const u64* p, size_t left) {
        return left >= count ? load(p) : _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), first(left));
    }
    static V load(const i32* p, size_t left) {
        if (left >= count) return load(p);
        const __m128i mask = _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(left)), _mm_set_epi32(3, 2, 1, 0));
        return _mm256_cvtepi32_epi64(_mm_maskload_epi32(p, mask));
    }
    static void load_pairs(const u64* p, size_t left, V& even, V& odd) {
        const V a = load(p, 2 * left), b = 2 * left > count ? load(p + count, 2 * left - count) : set(0);
        const V x = _mm256_permute2x128_si256(a, b, 0x20), y = _mm256_permute2x128_si256(a, b, 0x31);
        even = _mm256_unpacklo_epi64(x, y), odd = _mm256_unpackhi_epi64(x, y);
    }
    static void store(u64* p, V v, size_t left) {
        left >= count ? store(p, v) : _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), first(left), v);
    }
    static V set(u64 x) { return _mm256_set1_epi64x(static_cast<i64>(x)); }
    static V count_up() { return _mm256_set_epi64x(3, 2, 1, 0); }
    static V first(size_t left) { return _mm256_cmpgt_epi64(set(left), count_up()); }
    static V add(V a, V b) { return _mm256_add_epi64(a, b); }
    static V sub(V a, V b) { return _mm256_sub_epi64(a, b); }
    static V and_(V a, V b) { return _mm256_and_si256(a, b); }
    static V xor_(V a, V b) { return _mm256_xor_si256(a, b); }
    static V or_(V a, V b) { return _mm256_or_si256(a, b); }
    static V where(u64 bits) {  // all ones in each lane whose bit is set
        const V each = _mm256_set_epi64x(8, 4, 2, 1);
        return _mm256_cmpeq_epi64(and_(set(bits), each), each);
    }
    static V mul(V a, V b) {
        const V cross = add(_mm256_mul_epu32(shr(a, 32), b), _mm256_mul_epu32(a, shr(b, 32)));
        return add(_mm256_mul_epu32(a, b), shl(cross, 32));
    }
    static V mul_32(V a, V b) { return _mm256_mul_epi32(a, b); }  // of the lower halves, signed
    static V shl(V a, int s) { return _mm256_sll_epi64(a, _mm_cvtsi32_si128(s)); }
    static V shr(V a, int s) { return _mm256_srl_epi64(a, _mm_cvtsi32_si128(s)); }
    static V shr(V a, V s) { return _mm256_srlv_epi64(a, s); }
    static V sar(V a, int s) {  // AVX2 has no such shift: move the sign out of the way and back
        const V sign = set(u64{1} << 63);
        return sub(shr(_mm256_xor_si256(a, sign), s), shr(sign, s));
    }
    static V gather(const i64* table, V index) {
        return _mm256_i64gather_epi64(reinterpret_cast<const long long*>(table), index, 8);
    }
    static V gather(const u64* table, V index) { return gather(reinterpret_cast<const i64*>(table), index); }
    // a where that is not negative, else b.
    static V or_else(V a, V b) {
        const __m256d sign = _mm256_castsi256_pd(a);
        return _mm256_castpd_si256(_mm256_blendv_pd(sign, _mm256_castsi256_pd(b), sign));
    }
    static V cut(V a, V b) { return or_else(sub(a, b), a); }
    static V lift(V a, V b) { return or_else(a, add(a, b)); }  // a from -b to b - 1, to from 0 on
    static V negate(V a, V bits, V bit, V p) {
        const V wanted = _mm256_cmpeq_epi64(and_(bits, bit), bit), zero = _mm256_cmpeq_epi64(a, set(0));
        return _mm256_blendv_epi8(a, sub(p, a), _mm256_andnot_si256(zero, wanted));
    }
    static u64 low_bits(V a) { return static_cast<u64>(_mm256_movemask_pd(_mm256_castsi256_pd(shl(a, 63)))); }
    static u64 parities(V a) {
        for (int s = 32; s != 0; s >>= 1) a = _mm256_xor_si256(a, shr(a, s));
        return low_bits(a);
    }
    static V mul_add(V sum, V a, V b) { return add(sum, mul(a, b)); }
    static V mul_add_52(V sum, V a, V b) { return mul_add(sum, a, b); }
};

// The same lanes, as the bits of doubles.
struct Doubles {
    using V = Lanes::V;
    static __m256d of(V a) { return _mm256_castsi256_pd(a); }
    static V bits(__m256d a) { return _mm256_castpd_si256(a); }
    static V set(double x) { return bits(_mm256_set1_pd(x)); }
    static V add(V a, V b) { return bits(_mm256_add_pd(of(a), of(b))); }
    static V sub(V a, V b) { return bits(_mm256_sub_pd(of(a), of(b))); }
    static V mul(V a, V b) { return bits(_mm256_mul_pd(of(a), of(b))); }
    static V mul_add(V a, V b, V c) { return bits(_mm256_fmadd_pd(of(a), of(b), of(c))); }    // a b + c
    static V mul_sub(V a, V b, V c) { return bits(_mm256_fmsub_pd(of(a), of(b), of(c))); }    // a b - c
    static V sub_mul(V c, V a, V b) { return bits(_mm256_fnmadd_pd(of(a), of(b), of(c))); }  // c - a b
};

}  // namespace
