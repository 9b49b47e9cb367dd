// Modular by doubles, where the processor multiplies and adds them with one rounding (van der Hoeven, Lecerf, Quintin,
// "Modular SIMD arithmetic in Mathemagix", ACM TOMS 43, 2016, section 3). See modular.hpp.
//
// For integers x and w with |x w| < 2^102, h = round(x w) and l = x w - h are exact doubles, and |l| <= 2^48: the
// rounding of a product below 2^102. Let q be an integer with |x w - q p| < 2^51. Then h - q p is an integer below
// 2^51 + 2^48, so that one fused step computes it exactly, and adding l gives exactly x w - q p.
#pragma once
#include <immintrin.h>

#include <bit>

#include "kernels.hpp"

namespace {

// x w - q p, see above.
Lanes::V exact_rest(Lanes::V x, Lanes::V w, Lanes::V q, Lanes::V p) {
    const Lanes::V h = Doubles::mul(x, w), l = Doubles::mul_sub(x, w, h);
    return Doubles::add(Doubles::sub_mul(h, q, p), l);
}

struct Modular : Lanes {
    struct Sum {  // low + 2^51 high, once all its products are added
        V low, high;
    };
    static constexpr double kUnit = 0x1p52;      // doubles from here to 2^53 are the integers
    static constexpr double kMiddle = 0x1.8p52;  // so they are 2^51 to both sides from here
    static constexpr double kSplit = 0x1p103;    // doubles from here to 2^104 are the multiples of 2^51

    // An integer below 2^52 as a double, and back.
    static V number(V a) {
        const V unit = Doubles::set(kUnit);
        return Doubles::sub(or_(a, unit), unit);
    }
    static V modulus(u64 p) { return number(set(p)); }
    // The quotient, floor(w 2^52 / p), and one half, over 2^52: w / p up to 2^-53.
    static LaneFactor factor(Multiplier m) {
        const V bits = or_(set(m.quotient), Doubles::set(1));  // one and the quotient over 2^52
        return {number(set(m.value)), Doubles::sub(bits, Doubles::set(1 - 0x1p-53))};
    }
    // Of x from 0 to 2^52: x times the quotient to the nearest integer. It is less than one away from x w / p, half
    // of it by rounding and half by the quotient's error.
    static V nearest(V x, V quotient) {
        const V unit = Doubles::set(kUnit);
        return Doubles::sub(Doubles::mul_add(x, quotient, unit), unit);
    }
    // A number between -p and p, and p more, as an integer.
    static V raise(V rest, V p) {
        return and_(Doubles::add(rest, Doubles::add(Doubles::set(kUnit), p)), set(low_mask(kHalfBits)));
    }
    using Lanes::mul;
    static V mul(V a, LaneFactor w, V p) {
        const V x = number(a);
        return raise(exact_rest(x, w.value, nearest(x, w.quotient), p), p);
    }
    static V fold(V a, LaneFactor one, V p) {
        const V x = number(a);
        return raise(Doubles::sub_mul(x, nearest(x, one.quotient), p), p);
    }

    static V operand(V a) { return number(a); }
    // Each product, below 2^100, is m 2^51 + l with |l| <= 2^50. The bits of kSplit + m 2^51 are those of kSplit, and m
    // more; the bits of kMiddle + l those of kMiddle, and l more: what each product adds too much is taken off before.
    // Sixteen times 2^51 stands in low instead of high, for low is not to be negative: the sum of all l is from
    // -15 2^50 on.
    static Sum sum(V start, size_t products) {
        const u64 above = std::bit_cast<u64>(kSplit), below = std::bit_cast<u64>(kMiddle);
        return {add(start, set((u64{16} << 51) - products * below)), set(0 - 16 - products * above)};
    }
    static void add_product(Sum& s, V a, V b) {
        const V upper = Doubles::mul_add(a, b, Doubles::set(kSplit));
        const V lower = Doubles::mul_add(a, b, Doubles::sub(Doubles::set(kSplit + kMiddle), upper));
        s.high = add(s.high, upper);
        s.low = add(s.low, lower);
    }
    static V high(const Sum& s) { return shr(add(s.high, shr(s.low, 51)), 1); }
    static V low(const Sum& s) { return and_(add(s.low, shl(s.high, 51)), set(low_mask(kHalfBits))); }
};

}  // namespace
