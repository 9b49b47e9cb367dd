// truncate_open, truncate_close and shift_right, on Lanes.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

constexpr size_t kTruncateGroup = 64;  // elements: a word of every message

// A party's share of x + 2^(ring - 2): party 0 adds it.
u64 truncate_offset(const TruncateArgs& args) { return args.party == 0 ? u64{1} << (args.ring - 2) : 0; }

// Bits 1 - msb of 64 shares, xor their masks.
u64 masked_clear_bits(const u64* share, const u64* own, u64 offset, int ring) {
    u64 word = 0;
    for (size_t i = 0; i < kTruncateGroup; i += Lanes::count) {
        const auto top = Lanes::shr(Lanes::add(Lanes::load(share + i), Lanes::set(offset)), ring - 1);
        word |= Lanes::low_bits(Lanes::xor_(top, Lanes::load(own + i))) << i;
    }
    return ~word;
}

// Where `mask` is all ones, minus the value.
auto negated(decltype(Lanes::set(0)) value, decltype(Lanes::set(0)) mask) {
    return Lanes::sub(Lanes::xor_(value, mask), mask);
}

// 64 elements: x / 2^bits rounded up (party 0) or down, and 2^(ring - bits) for each that did not wrap.
void close_group(const TruncateArgs& args, const u64* share, const u64* own, const u64* product, u64 mine, u64 theirs,
                 u64* out) {
    const auto ring = Lanes::set(low_mask(args.ring)), result = Lanes::set(low_mask(args.result));
    const auto offset = Lanes::set(truncate_offset(args)), cut = Lanes::set(power_of_two(args.bits) - 1);
    // party 0: minus the shifted offset, and minus 2^(ring - bits), which the public bits bring back
    const int above = args.ring - args.bits;
    const u64 lifted = args.party == 0 ? 0 - (u64{1} << (above - 2)) - power_of_two(above) : 0;
    const auto constant = Lanes::set(lifted), up = Lanes::set(args.party == 0 ? power_of_two(args.bits) - 1 : 0);
    const auto one = Lanes::set(args.party == 0 ? 1 : 0);
    for (size_t i = 0; i < kTruncateGroup; i += Lanes::count) {
        const auto m = Lanes::where(mine >> i), t = Lanes::where(theirs >> i);
        auto clear = negated(Lanes::and_(Lanes::load(own + i), t), m);
        clear = Lanes::add(clear, negated(Lanes::load(product + i), Lanes::xor_(m, t)));
        clear = Lanes::add(clear, Lanes::and_(Lanes::and_(m, t), one));
        const auto x = Lanes::and_(Lanes::add(Lanes::load(share + i), offset), ring);
        auto total = Lanes::add(Lanes::shr(x, args.bits), constant);
        total = Lanes::add(total, Lanes::shr(Lanes::add(Lanes::and_(x, cut), up), args.bits));
        if (above < 64) total = Lanes::add(total, Lanes::shl(clear, above));
        Lanes::store(out + i, Lanes::and_(total, result));
    }
}

// The `count` elements of an array from `from` on, filled up with zeros.
const u64* padded(u64* to, const u64* from, size_t count) {
    std::memcpy(to, from, 8 * count);
    std::memset(to + count, 0, 8 * (kTruncateGroup - count));
    return to;
}

void truncate_open(const TruncateArgs& args, size_t first, size_t last) {
    const u64 offset = truncate_offset(args);
    size_t at = first;
    for (; at + kTruncateGroup <= last; at += kTruncateGroup) {
        const u64 word = masked_clear_bits(args.share + at, args.own + at, offset, args.ring);
        std::memcpy(args.message + at / 8, &word, 8);
    }
    if (const size_t rest = last - at; rest != 0) {
        u64 share[kTruncateGroup], own[kTruncateGroup];
        padded(share, args.share + at, rest);
        padded(own, args.own + at, rest);
        const u64 word =
            masked_clear_bits(share, own, offset, args.ring) & low_mask(static_cast<int>(rest));
        std::memcpy(args.message + at / 8, &word, ceil_div(rest, 8));
    }
}

void truncate_close(const TruncateArgs& args, size_t first, size_t last) {
    size_t at = first;
    for (; at + kTruncateGroup <= last; at += kTruncateGroup) {
        u64 mine, theirs;
        std::memcpy(&mine, args.mine + at / 8, 8);
        std::memcpy(&theirs, args.theirs + at / 8, 8);
        close_group(args, args.share + at, args.own + at, args.product + at, mine, theirs, args.out + at);
    }
    if (const size_t rest = last - at; rest != 0) {
        u64 share[kTruncateGroup], own[kTruncateGroup], product[kTruncateGroup], out[kTruncateGroup];
        u64 mine = 0, theirs = 0;
        std::memcpy(&mine, args.mine + at / 8, ceil_div(rest, 8));
        std::memcpy(&theirs, args.theirs + at / 8, ceil_div(rest, 8));
        close_group(args, padded(share, args.share + at, rest), padded(own, args.own + at, rest),
                    padded(product, args.product + at, rest), mine, theirs, out);
        std::memcpy(args.out + at, out, 8 * rest);
    }
}

void shift_right(const u64* x, u64 offset, size_t count, int ring, int bits, u64* out) {
    const u64 mask = low_mask(ring);
    size_t i = 0;
    for (; i + Lanes::count <= count; i += Lanes::count) {
        const auto moved = Lanes::and_(Lanes::add(Lanes::load(x + i), Lanes::set(offset)), Lanes::set(mask));
        Lanes::store(out + i, Lanes::shr(moved, bits));
    }
    for (; i < count; ++i) out[i] = ((x[i] + offset) & mask) >> bits;
}

}  // namespace
