// Number-theoretic transforms of one polynomial modulo X^n + 1, in place. Blocks of the transform form a binary tree:
// node i of length n splits into nodes 2i and 2i + 1 of length n / 2, with factor i of the table. Two levels are done in
// one pass over memory. Between steps values are below 4p forward and below 2p backward (Harvey, as in ntt_tables.py).
#pragma once
#include <cstring>

#include "modular.hpp"

namespace {

struct Ntt {
    using V = Modular::V;
    struct Factor {
        V value, quotient;
    };

    u64* const x;
    const size_t n;
    const u64* const factors;
    const V p, twice, minus;

    Ntt(u64* polynomial, size_t degree, u64 prime, const u64* table)
        : x(polynomial),
          n(degree),
          factors(table),
          p(Modular::set(prime)),
          twice(Modular::set(2 * prime)),
          minus(Modular::minus(prime)) {}

    Factor factor(size_t node) const { return {Modular::set(factors[node]), Modular::set(factors[n + node])}; }
    V mul(V a, Factor w) const { return Modular::mul(a, w.value, w.quotient, minus); }

    void split(V& low, V& high, Factor w) const {
        const V a = Modular::cut(low, twice), b = mul(high, w);
        low = Modular::add(a, b);
        high = Modular::sub(Modular::add(a, twice), b);
    }
    void join(V& low, V& high, Factor w) const {
        const V sum = Modular::add(low, high);
        high = mul(Modular::sub(Modular::add(low, twice), high), w);
        low = Modular::cut(sum, twice);
    }

    void finish(V& low, V& high, Factor scale, Factor w) const {
        const V sum = Modular::add(low, high);
        high = Modular::cut(mul(Modular::sub(Modular::add(low, twice), high), w), p);
        low = Modular::cut(mul(sum, scale), p);
    }

    // The node of length `length` that begins at `block`, to its four grandchildren.
    void split_twice(u64* block, size_t length, size_t node) const {
        const Factor top = factor(node), left = factor(2 * node), right = factor(2 * node + 1);
        const size_t quarter = length / 4;
        for (size_t i = 0; i < quarter; i += Modular::count) {
            u64* const at = block + i;
            V a = Modular::load(at), b = Modular::load(at + quarter);
            V c = Modular::load(at + 2 * quarter), d = Modular::load(at + 3 * quarter);
            split(a, c, top);
            split(b, d, top);
            split(a, b, left);
            split(c, d, right);
            Modular::store(at, a);
            Modular::store(at + quarter, b);
            Modular::store(at + 2 * quarter, c);
            Modular::store(at + 3 * quarter, d);
        }
    }
    // The other way; at the root the last step divides by n as well, and reduces.
    template <bool Root>
    void join_twice(u64* block, size_t length, size_t node) const {
        const Factor top = factor(node), left = factor(2 * node), right = factor(2 * node + 1), scale = factor(0);
        const size_t quarter = length / 4;
        for (size_t i = 0; i < quarter; i += Modular::count) {
            u64* const at = block + i;
            V a = Modular::load(at), b = Modular::load(at + quarter);
            V c = Modular::load(at + 2 * quarter), d = Modular::load(at + 3 * quarter);
            join(a, b, left);
            join(c, d, right);
            if constexpr (Root) {
                finish(a, c, scale, top);
                finish(b, d, scale, top);
            } else {
                join(a, c, top);
                join(b, d, top);
            }
            Modular::store(at, a);
            Modular::store(at + quarter, b);
            Modular::store(at + 2 * quarter, c);
            Modular::store(at + 3 * quarter, d);
        }
    }

    void split_once(u64* block, size_t length, size_t node) const {
        const Factor w = factor(node);
        for (size_t i = 0; i < length / 2; i += Modular::count) {
            V low = Modular::load(block + i), high = Modular::load(block + length / 2 + i);
            split(low, high, w);
            Modular::store(block + i, low);
            Modular::store(block + length / 2 + i, high);
        }
    }
    void join_root() const {
        const Factor scale = factor(0), w = factor(1);
        for (size_t i = 0; i < n / 2; i += Modular::count) {
            V low = Modular::load(x + i), high = Modular::load(x + n / 2 + i);
            finish(low, high, scale, w);
            Modular::store(x + i, low);
            Modular::store(x + n / 2 + i, high);
        }
    }

#ifdef __AVX512IFMA__
    // Nodes of 8 coefficients to single ones, and back: two nodes at a time, each half of a step in one vector.
    static constexpr size_t leaf = 8;

