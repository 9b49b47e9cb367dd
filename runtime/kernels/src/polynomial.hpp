// segmented_polynomial, on Lanes, a block of elements at a time: its coefficients stay in the first-level cache while
// each row of dealt shares is read once, in order. Entries that several elements share are repeated in the block only.
#pragma once
#include <algorithm>
#include <cstring>

#include "kernels.hpp"

namespace {

constexpr size_t kPolynomialBlock = 128;

struct PolynomialBlock {
    size_t start, count;
    alignas(64) u64 powers[kMaxPowers][kPolynomialBlock];  // coefficient of each power of the masks, one column's
    alignas(64) u64 public_z[kPolynomialBlock], public_w[kPolynomialBlock];
    alignas(64) u64 wrapped_z[kPolynomialBlock], wrapped_w[kPolynomialBlock];  // all ones where the wrap counts
    alignas(64) u64 bit[kPolynomialBlock], part[kPolynomialBlock], sum[kPolynomialBlock];
    alignas(64) u64 padded[4][kPolynomialBlock];

    // The block's elements of an array, each entry of which stands for `repeat` elements, filled up with zeros.
    const u64* take(u64* to, const u64* from, size_t repeat) const {
        if (repeat == 1)
            std::memcpy(to, from + start, 8 * count);
        else
            for (size_t at = 0, end; at < count; at = end) {
                const size_t entry = (start + at) / repeat;
                end = std::min(count, (entry + 1) * repeat - start);
                std::fill(to + at, to + end, from[entry]);
            }
        std::memset(to + count, 0, 8 * (kPolynomialBlock - count));
        return to;
    }
};

// Calls `lanes` at every vector of the block.
template <class Function>
void over_block(const Function& lanes) {
    for (size_t at = 0; at < kPolynomialBlock; at += Lanes::count) lanes(at);
}

// The public part of a value from its opening, in place.
void unmask(u64* opened, u64* wrapped, int bits) {
    const auto quarter = Lanes::set(u64{1} << (bits - 2)), one = Lanes::set(1), mask = Lanes::set(low_mask(bits));
    over_block([&](size_t at) {
        const auto shifted = Lanes::and_(Lanes::add(Lanes::load(opened + at), quarter), mask);
        const auto top = Lanes::shr(shifted, bits - 1);
        const auto step = bits < 64 ? Lanes::shl(top, bits) : Lanes::set(0);
        Lanes::store(opened + at, Lanes::sub(Lanes::sub(shifted, step), quarter));
        Lanes::store(wrapped + at, Lanes::sub(top, one));
    });
}

// to += offset * from
void move_power(u64* to, const u64* from, const u64* offset) {
    over_block([&](size_t at) {
        const auto sum = Lanes::load(to + at);
        Lanes::store(to + at, Lanes::mul_add(sum, Lanes::load(offset + at), Lanes::load(from + at)));
    });
}

// The coefficients of one column, moved to powers of the masks.
void move_column(PolynomialBlock& block, size_t z_powers, size_t w_powers) {
    for (size_t done = 1; done < z_powers; ++done)
        for (size_t i = z_powers - 1; i >= done; --i)
            for (size_t j = 0; j < w_powers; ++j)
                move_power(block.powers[(i - 1) * w_powers + j], block.powers[i * w_powers + j], block.public_z);
    for (size_t done = 1; done < w_powers; ++done)
        for (size_t j = w_powers - 1; j >= done; --j)
            for (size_t i = 0; i < z_powers; ++i)
                move_power(block.powers[i * w_powers + j - 1], block.powers[i * w_powers + j], block.public_w);
}

// A bit of every element, as all ones where it was opened as 1.
void load_bit(const PolynomialArgs& args, PolynomialBlock& block, size_t bit) {
    const u8* opened = args.bits + bit * (args.n / args.bits_repeat);
    if (args.bits_repeat == 1) {
        opened += block.start;
        for (size_t at = 0; at < block.count; ++at) block.bit[at] = -static_cast<u64>(opened[at] & 1);
        return;
    }
    for (size_t at = 0, end; at < block.count; at = end) {
        const size_t entry = (block.start + at) / args.bits_repeat;
        end = std::min(block.count, (entry + 1) * args.bits_repeat - block.start);
        std::fill(block.bit + at, block.bit + end, -static_cast<u64>(opened[entry] & 1));
    }
}

// The coefficients of one column; in those of column 0 the opened bits count too.
void load_column(const PolynomialArgs& args, PolynomialBlock& block, size_t t) {
    const size_t powers = args.z_powers * args.w_powers;
    const u64* column = args.coefficients + t * powers;
    for (size_t power = 0; power < powers; ++power)
        over_block([&](size_t at) { Lanes::store(block.powers[power] + at, Lanes::set(column[power])); });
    for (size_t other = 1; t == 0 && other < args.columns; ++other) {
        load_bit(args, block, other - 1);
        for (size_t power = 0; power < powers; ++power) {
            const u64 value = column[other * powers + power];
            u64* to = block.powers[power];
            if (value != 0)
                over_block([&](size_t at) {
                    const auto chosen = Lanes::and_(Lanes::set(value), Lanes::load(block.bit + at));
                    Lanes::store(to + at, Lanes::add(Lanes::load(to + at), chosen));
                });
        }
    }
}

// What the wrap in `row` adds to a share.
auto wrap_at(const u64* row, int bits, const u64* wrapped, size_t at) {
    return Lanes::and_(Lanes::shl(Lanes::load(row + at), bits), Lanes::load(wrapped + at));
}

// part += power * share, the share put together from an atom and its wraps (null where it has none).
void add_atom(const PolynomialArgs& args, PolynomialBlock& block, const u64* power, const u64* const* rows) {
    over_block([&](size_t at) {
        auto share = Lanes::load(rows[0] + at);
        if (rows[1]) share = Lanes::add(share, wrap_at(rows[1], args.z_bits, block.wrapped_z, at));
        if (rows[2]) share = Lanes::add(share, wrap_at(rows[2], args.w_bits, block.wrapped_w, at));
        if (rows[3]) {
            const auto both = wrap_at(rows[3], args.z_bits + args.w_bits, block.wrapped_z, at);
            share = Lanes::add(share, Lanes::and_(both, Lanes::load(block.wrapped_w + at)));
        }
        const auto sum = Lanes::load(block.part + at);
        Lanes::store(block.part + at, Lanes::mul_add(sum, Lanes::load(power + at), share));
    });
}

// The dealt atoms of one column; `taken` counts the entries passed of each dealt array.
void add_atoms(const PolynomialArgs& args, PolynomialBlock& block, size_t t, size_t* taken) {
    const size_t powers = args.z_powers * args.w_powers;
    for (size_t power = 0; power < powers; ++power) {
        const size_t repeat = static_cast<size_t>(args.repeats[t * powers + power]);
        if (repeat == 0) continue;
        const bool of_z = power >= args.w_powers, of_w = power % args.w_powers != 0;
        const bool present[4] = {true, of_z && args.z_bits < args.ring, of_w && args.w_bits < args.ring,
                                 of_z && of_w && args.z_bits + args.w_bits < args.ring};
        const u64* rows[4] = {};
        for (size_t variant = 0; variant < 4; ++variant) {
            if (!present[variant]) continue;
            const u64* row = args.dealt[variant] + taken[variant];
            taken[variant] += args.n / repeat;
            const bool whole = repeat == 1 && block.count == kPolynomialBlock;
            rows[variant] = whole ? row + block.start : block.take(block.padded[variant], row, repeat);
        }
        add_atom(args, block, block.powers[power], rows);
    }
}

void polynomial_block(const PolynomialArgs& args, PolynomialBlock& block) {
    size_t taken[4] = {};
    std::memset(block.bit, 0, sizeof block.bit);
    block.take(block.public_z, args.z, args.z_repeat);
    unmask(block.public_z, block.wrapped_z, args.z_bits);
    block.take(block.public_w, args.w, args.w_repeat);
    unmask(block.public_w, block.wrapped_w, args.w_bits);
    for (size_t t = 0; t < args.columns; ++t) {
        load_column(args, block, t);
        move_column(block, args.z_powers, args.w_powers);
        std::memset(block.part, 0, sizeof block.part);
        if (t == 0 && args.party == 0) std::memcpy(block.part, block.powers[0], sizeof block.part);
        add_atoms(args, block, t, taken);
        if (t == 0) {
            std::memcpy(block.sum, block.part, sizeof block.sum);
            continue;
        }
        load_bit(args, block, t - 1);
        over_block([&](size_t at) {  // minus the part where the bit was opened as 1
            const auto part = Lanes::load(block.part + at);
            const auto twice = Lanes::and_(Lanes::add(part, part), Lanes::load(block.bit + at));
            Lanes::store(block.sum + at, Lanes::add(Lanes::load(block.sum + at), Lanes::sub(part, twice)));
        });
    }
    for (size_t at = 0; at < block.count; ++at) args.out[block.start + at] = block.sum[at] & low_mask(args.ring);
}

void segmented_polynomial(const PolynomialArgs& args, size_t first, size_t last) {
    PolynomialBlock block;
    for (block.start = first; block.start < last; block.start += kPolynomialBlock) {
        block.count = last - block.start < kPolynomialBlock ? last - block.start : kPolynomialBlock;
        polynomial_block(args, block);
    }
}

}  // namespace
