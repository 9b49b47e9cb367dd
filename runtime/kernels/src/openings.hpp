// Messages of openings: the arithmetic beside pack and unpack on blocks that stay in the first-level cache.
#pragma once
#include "kernels.hpp"
#include "pack.hpp"

namespace {

constexpr size_t kOpeningBlock = 512;  // elements; a multiple of 64

// Calls block(start, count) for all of [0, count).
template <class Function>
void over_blocks(size_t count, const Function& block) {
    for (size_t start = 0; start < count; start += kOpeningBlock)
        block(start, count - start < kOpeningBlock ? count - start : kOpeningBlock);
}

// out[i] = reduce(a[i] + b[i])
void add_reduced(const u64* a, const u64* b, size_t count, u64 mask, u64* out) {
    size_t i = 0;
    for (; i + Lanes::count <= count; i += Lanes::count) {
        const auto sum = Lanes::add(Lanes::load(a + i), Lanes::load(b + i));
        Lanes::store(out + i, Lanes::and_(sum, Lanes::set(mask)));
    }
    for (; i < count; ++i) out[i] = (a[i] + b[i]) & mask;
}

void pack_difference(const u64* a, const u64* b, u64 offset, size_t count, int bits, u8* out) {
    alignas(64) u64 difference[kOpeningBlock];
    over_blocks(count, [&](size_t start, size_t n) {
        size_t i = 0;
        for (; i + Lanes::count <= n; i += Lanes::count) {
            const auto value = Lanes::sub(Lanes::load(a + start + i), Lanes::load(b + start + i));
            Lanes::store(difference + i, Lanes::add(value, Lanes::set(offset)));
        }
        for (; i < n; ++i) difference[i] = a[start + i] - b[start + i] + offset;
        pack(difference, n, bits, out + start / 8 * static_cast<size_t>(bits));
    });
}

void unpack_sum(const u8* a, const u8* b, size_t count, int bits, u64* out) {
    alignas(64) u64 first[kOpeningBlock], second[kOpeningBlock];
    over_blocks(count, [&](size_t start, size_t n) {
        const size_t at = start / 8 * static_cast<size_t>(bits);
        unpack(a + at, n, bits, first);
        unpack(b + at, n, bits, second);
        add_reduced(first, second, n, low_mask(bits), out + start);
    });
}

void unpack_add(const u64* x, const u8* data, size_t count, int bits, u64* out) {
    alignas(64) u64 values[kOpeningBlock];
    over_blocks(count, [&](size_t start, size_t n) {
        unpack(data + start / 8 * static_cast<size_t>(bits), n, bits, values);
        add_reduced(x + start, values, n, low_mask(bits), out + start);
    });
}

}  // namespace
