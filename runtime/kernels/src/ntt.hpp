// Number-theoretic transforms of one polynomial modulo X^n + 1, in place. Blocks of the transform form a binary tree:
// node i of some length splits into nodes 2i and 2i + 1 of half of it, with factor i of the table. Two levels are done
// in one pass over memory, and the last ones in registers.
#pragma once
#include "modular.hpp"

// Each of these defines Steps<Roomy>, the steps of one level (Roomy: forward steps for primes below 2^47), with
//   enter(a)                        integers below 2p in the form of the steps
//   split(low, high, w)             low + w high and low - w high
//   join(low, high, w)              low + high and w (low - high)
//   lighten(a)                      in the middle of a pass, where values would grow too much
//   leave(a)                        integers below p again
//   finish(low, high, scale, w)     the last step of the inverse: as join, the sum times `scale`, then as leave
#if defined __FMA__ && !defined __AVX512IFMA__
#include "ntt_doubles.hpp"
#else
#include "ntt_integers.hpp"
#endif
#include "ntt_leaves.hpp"

namespace {

constexpr int kRoomyBits = 47;

template <bool Roomy>
struct Ntt : Steps<Roomy> {
    using Step = Steps<Roomy>;
    using V = Modular::V;
    using Step::split, Step::join, Step::factor;

    u64* const x;
    const size_t n;

    Ntt(u64* polynomial, size_t degree, const Prime& prime, const u64* table)
        : Step(degree, prime, table), x(polynomial), n(degree) {}

    // The node of length `length` that begins at `block`, to its four grandchildren.
    template <bool Enter>
    void split_twice(u64* block, size_t length, size_t node) const {
        const LaneFactor top = factor(node), left = factor(2 * node), right = factor(2 * node + 1);
        const size_t quarter = length / 4;
        for (size_t i = 0; i < quarter; i += Modular::count) {
            u64* const at = block + i;
            V a = Modular::load(at), b = Modular::load(at + quarter);
            V c = Modular::load(at + 2 * quarter), d = Modular::load(at + 3 * quarter);
            if constexpr (Enter) a = Step::enter(a), b = Step::enter(b), c = Step::enter(c), d = Step::enter(d);
            a = Step::lighten(a), b = Step::lighten(b);
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
        const LaneFactor top = factor(node), left = factor(2 * node), right = factor(2 * node + 1), scale = factor(0);
        const size_t quarter = length / 4;
        for (size_t i = 0; i < quarter; i += Modular::count) {
            u64* const at = block + i;
            V a = Modular::load(at), b = Modular::load(at + quarter);
            V c = Modular::load(at + 2 * quarter), d = Modular::load(at + 3 * quarter);
            join(a, b, left);
            join(c, d, right);
            if constexpr (Root) {
                Step::finish(a, c, scale, top);
                Step::finish(b, d, scale, top);
            } else {
                join(a, c, top);
                join(b, d, top);
                a = Step::lighten(a), b = Step::lighten(b);
            }
            Modular::store(at, a);
            Modular::store(at + quarter, b);
            Modular::store(at + 2 * quarter, c);
            Modular::store(at + 3 * quarter, d);
        }
    }

    // From integers.
    void split_once(u64* block, size_t length, size_t node) const {
        const LaneFactor w = factor(node);
        for (size_t i = 0; i < length / 2; i += Modular::count) {
            V low = Step::enter(Modular::load(block + i)), high = Step::enter(Modular::load(block + length / 2 + i));
            split(low, high, w);
            Modular::store(block + i, low);
            Modular::store(block + length / 2 + i, high);
        }
    }
    void join_root() const {
        const LaneFactor scale = factor(0), w = factor(1);
        for (size_t i = 0; i < n / 2; i += Modular::count) {
            V low = Modular::load(x + i), high = Modular::load(x + n / 2 + i);
            Step::finish(low, high, scale, w);
            Modular::store(x + i, low);
            Modular::store(x + n / 2 + i, high);
        }
    }

    // The node of length `length` that begins at `block`, to single coefficients. Where its levels are odd in number
    // the first is done alone.
    void split_all(u64* block, size_t length, size_t node) const {
        constexpr size_t leaf = Modular::count;
        const bool odd = __builtin_ctzll(length / leaf) % 2 != 0;
        odd ? split_once(block, length, node) : split_twice<true>(block, length, node);
        for (size_t nodes = odd ? 2 : 4; nodes < length / leaf; nodes *= 4)
            for (size_t i = 0; i < nodes; ++i)
                split_twice<false>(block + length / nodes * i, length / nodes, nodes * node + i);
        Leaves<Step>{*this}.split(block, length, length / leaf * node);
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
    Leaves<Steps<false>>{ntt}.join(x, n, n / Modular::count);
    size_t nodes = n / Modular::count / 4;
    for (; nodes > 1; nodes /= 4)
        for (size_t i = 0; i < nodes; ++i) ntt.join_twice<false>(x + n / nodes * i, n / nodes, nodes + i);
    nodes == 1 ? ntt.join_twice<true>(x, n, 1) : ntt.join_root();
}

}  // namespace
