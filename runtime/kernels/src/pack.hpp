// Bit streams of k-bit elements: 64 elements are k words. One fully unrolled routine for each k.
#pragma once
#include <array>
#include <cstring>
#include <utility>

#include "kernels.hpp"

namespace {

template <int Bits>
void pack_group(const u64* values, u8* out) {
    u64 word = 0;
#pragma GCC unroll 64
    for (int i = 0; i < 64; ++i) {
        const int offset = i * Bits % 64;
        const u64 value = values[i] & low_mask(Bits);
        word |= value << offset;
        if (offset + Bits >= 64) {
            std::memcpy(out + i * Bits / 64 * 8, &word, 8);
            word = offset + Bits > 64 ? value >> ((64 - offset) % 64) : 0;
        }
    }
}

template <int Bits>
void unpack_group(const u8* data, u64* out) {
#pragma GCC unroll 64
    for (int i = 0; i < 64; ++i) {
        const int offset = i * Bits % 64;
        u64 word;
        std::memcpy(&word, data + i * Bits / 64 * 8, 8);
        u64 value = word >> offset;
        if (offset + Bits > 64) {
            std::memcpy(&word, data + i * Bits / 64 * 8 + 8, 8);
            value |= word << ((64 - offset) % 64);
        }
        out[i] = value & low_mask(Bits);
    }
}

template <int Bits>
void pack_groups(const u64* values, size_t groups, u8* out) {
    for (size_t g = 0; g < groups; ++g) pack_group<Bits>(values + 64 * g, out + 8 * Bits * g);
}

template <int Bits>
void unpack_groups(const u8* data, size_t groups, u64* out) {
    for (size_t g = 0; g < groups; ++g) unpack_group<Bits>(data + 8 * Bits * g, out + 64 * g);
}

template <int... Bits>
constexpr auto pack_table(std::integer_sequence<int, Bits...>) {
    return std::array<void (*)(const u64*, size_t, u8*), sizeof...(Bits)>{pack_groups<Bits + 1>...};
}

template <int... Bits>
constexpr auto unpack_table(std::integer_sequence<int, Bits...>) {
    return std::array<void (*)(const u8*, size_t, u64*), sizeof...(Bits)>{unpack_groups<Bits + 1>...};
}

constexpr auto kPack = pack_table(std::make_integer_sequence<int, 64>{});
constexpr auto kUnpack = unpack_table(std::make_integer_sequence<int, 64>{});

void pack(const u64* values, size_t count, int bits, u8* out) {
    const size_t groups = count / 64, rest = count % 64;
    kPack[bits - 1](values, groups, out);
    if (rest == 0) return;
    u64 last[64] = {};
    u8 bytes[512];
    std::memcpy(last, values + 64 * groups, 8 * rest);
    kPack[bits - 1](last, 1, bytes);
    std::memcpy(out + groups * 8 * bits, bytes, ceil_div(rest * bits, 8));
}

void unpack(const u8* data, size_t count, int bits, u64* out) {
    const size_t groups = count / 64, rest = count % 64;
    kUnpack[bits - 1](data, groups, out);
    if (rest == 0) return;
    u64 last[64];
    u8 bytes[512] = {};
    std::memcpy(bytes, data + groups * 8 * bits, ceil_div(rest * bits, 8));
    kUnpack[bits - 1](bytes, 1, last);
    std::memcpy(out + 64 * groups, last, 8 * rest);
}

}  // namespace
