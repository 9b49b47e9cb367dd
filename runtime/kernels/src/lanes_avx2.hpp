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
    static V set(u64 x) { return _mm256_set1_epi64x(static_cast<i64>(x)); }
    static V add(V a, V b) { return _mm256_add_epi64(a, b); }
    static V sub(V a, V b) { return _mm256_sub_epi64(a, b); }
    static V and_(V a, V b) { return _mm256_and_si256(a, b); }
    static V xor_(V a, V b) { return _mm256_xor_si256(a, b); }
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
    static u64 low_bits(V a) { return static_cast<u64>(_mm256_movemask_pd(_mm256_castsi256_pd(shl(a, 63)))); }
    static u64 parities(V a) {
        for (int s = 32; s != 0; s >>= 1) a = _mm256_xor_si256(a, shr(a, s));
        return low_bits(a);
    }
    static V mul_add(V sum, V a, V b) { return add(sum, mul(a, b)); }
    static V mul_add_52(V sum, V a, V b) { return mul_add(sum, a, b); }
};

}  // namespace
