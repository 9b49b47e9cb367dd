// Steps by doubles, see ntt.hpp and modular_doubles.hpp. Factors w are between -p/2 and p/2, with w / p rounded: wrong
// by 2^-55 at most. So for |a| <= A p < 2^52 the nearest integer to a (w / p) is that to a w / p up to A p 2^-55, less
// than A / 32, and the rest is at most (1/2 + A/32) p: with A <= 4, less than 0.63 p.
//
// Forward values begin below 2p. A step leads from A to A + 1/2 + A/32; where its lower operand is lightened before, to
// 1/2 + 1/2 + A/32. So the bounds over p are 2.57 after a level that is done alone, 1.09 and 1.62 after the two of a
// pass, and then 2.17, 2.74 and 3.33 after those of the leaves. Roomy, where p is below 2^47, the quotients' error is
// A/256, and 14 steps from 2 on lead to 10, less than 2^52 / p: nothing need be lightened.
//
// Backward a step leads from A to 2A, and to 1/2 + A/16 where it multiplies. Leaves begin below 1, and the second and
// third level of them are lightened: at most 4 before, 0.63 after. From there two levels lead to 2.5 before they are
// lightened, and to 0.58 after.
#pragma once
#include "modular.hpp"

namespace {

template <bool Roomy>
struct Steps {
    using V = Modular::V;

    const u64 *const values, *const quotients;
    const V p, whole, inverse;

    Steps(size_t n, const Prime& prime, const u64* table)
        : values(table + 2 * n),
          quotients(table + 3 * n),
          p(Modular::modulus(prime.p)),
          whole(Modular::set(prime.p)),
          inverse(Doubles::set(1 / static_cast<double>(prime.p))) {}

    LaneFactor factor(size_t node) const { return {Modular::set(values[node]), Modular::set(quotients[node])}; }
    // To the nearest integer, of a product within 2^51.
    static V nearest(V a, V quotient) {
        const V middle = Doubles::set(Modular::kMiddle);
        return Doubles::sub(Doubles::mul_add(a, quotient, middle), middle);
    }
    V mul(V a, LaneFactor w) const { return exact_rest(a, w.value, nearest(a, w.quotient), p); }

    static V enter(V a) { return Modular::number(a); }
    V lighten(V a) const { return Roomy ? a : rest(a); }
    V rest(V a) const { return Doubles::sub_mul(a, nearest(a, inverse), p); }
    void split(V& low, V& high, LaneFactor w) const {
        const V a = low, b = mul(high, w);
        low = Doubles::add(a, b);
        high = Doubles::sub(a, b);
    }
    void join(V& low, V& high, LaneFactor w) const {
        const V a = low, b = high;
        low = Doubles::add(a, b);
        high = mul(Doubles::sub(a, b), w);
    }
    V leave(V a) const { return reduced(rest(a)); }
    void finish(V& low, V& high, LaneFactor scale, LaneFactor w) const {
        const V a = low, b = high;
        low = reduced(mul(Doubles::add(a, b), scale));
        high = reduced(mul(Doubles::sub(a, b), w));
    }
    // An integer above -p and below p, to one from 0 on.
    V reduced(V a) const {
        const V middle = Doubles::set(Modular::kMiddle);
        return Modular::lift(Modular::sub(Doubles::add(a, middle), middle), whole);
    }
};

}  // namespace
