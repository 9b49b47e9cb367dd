// Steps by integers, see ntt.hpp. Between steps values are below 4p forward and below 2p backward (Harvey, see
// ntt_tables.py); but forward, where p is below 2^47, each step may add 2p: 14 steps from 4p on stay below 32p, which
// is below 2^52.
#pragma once
#include "modular.hpp"

namespace {

template <bool Roomy>
struct Steps {
    using V = Modular::V;

    const u64 *const values, *const quotients;
    const V p, twice, modulus;
    const LaneFactor one;

    Steps(size_t n, const Prime& prime, const u64* table)
        : values(table),
          quotients(table + n),
          p(Modular::set(prime.p)),
          twice(Modular::set(2 * prime.p)),
          modulus(Modular::modulus(prime.p)),
          one(Modular::factor({1, prime.quotient})) {}

    LaneFactor factor(size_t node) const { return {Modular::set(values[node]), Modular::set(quotients[node])}; }
    V mul(V a, LaneFactor w) const { return Modular::mul(a, w, modulus); }

    static V enter(V a) { return a; }
    static V lighten(V a) { return a; }
    void split(V& low, V& high, LaneFactor w) const {
        const V a = Roomy ? low : Modular::cut(low, twice), b = mul(high, w);
        low = Modular::add(a, b);
        high = Modular::sub(Modular::add(a, twice), b);
    }
    V leave(V a) const { return Modular::cut(Roomy ? Modular::fold(a, one, modulus) : Modular::cut(a, twice), p); }
    void join(V& low, V& high, LaneFactor w) const {
        const V sum = Modular::add(low, high);
        high = mul(Modular::sub(Modular::add(low, twice), high), w);
        low = Modular::cut(sum, twice);
    }
    void finish(V& low, V& high, LaneFactor scale, LaneFactor w) const {
        const V sum = Modular::add(low, high);
        high = Modular::cut(mul(Modular::sub(Modular::add(low, twice), high), w), p);
        low = Modular::cut(mul(sum, scale), p);
    }
};

}  // namespace
