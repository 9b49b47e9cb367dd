// Nodes as long as a vector, to single coefficients and back, for ntt.hpp: two nodes at a time, each half of a step in
// one vector. `node` is the first node.
#pragma once
#include "modular.hpp"

namespace {

#if defined __AVX512F__

// Some pairs of nodes in turn, step by step: one alone would wait for its own results.
constexpr size_t kTogether = 2;

template <class Action>
void each(const Action& action) {
    for (size_t k = 0; k < kTogether; ++k) action(k);
}

template <class Steps>
struct Leaves {
    using V = Modular::V;
    static constexpr size_t step = 2 * Modular::count;

    const Steps& steps;

    static V pick(V a, V b, V places) { return _mm512_permutex2var_epi64(a, places, b); }
    static V outer() { return _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0); }  // the first pair of every four
    static V inner() { return _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2); }
    static V by_two() { return _mm512_set_epi64(1, 1, 1, 1, 0, 0, 0, 0); }
    static V by_four() { return _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0); }
    // Factors from `node` on, each in `8 / nodes` lanes.
    LaneFactor spread(size_t node, V places) const {
        return {_mm512_permutexvar_epi64(places, Modular::load(steps.values + node)),
                _mm512_permutexvar_epi64(places, Modular::load(steps.quotients + node))};
    }
    LaneFactor factors_at(size_t node) const {
        return {Modular::load(steps.values + node), Modular::load(steps.quotients + node)};
    }

    void split(u64* block, size_t length, size_t node) const {
        V low[kTogether], high[kTogether], a[kTogether], b[kTogether];
        for (u64 *at = block, *const end = block + length; at < end; at += step * kTogether, node += 2 * kTogether) {
            each([&](size_t k) {
                const V u = Modular::load(at + step * k), v = Modular::load(at + step * k + Modular::count);
                low[k] = _mm512_shuffle_i64x2(u, v, 0x44), high[k] = _mm512_shuffle_i64x2(u, v, 0xee);
            });
            each([&](size_t k) { steps.split(low[k], high[k], spread(node + 2 * k, by_two())); });
            each([&](size_t k) { a[k] = pick(low[k], high[k], outer()), b[k] = pick(low[k], high[k], inner()); });
            each([&](size_t k) { steps.split(a[k], b[k], spread(2 * node + 4 * k, by_four())); });
            each([&](size_t k) {
                low[k] = _mm512_unpacklo_epi64(a[k], b[k]), high[k] = _mm512_unpackhi_epi64(a[k], b[k]);
            });
            each([&](size_t k) { steps.split(low[k], high[k], factors_at(4 * node + 8 * k)); });
            each([&](size_t k) { low[k] = steps.leave(low[k]), high[k] = steps.leave(high[k]); });
            each([&](size_t k) {
                a[k] = _mm512_unpacklo_epi64(low[k], high[k]), b[k] = _mm512_unpackhi_epi64(low[k], high[k]);
                u64* const to = at + step * k;
                Modular::store(to, pick(a[k], b[k], _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0)));
                Modular::store(to + Modular::count, pick(a[k], b[k], _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4)));
            });
        }
    }
    void join(u64* block, size_t length, size_t node) const {
        V low[kTogether], high[kTogether], a[kTogether], b[kTogether];
        for (u64 *at = block, *const end = block + length; at < end; at += step * kTogether, node += 2 * kTogether) {
            each([&](size_t k) {
                const V u = steps.enter(Modular::load(at + step * k));
                const V v = steps.enter(Modular::load(at + step * k + Modular::count));
                a[k] = pick(u, v, _mm512_set_epi64(13, 12, 9, 8, 5, 4, 1, 0));
                b[k] = pick(u, v, _mm512_set_epi64(15, 14, 11, 10, 7, 6, 3, 2));
            });
            each([&](size_t k) {
                low[k] = _mm512_unpacklo_epi64(a[k], b[k]), high[k] = _mm512_unpackhi_epi64(a[k], b[k]);
            });
            each([&](size_t k) { steps.join(low[k], high[k], factors_at(4 * node + 8 * k)); });
            each([&](size_t k) {
                a[k] = _mm512_unpacklo_epi64(low[k], high[k]), b[k] = _mm512_unpackhi_epi64(low[k], high[k]);
            });
            each([&](size_t k) { steps.join(a[k], b[k], spread(2 * node + 4 * k, by_four())); });
            each([&](size_t k) { a[k] = steps.lighten(a[k]); });
            each([&](size_t k) { low[k] = pick(a[k], b[k], outer()), high[k] = pick(a[k], b[k], inner()); });
            each([&](size_t k) { steps.join(low[k], high[k], spread(node + 2 * k, by_two())); });
            each([&](size_t k) {
                low[k] = steps.lighten(low[k]);
                u64* const to = at + step * k;
                Modular::store(to, _mm512_shuffle_i64x2(low[k], high[k], 0x44));
                Modular::store(to + Modular::count, _mm512_shuffle_i64x2(low[k], high[k], 0xee));
            });
        }
    }
};

