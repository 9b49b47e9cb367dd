// The vector of one lane, for the portable level. Every lanes_*.hpp defines the same struct Lanes.
#pragma once
#include "kernels.hpp"

namespace {

struct Lanes {
    using V = u64;
    static constexpr size_t count = 1;
    static V load(const u64* p) { return *p; }
    static V load(const i32* p) { return static_cast<u64>(*p); }  // extends the sign
    static void store(u64* p, V v) { *p = v; }
    // Of the first `left` ones, at least one; the others are zero, or not stored.
    static V load(const u64* p, size_t) { return *p; }
    static V load(const i32* p, size_t) { return load(p); }
    static void store(u64* p, V v, size_t) { *p = v; }
    // The even and the odd ones of 2 * left words.
    static void load_pairs(const u64* p, size_t, V& even, V& odd) { even = p[0], odd = p[1]; }
    static V set(u64 x) { return x; }
    static V count_up() { return 0; }
    static V add(V a, V b) { return a + b; }
    static V sub(V a, V b) { return a - b; }
    static V and_(V a, V b) { return a & b; }
    static V xor_(V a, V b) { return a ^ b; }
    static V where(u64 bits) { return 0 - (bits & 1); }  // all ones in each lane whose bit is set
    static V mul(V a, V b) { return a * b; }
    static V mul_32(V a, V b) {  // of the lower halves, signed
        return static_cast<u64>(static_cast<i64>(static_cast<std::int32_t>(a)) * static_cast<std::int32_t>(b));
    }
    static V shl(V a, int s) { return a << s; }
    static V shr(V a, int s) { return a >> s; }
    static V shr(V a, V s) { return a >> s; }  // s < 64
    static V sar(V a, int s) { return static_cast<u64>(static_cast<i64>(a) >> s); }
    static V gather(const u64* table, V index) { return table[index]; }
    static V gather(const i64* table, V index) { return static_cast<u64>(table[index]); }
    // a below 2b, which is below 2^63, to below b.
    static V cut(V a, V b) {
        const u64 difference = a - b;
        return difference + (b & (0 - (difference >> 63)));
    }
    // p - a where the bit is set, but 0 of 0; else a.
    static V negate(V a, V bits, V bit, V p) {
        const u64 wanted = 0 - static_cast<u64>((bits & bit) != 0), nonzero = 0 - ((a | (0 - a)) >> 63);
        return a ^ ((a ^ (p - a)) & wanted & nonzero);
    }
    static u64 low_bits(V a) { return a & 1; }  // bit 0 of each lane
    static u64 parities(V a) { return static_cast<u64>(__builtin_parityll(a)); }
    static V mul_add(V sum, V a, V b) { return sum + a * b; }
    // For sums that only count modulo 2^52.
    static V mul_add_52(V sum, V a, V b) { return sum + a * b; }
};

}  // namespace