    static V pick(V a, V b, V places) { return _mm512_permutex2var_epi64(a, places, b); }
    static V outer() { return _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0); }  // the first pair of every four
    static V inner() { return _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2); }
    // Factors from `node` on, each in `8 / nodes` lanes.
    Factor spread(size_t node, V places) const {
        return {_mm512_permutexvar_epi64(places, Modular::load(factors + node)),
                _mm512_permutexvar_epi64(places, Modular::load(factors + n + node))};
    }
    static V by_two() { return _mm512_set_epi64(1, 1, 1, 1, 0, 0, 0, 0); }
    static V by_four() { return _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0); }

    void split_leaves(u64* block, size_t length, size_t node) const {
        for (u64 *at = block, *const end = block + length; at < end; at += 2 * leaf, node += 2) {
            const V u = Modular::load(at), v = Modular::load(at + leaf);
            V low = _mm512_shuffle_i64x2(u, v, 0x44), high = _mm512_shuffle_i64x2(u, v, 0xee);
            split(low, high, spread(node, by_two()));
            V a = pick(low, high, outer()), b = pick(low, high, inner());
            split(a, b, spread(2 * node, by_four()));
            low = _mm512_unpacklo_epi64(a, b), high = _mm512_unpackhi_epi64(a, b);
            split(low, high, {Modular::load(factors + 4 * node), Modular::load(factors + n + 4 * node)});
            low = Modular::cut(Modular::cut(low, twice), p), high = Modular::cut(Modular::cut(high, twice), p);
            a = _mm512_unpacklo_epi64(low, high), b = _mm512_unpackhi_epi64(low, high);
            Modular::store(at, pick(a, b, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0)));
            Modular::store(at + leaf, pick(a, b, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4)));
        }
    }
    void join_leaves() const {
        for (size_t i = 0, node = n / leaf; i < n; i += 2 * leaf, node += 2) {
            const V u = Modular::load(x + i), v = Modular::load(x + i + leaf);
            V a = pick(u, v, _mm512_set_epi64(13, 12, 9, 8, 5, 4, 1, 0));
            V b = pick(u, v, _mm512_set_epi64(15, 14, 11, 10, 7, 6, 3, 2));
            V low = _mm512_unpacklo_epi64(a, b), high = _mm512_unpackhi_epi64(a, b);
            join(low, high, {Modular::load(factors + 4 * node), Modular::load(factors + n + 4 * node)});
            a = _mm512_unpacklo_epi64(low, high), b = _mm512_unpackhi_epi64(low, high);
            join(a, b, spread(2 * node, by_four()));
            low = pick(a, b, outer()), high = pick(a, b, inner());
            join(low, high, spread(node, by_two()));
            Modular::store(x + i, _mm512_shuffle_i64x2(low, high, 0x44));
            Modular::store(x + i + leaf, _mm512_shuffle_i64x2(low, high, 0xee));
        }
    }
#else
    static constexpr size_t leaf = 1;

    void split_leaves(u64* block, size_t length, size_t) const {
        for (size_t i = 0; i < length; ++i) block[i] = Modular::cut(Modular::cut(block[i], twice), p);
    }
    void join_leaves() const {}
#endif

    // The node of length `length` that begins at `block`, to single coefficients. Where its levels are odd in number the
    // first is done alone.
    void split_all(u64* block, size_t length, size_t node) const {
        size_t nodes = 1;
        if (__builtin_ctzll(length / leaf) % 2 != 0) {
            split_once(block, length, node);
            nodes = 2;
        }
        for (; nodes < length / leaf; nodes *= 4)
            for (size_t i = 0; i < nodes; ++i)
                split_twice(block + length / nodes * i, length / nodes, nodes * node + i);
        split_leaves(block, length, length / leaf * node);
    }
};

void ntt_forward(u64* x, size_t n, u64 p, const u64* factors) { Ntt(x, n, p, factors).split_all(x, n, 1); }

// Of a polynomial of which the first `length` coefficients are given, a power of two from 16 on, and the others are zero:
// the upper levels only make copies of them.
void ntt_forward_short(u64* x, size_t n, size_t length, u64 p, const u64* factors) {
    const Ntt ntt(x, n, p, factors);
    for (size_t node = 2 * n / length; node-- > n / length;) {  // what is copied comes last
        u64* const block = x + length * (node - n / length);
        if (block != x) std::memcpy(block, x, 8 * length);
        ntt.split_all(block, length, node);
    }
}

void ntt_inverse(u64* x, size_t n, u64 p, const u64* factors) {
    const Ntt ntt(x, n, p, factors);
    ntt.join_leaves();
    size_t nodes = n / Ntt::leaf / 4;
    for (; nodes > 1; nodes /= 4)
        for (size_t i = 0; i < nodes; ++i) ntt.join_twice<false>(x + n / nodes * i, n / nodes, nodes + i);
    nodes == 1 ? ntt.join_twice<true>(x, n, 1) : ntt.join_root();
}

}  // namespace