#elif defined __AVX2__

template <class Steps>
struct Leaves {
    using V = Modular::V;
    static constexpr size_t step = 2 * Modular::count;

    const Steps& steps;

    // The factors of two nodes, each in two lanes.
    static V by_two(const u64* factors) {
        const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(factors));
        return _mm256_permute4x64_epi64(_mm256_castsi128_si256(two), 0x50);
    }
    LaneFactor spread(size_t node) const { return {by_two(steps.values + node), by_two(steps.quotients + node)}; }
    LaneFactor factors_at(size_t node) const {
        return {Modular::load(steps.values + node), Modular::load(steps.quotients + node)};
    }
    static V first_halves(V a, V b) { return _mm256_permute2x128_si256(a, b, 0x20); }
    static V second_halves(V a, V b) { return _mm256_permute2x128_si256(a, b, 0x31); }

    void split(u64* block, size_t length, size_t node) const {
        for (u64 *at = block, *const end = block + length; at < end; at += step, node += 2) {
            const V u = Modular::load(at), v = Modular::load(at + Modular::count);
            V low = first_halves(u, v), high = second_halves(u, v);
            steps.split(low, high, spread(node));
            V a = _mm256_unpacklo_epi64(low, high), b = _mm256_unpackhi_epi64(low, high);
            steps.split(a, b, factors_at(2 * node));
            a = steps.leave(a), b = steps.leave(b);
            low = _mm256_unpacklo_epi64(a, b), high = _mm256_unpackhi_epi64(a, b);
            Modular::store(at, first_halves(low, high));
            Modular::store(at + Modular::count, second_halves(low, high));
        }
    }
    void join(u64* block, size_t length, size_t node) const {
        for (u64 *at = block, *const end = block + length; at < end; at += step, node += 2) {
            const V u = steps.enter(Modular::load(at)), v = steps.enter(Modular::load(at + Modular::count));
            V low = first_halves(u, v), high = second_halves(u, v);
            V a = _mm256_unpacklo_epi64(low, high), b = _mm256_unpackhi_epi64(low, high);
            steps.join(a, b, factors_at(2 * node));
            low = _mm256_unpacklo_epi64(a, b), high = _mm256_unpackhi_epi64(a, b);
            steps.join(low, high, spread(node));
            low = steps.lighten(low);
            Modular::store(at, first_halves(low, high));
            Modular::store(at + Modular::count, second_halves(low, high));
        }
    }
};

#else

template <class Steps>
struct Leaves {
    const Steps& steps;

    void split(u64* block, size_t length, size_t) const {
        for (size_t i = 0; i < length; ++i) block[i] = steps.leave(block[i]);
    }
    void join(u64*, size_t, size_t) const {}
};

#endif

}  // namespace
