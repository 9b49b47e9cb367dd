// Number-theoretic transforms of one polynomial modulo X^n + 1, in place. Blocks of the transform form a binary tree:
// node i of some length splits into nodes 2i and 2i + 1 of half of it, with factor i of the table. Two levels are done
// in one pass over memory. Between steps values are below 4p forward and below 2p backward (Harvey, see ntt_tables.py);
// but forward, where p is below 2^47, each step may add 2p: 14 steps from 4p on stay below 32p, which is below 2^52.
#pragma once
#include "modular.hpp"

namespace {

constexpr int kRoomyBits = 47;

template <bool Roomy>
struct Ntt {
    using V = Modular::V;
    struct Factor {
        V value, quotient;
    };

    u64* const x;
    const size_t n;
    const u64* const factors;
    const V p, twice, minus, quotient;

    Ntt(u64* polynomial, size_t degree, const Prime& prime, const u64* table)
        : x(polynomial),
          n(degree),
          factors(table),
          p(Modular::set(prime.p)),
          twice(Modular::set(2 * prime.p)),
          minus(Modular::minus(prime.p)),
          quotient(Modular::set(prime.quotient)) {}

    Factor factor(size_t node) const { return {Modular::set(factors[node]), Modular::set(factors[n + node])}; }
    V mul(V a, Factor w) const { return Modular::mul(a, w.value, w.quotient, minus); }

    void split(V& low, V& high, Factor w) const {
        const V a = Roomy ? low : Modular::cut(low, twice), b = mul(high, w);
        low = Modular::add(a, b);
        high = Modular::sub(Modular::add(a, twice), b);
    }
    V reduce(V a) const { return Modular::cut(Roomy ? Modular::fold(a, quotient, p) : Modular::cut(a, twice), p); }
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
    Factor factors_at(size_t node) const { return {Modular::load(factors + node), Modular::load(factors + n + node)}; }
    static V by_two() { return _mm512_set_epi64(1, 1, 1, 1, 0, 0, 0, 0); }
    static V by_four() { return _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0); }

    // Some pairs of nodes in turn, step by step: one alone would wait for its own results.
    static constexpr size_t together = 2;
    template <class Action>
    static void each(const Action& action) {
        for (size_t k = 0; k < together; ++k) action(k);
    }

    void split_leaves(u64* block, size_t length, size_t node) const {
        V low[together], high[together], a[together], b[together];
        for (u64 *at = block, *const end = block + length; at < end; at += 2 * leaf * together, node += 2 * together) {
            each([&](size_t k) {
                const V u = Modular::load(at + 2 * leaf * k), v = Modular::load(at + 2 * leaf * k + leaf);
                low[k] = _mm512_shuffle_i64x2(u, v, 0x44), high[k] = _mm512_shuffle_i64x2(u, v, 0xee);
            });
            each([&](size_t k) { split(low[k], high[k], spread(node + 2 * k, by_two())); });
            each([&](size_t k) { a[k] = pick(low[k], high[k], outer()), b[k] = pick(low[k], high[k], inner()); });
            each([&](size_t k) { split(a[k], b[k], spread(2 * node + 4 * k, by_four())); });
            each([&](size_t k) {
                low[k] = _mm512_unpacklo_epi64(a[k], b[k]), high[k] = _mm512_unpackhi_epi64(a[k], b[k]);
            });
            each([&](size_t k) { split(low[k], high[k], factors_at(4 * node + 8 * k)); });
            each([&](size_t k) { low[k] = reduce(low[k]), high[k] = reduce(high[k]); });
            each([&](size_t k) {
                a[k] = _mm512_unpacklo_epi64(low[k], high[k]), b[k] = _mm512_unpackhi_epi64(low[k], high[k]);
                u64* const to = at + 2 * leaf * k;
                Modular::store(to, pick(a[k], b[k], _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0)));
                Modular::store(to + leaf, pick(a[k], b[k], _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4)));
            });
        }
    }
    void join_leaves() const {
        V low[together], high[together], a[together], b[together];
        for (size_t i = 0, node = n / leaf; i < n; i += 2 * leaf * together, node += 2 * together) {
            each([&](size_t k) {
                const V u = Modular::load(x + i + 2 * leaf * k), v = Modular::load(x + i + 2 * leaf * k + leaf);
                a[k] = pick(u, v, _mm512_set_epi64(13, 12, 9, 8, 5, 4, 1, 0));
                b[k] = pick(u, v, _mm512_set_epi64(15, 14, 11, 10, 7, 6, 3, 2));
            });
            each([&](size_t k) {
                low[k] = _mm512_unpacklo_epi64(a[k], b[k]), high[k] = _mm512_unpackhi_epi64(a[k], b[k]);
            });
            each([&](size_t k) { join(low[k], high[k], factors_at(4 * node + 8 * k)); });
            each([&](size_t k) {
                a[k] = _mm512_unpacklo_epi64(low[k], high[k]), b[k] = _mm512_unpackhi_epi64(low[k], high[k]);
            });
            each([&](size_t k) { join(a[k], b[k], spread(2 * node + 4 * k, by_four())); });
            each([&](size_t k) { low[k] = pick(a[k], b[k], outer()), high[k] = pick(a[k], b[k], inner()); });
            each([&](size_t k) { join(low[k], high[k], spread(node + 2 * k, by_two())); });
            each([&](size_t k) {
                u64* const to = x + i + 2 * leaf * k;
                Modular::store(to, _mm512_shuffle_i64x2(low[k], high[k], 0x44));
                Modular::store(to + leaf, _mm512_shuffle_i64x2(low[k], high[k], 0xee));
            });
        }
    }
#else
    static constexpr size_t leaf = 1;

    void split_leaves(u64* block, size_t length, size_t) const {
        for (size_t i = 0; i < length; ++i) block[i] = reduce(block[i]);
    }
    void join_leaves() const {}
#endif

    // The node of length `length` that begins at `block`, to single coefficients. Where its levels are odd in number
    // the first is done alone.
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

// `count` blocks of `length` coefficients, a power of two from 32 on, one after the other: each the same node.
void ntt_blocks(u64* blocks, size_t count, size_t length, size_t node, size_t n, const Prime& prime,
                const u64* factors) {
    const auto run = [&](const auto& ntt) {
        for (size_t k = 0; k < count; ++k) ntt.split_all(blocks + k * length, length, node);
    };
    prime.p >> kRoomyBits == 0 ? run(Ntt<true>(blocks, n, prime, factors)) : run(Ntt<false>(blocks, n, prime, factors));
}

void ntt_forward(u64* x, size_t n, const Prime& prime, const u64* factors) {
    ntt_blocks(x, 1, n, 1, n, prime, factors);
}

void ntt_inverse(u64* x, size_t n, const Prime& prime, const u64* factors) {
    const Ntt<false> ntt(x, n, prime, factors);
    ntt.join_leaves();
    size_t nodes = n / ntt.leaf / 4;
    for (; nodes > 1; nodes /= 4)
        for (size_t i = 0; i < nodes; ++i) ntt.join_twice<false>(x + n / nodes * i, n / nodes, nodes + i);
    nodes == 1 ? ntt.join_twice<true>(x, n, 1) : ntt.join_root();
}

}  // namespace
