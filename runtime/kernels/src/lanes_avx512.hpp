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
    static V set(u64 x) { return _mm512_set1_epi64(static_cast<i64>(x)); }
    static V add(V a, V b) { return _mm512_add_epi64(a, b); }
    static V sub(V a, V b) { return _mm512_sub_epi64(a, b); }
    static V and_(V a, V b) { return _mm512_and_si512(a, b); }
    static V xor_(V a, V b) { return _mm512_xor_si512(a, b); }
    // All ones in each lane whose bit is set.
    static V where(u64 bits) { return _mm512_movm_epi64(static_cast<__mmask8>(bits)); }
    static V mul(V a, V b) { return _mm512_mullo_epi64(a, b); }
    static V mul_32(V a, V b) { return _mm512_mul_epi32(a, b); }  // of the lower halves, signed
    static V shl(V a, int s) { return _mm512_sll_epi64(a, _mm_cvtsi32_si128(s)); }
    static V shr(V a, int s) { return _mm512_srl_epi64(a, _mm_cvtsi32_si128(s)); }
    static V shr(V a, V s) { return _mm512_srlv_epi64(a, s); }
    static V sar(V a, int s) { return _mm512_sra_epi64(a, _mm_cvtsi32_si128(s)); }
    static V gather(const i64* table, V index) { return _mm512_i64gather_epi64(index, table, 8); }
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

}  // namespace
