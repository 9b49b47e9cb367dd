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
    static V set(u64 x) { return x; }
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
    static V gather(const i64* table, V index) { return static_cast<u64>(table[index]); }
    static u64 low_bits(V a) { return a & 1; }  // bit 0 of each lane
    static u64 parities(V a) { return static_cast<u64>(__builtin_parityll(a)); }
    static V mul_add(V sum, V a, V b) { return sum + a * b; }
    // For sums that only count modulo 2^52.
    static V mul_add_52(V sum, V a, V b) { return sum + a * b; }
};

}  // namespace
