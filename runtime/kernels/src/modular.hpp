// Arithmetic modulo primes below 2^50, without a division or a branch: eight lanes with IFMA, else one.
#pragma once
#ifdef __AVX512IFMA__
#include <immintrin.h>
#endif

#include "kernels.hpp"

namespace {

constexpr int kHalfBits = 52;  // IFMA multiplies 52 bits by 52

#ifdef __AVX512IFMA__

struct Modular {
    using V = __m512i;
    static constexpr size_t count = 8;
    struct Sum {  // of products: low + 2^52 high
        V low, high;
    };

    static __mmask8 first(size_t left) { return static_cast<__mmask8>(left >= count ? 0xff : (1u << left) - 1); }
    static V load(const u64* p) { return _mm512_loadu_si512(p); }
    static V load(const u64* p, size_t left) { return _mm512_maskz_loadu_epi64(first(left), p); }
    static V load(const i32* p, size_t left) {  // extends the sign
        return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(first(left), p));
    }
    // The even and the odd ones of 2 * left words.
    static void load_pairs(const u64* p, size_t left, V& even, V& odd) {
        const V a = load(p, 2 * left), b = load(p + count, 2 * left > count ? 2 * left - count : 0);
        even = _mm512_permutex2var_epi64(a, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b);
        odd = _mm512_permutex2var_epi64(a, _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1), b);
    }
    static V gather(const u64* p, V places) { return _mm512_i64gather_epi64(places, p, 8); }
    static V count_up() { return _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0); }
    static void store(u64* p, V v) { _mm512_storeu_si512(p, v); }
    static void store(u64* p, V v, size_t left) { _mm512_mask_storeu_epi64(p, first(left), v); }
    static V set(u64 x) { return _mm512_set1_epi64(static_cast<i64>(x)); }
    static V add(V a, V b) { return _mm512_add_epi64(a, b); }
    static V sub(V a, V b) { return _mm512_sub_epi64(a, b); }
    static V and_(V a, V b) { return _mm512_and_si512(a, b); }
    static V shr(V a, int s) { return _mm512_srli_epi64(a, static_cast<unsigned>(s)); }
    static V shl(V a, int s) { return _mm512_slli_epi64(a, static_cast<unsigned>(s)); }
    static V mul(V a, V b) { return _mm512_mullo_epi64(a, b); }  // mod 2^64
    // a below 2b to below b.
    static V cut(V a, V b) { return _mm512_min_epu64(a, sub(a, b)); }
    // p - a where the bit is set, but 0 of 0; else a.
    static V negate(V a, V bits, V bit, V p) {
        return _mm512_mask_sub_epi64(a, _mm512_test_epi64_mask(bits, bit) & _mm512_test_epi64_mask(a, a), p, a);
    }
    // Minus p, for mul.
    static V minus(u64 p) { return set((u64{1} << kHalfBits) - p); }
    // a w mod p, below 2p, of a below 2^52 and a factor w with its quotient.
    static V mul(V a, V w, V quotient, V minus_p) {
        const V zero = _mm512_setzero_si512(), q = _mm512_madd52hi_epu64(zero, a, quotient);
        const V product = _mm512_madd52lo_epu64(zero, a, w);
        return and_(_mm512_madd52lo_epu64(product, q, minus_p), set(low_mask(kHalfBits)));
    }
    // The same with the factor one.
    static V fold(V a, V quotient, V p) {
        const V zero = _mm512_setzero_si512();
        return sub(a, _mm512_madd52lo_epu64(zero, _mm512_madd52hi_epu64(zero, a, quotient), p));
    }
    static Sum sum(V start) { return {start, _mm512_setzero_si512()}; }
    static void add_product(Sum& s, V a, V b) {
        s.low = _mm512_madd52lo_epu64(s.low, a, b);
        s.high = _mm512_madd52hi_epu64(s.high, a, b);
    }
    static V high(const Sum& s) { return add(s.high, shr(s.low, kHalfBits)); }
    static V low(const Sum& s) { return and_(s.low, set(low_mask(kHalfBits))); }
};

#else

struct Modular {
    using V = u64;
    using Sum = unsigned __int128;
    static constexpr size_t count = 1;

    static V load(const u64* p) { return *p; }
    static V load(const u64* p, size_t) { return *p; }
    static V load(const i32* p, size_t) { return static_cast<u64>(static_cast<i64>(*p)); }
    static void load_pairs(const u64* p, size_t, V& even, V& odd) { even = p[0], odd = p[1]; }
    static V gather(const u64* p, V place) { return p[place]; }
    static V count_up() { return 0; }
    static void store(u64* p, V v) { *p = v; }
    static void store(u64* p, V v, size_t) { *p = v; }
    static V set(u64 x) { return x; }
    static V add(V a, V b) { return a + b; }
    static V sub(V a, V b) { return a - b; }
    static V and_(V a, V b) { return a & b; }
    static V shr(V a, int s) { return a >> s; }
    static V shl(V a, int s) { return a << s; }
    static V mul(V a, V b) { return a * b; }
    static V cut(V a, V b) {
        const u64 difference = a - b;
        return difference + (b & (0 - (difference >> 63)));
    }
    static V negate(V a, V bits, V bit, V p) {
        const u64 wanted = 0 - static_cast<u64>((bits & bit) != 0), nonzero = 0 - ((a | (0 - a)) >> 63);
        return a ^ ((a ^ (p - a)) & wanted & nonzero);
    }
    static V minus(u64 p) { return 0 - p; }
    static V mul(V a, V w, V quotient, V minus_p) {
        const u64 q = static_cast<u64>(static_cast<Sum>(a) * quotient >> kHalfBits);
        return a * w + q * minus_p;
    }
    static V fold(V a, V quotient, V p) {
        return a - static_cast<u64>(static_cast<Sum>(a) * quotient >> kHalfBits) * p;
    }
    static Sum sum(V start) { return start; }
    static void add_product(Sum& s, V a, V b) { s += static_cast<Sum>(a) * b; }
    static V high(const Sum& s) { return static_cast<u64>(s >> kHalfBits); }
    static V low(const Sum& s) { return static_cast<u64>(s) & low_mask(kHalfBits); }
};

#endif

// So many products may be added to a start below 2^52, and the half above stays below 2^52.
constexpr size_t kMostProducts = 15;

// One prime in every lane.
struct Field {
    using V = Modular::V;
    V p, twice, minus, quotient, wide, wide_quotient;

    explicit Field(const Prime& prime)
        : p(Modular::set(prime.p)),
          twice(Modular::set(2 * prime.p)),
          minus(Modular::minus(prime.p)),
          quotient(Modular::set(prime.quotient)),
          wide(Modular::set(prime.wide.value)),
          wide_quotient(Modular::set(prime.wide.quotient)) {}

    // a below 2^52 to below 2p, modulo p.
    V fold(V a) const { return Modular::fold(a, quotient, p); }
    // Below 4p to below p.
    V reduce(V a) const { return Modular::cut(Modular::cut(a, twice), p); }
    // Below 2p, of a below 2^52.
    V mul(V a, Multiplier factor) const {
        return Modular::mul(a, Modular::set(factor.value), Modular::set(factor.quotient), minus);
    }
    // high 2^52 + low, both below 2^52, to below 4p.
    V join(V high, V low) const { return Modular::add(Modular::mul(high, wide, wide_quotient, minus), fold(low)); }
    V fold(const Modular::Sum& sum) const { return join(Modular::high(sum), Modular::low(sum)); }
};

}  // namespace
