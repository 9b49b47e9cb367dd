// compare_leaves and carry_node, on Lanes.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

// Bit 0 of (onehot >> digit) is "equal", the parity of the bits above it "greater".
void compare_word(const CompareArgs& args, size_t word, const u64* opened, const u64* onehots, u64 tail) {
    const size_t words = words_of(args.n), top = static_cast<size_t>(args.blocks) - 1;
    const auto low = Lanes::set(low_mask(args.bits - 1)), digit_mask = Lanes::set(low_mask(args.width));
    for (size_t t = 0; t < args.threshold_count; ++t) {
        u64* plane = args.planes + t * (2 * top + 1) * words + word;
        const auto threshold = Lanes::set(args.thresholds[t]);
        alignas(64) u64 v[64];
        u64 sign = args.sign_share[word];
        for (size_t i = 0; i < 64; i += Lanes::count) {
            const auto difference = Lanes::sub(Lanes::load(opened + i), threshold);
            Lanes::store(v + i, Lanes::sub(low, Lanes::and_(difference, low)));
            if (args.party == 0) sign ^= Lanes::low_bits(Lanes::shr(difference, args.bits - 1)) << i;
        }
        for (size_t block = 0; block <= top; ++block) {
            u64 greater = 0, equal = 0;
            for (size_t i = 0; i < 64; i += Lanes::count) {
                const auto digit =
                    Lanes::and_(Lanes::shr(Lanes::load(v + i), static_cast<int>(block) * args.width), digit_mask);
                const auto at_or_above = Lanes::shr(Lanes::load(onehots + 64 * block + i), digit);
                equal |= Lanes::low_bits(at_or_above) << i;
                greater |= Lanes::parities(Lanes::shr(at_or_above, 1)) << i;
            }
            if (block == top)
                sign ^= greater;
            else
                plane[(2 * top - block) * words] = greater & tail;
            if (block > 0) plane[(top + 1 - block) * words] = equal & tail;
        }
        plane[0] = sign & tail;
    }
}

void compare_leaves(const CompareArgs& args, size_t first_word, size_t last_word) {
    alignas(64) u64 opened[64], onehots[64 * 64];
    for (size_t word = first_word; word < last_word; ++word) {
        const size_t start = 64 * word, count = args.n - start < 64 ? args.n - start : 64;
        if (count < 64) {
            std::memset(opened, 0, sizeof opened);
            std::memset(onehots, 0, sizeof onehots);
        }
        std::memcpy(opened, args.opened + start, 8 * count);
        for (size_t block = 0; block < static_cast<size_t>(args.blocks); ++block)
            std::memcpy(onehots + 64 * block, args.onehots + block * args.n + start, 8 * count);
        compare_word(args, word, opened, onehots, low_mask(static_cast<int>(count)));
    }
}

// The Horner form of carry_node in twin.py, eight words at a time; the inner loops vectorise.
void carry_node(const CarryArgs& args, size_t first_word, size_t last_word) {
    constexpr size_t kStep = 8;
    alignas(64) u64 sums[(size_t{1} << (kMaxBlocks - 1)) * kStep];
    const size_t planes = static_cast<size_t>(args.blocks) - 1;
    for (size_t start = first_word; start < last_word; start += kStep) {
        const size_t count = last_word - start < kStep ? last_word - start : kStep;
        const auto load = [&](u64* to, const u64* array, size_t row) {
            for (size_t i = 0; i < kStep; ++i) to[i] = i < count ? array[row * args.words + start + i] : 0;
        };
        std::memset(sums, 0, (size_t{8} << planes) * kStep);
        size_t end = 3 * ((size_t{1} << planes) - 1);
        for (size_t plane = planes; plane-- > 0;) {
            const size_t half = size_t{1} << plane;
            u64 generate[kStep], propagate[kStep], of_propagates[kStep], with_generate[kStep];
            load(generate, args.opened, planes + plane);
            load(propagate, args.opened, plane);
            end -= 2 * half;
            for (size_t s = 0; s < 2 * half; ++s) {
                if (s == 0)
                    std::memset(of_propagates, args.party == 0 ? 0xff : 0, sizeof of_propagates);
                else
                    load(of_propagates, args.products, s - 1);
                load(with_generate, args.products, end + s);
                for (size_t i = 0; i < kStep; ++i)
                    sums[s * kStep + i] ^= (generate[i] & of_propagates[i]) ^ with_generate[i];
            }
            for (size_t i = 0; i < half * kStep; ++i)
                sums[i] = (propagate[i % kStep] & sums[i]) ^ sums[half * kStep + i];
        }
        std::memcpy(args.out + start, sums, 8 * count);
    }
}

}  // namespace
