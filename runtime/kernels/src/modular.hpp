// Arithmetic modulo primes below 2^50, without a division or a branch: on the lanes of the including instruction set,
// by IFMA, by doubles or, in one lane, by integers of 128 bits.
#pragma once
#include "kernels.hpp"

namespace {

constexpr int kHalfBits = 52;  // IFMA multiplies 52 bits by 52, and so many bits a double has

// A constant factor in every lane, in the form that mul takes.
struct LaneFactor {
    Lanes::V value, quotient;
};

}  // namespace

// Each of these defines Modular, the lanes with
//   modulus(p)                  p in the form that mul and fold take
//   factor(m)                   a constant factor below p
//   mul(a, factor, modulus)     a w mod p, below 2p, of a below 2^52
//   fold(a, one, modulus)       the same with the factor one
//   Sum, sum(start, products)   a sum of so many products to come, at most kMostProducts, and a start below 2^52
//   operand(a)                  a below p in the form that add_product takes
//   add_product(sum, a, b)
//   high(sum), low(sum)         it is high 2^52 + low, both below 2^52
#if defined __AVX512IFMA__
#include "modular_ifma.hpp"
#elif defined __FMA__
#include "modular_doubles.hpp"
#else
#include "modular_scalar.hpp"
#endif

namespace {

// So many products may be added to a start below 2^52, and the half above stays below 2^52.
constexpr size_t kMostProducts = 15;

// One prime in every lane.
struct Field {
    using V = Modular::V;
    V p, twice, cover, modulus;
    LaneFactor one, wide;

    explicit Field(const Prime& prime)
        : p(Modular::set(prime.p)),
          twice(Modular::set(2 * prime.p)),
          cover(Modular::set(prime.cover)),
          modulus(Modular::modulus(prime.p)),
          one(Modular::factor({1, prime.quotient})),
          wide(Modular::factor(prime.wide)) {}

    // a below 2^52 to below 2p, modulo p.
    V fold(V a) const { return Modular::fold(a, one, modulus); }
    // Below 4p to below p.
    V reduce(V a) const { return Modular::cut(Modular::cut(a, twice), p); }
    // Below 2p, of a below 2^52.
    V mul(V a, Multiplier factor) const { return Modular::mul(a, Modular::factor(factor), modulus); }
    // high 2^52 + low, both below 2^52, to below 4p.
    V join(V high, V low) const { return Modular::add(Modular::mul(high, wide, modulus), fold(low)); }
    V fold(const Modular::Sum& sum) const { return join(Modular::high(sum), Modular::low(sum)); }
};

}  // namespace
