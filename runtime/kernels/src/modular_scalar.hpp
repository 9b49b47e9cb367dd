// Modular by integers of 128 bits, see modular.hpp.
#pragma once
#include "kernels.hpp"

namespace {

struct Modular : Lanes {
    using Sum = unsigned __int128;

    static V modulus(u64 p) { return 0 - p; }
    static LaneFactor factor(Multiplier m) { return {m.value, m.quotient}; }
    static V mul(V a, LaneFactor w, V minus_p) {
        return a * w.value + static_cast<u64>(static_cast<Sum>(a) * w.quotient >> kHalfBits) * minus_p;
    }
    using Lanes::mul;
    static V fold(V a, LaneFactor one, V minus_p) {
        return a + static_cast<u64>(static_cast<Sum>(a) * one.quotient >> kHalfBits) * minus_p;
    }
    static Sum sum(V start, size_t) { return start; }
    static V operand(V a) { return a; }
    static void add_product(Sum& s, V a, V b) { s += static_cast<Sum>(a) * b; }
    static V high(const Sum& s) { return static_cast<u64>(s >> kHalfBits); }
    static V low(const Sum& s) { return static_cast<u64>(s) & low_mask(kHalfBits); }
};

}  // namespace
