// Modular by IFMA's products of 52-bit integers, see modular.hpp.
#pragma once
#include <immintrin.h>

#include "kernels.hpp"

namespace {

struct Modular : Lanes {
    using Lanes::mul;
    struct Sum {  // of products: low + 2^52 high
        V low, high;
    };

    static V modulus(u64 p) { return set((u64{1} << kHalfBits) - p); }
    static LaneFactor factor(Multiplier m) { return {set(m.value), set(m.quotient)}; }
    static V mul(V a, LaneFactor w, V minus_p) {
        const V zero = _mm512_setzero_si512(), q = _mm512_madd52hi_epu64(zero, a, w.quotient);
        const V product = _mm512_madd52lo_epu64(zero, a, w.value);
        return and_(_mm512_madd52lo_epu64(product, q, minus_p), set(low_mask(kHalfBits)));
    }
    static V fold(V a, LaneFactor one, V minus_p) {
        const V q = _mm512_madd52hi_epu64(_mm512_setzero_si512(), a, one.quotient);
        return and_(_mm512_madd52lo_epu64(a, q, minus_p), set(low_mask(kHalfBits)));
    }
    static Sum sum(V start, size_t) { return {start, _mm512_setzero_si512()}; }
    static V operand(V a) { return a; }
    static void add_product(Sum& s, V a, V b) {
        s.low = _mm512_madd52lo_epu64(s.low, a, b);
        s.high = _mm512_madd52hi_epu64(s.high, a, b);
    }
    static V high(const Sum& s) { return add(s.high, shr(s.low, kHalfBits)); }
    static V low(const Sum& s) { return and_(s.low, set(low_mask(kHalfBits))); }
};

}  // namespace
