// Elements to planes of their bits, and back. Needs Lanes of the including instruction set.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

void planes_split(const PlanesArgs& args, size_t first, size_t last) {
    const size_t words = words_of(args.n);
    for (size_t word = first; word < last; ++word) {
        const size_t rest = args.n - 64 * word;
        u64 padded[64] = {};
        if (rest < 64) std::memcpy(padded, args.in + 64 * word, 8 * rest);
        const u64* const values = rest < 64 ? padded : args.in + 64 * word;
        for (size_t plane = 0; plane < args.planes; ++plane) {
            const int bit = args.first_bit + static_cast<int>(plane);
            u64 bits = 0;
            for (size_t i = 0; i < 64; i += Lanes::count)
                bits |= Lanes::low_bits(Lanes::shr(Lanes::load(values + i), bit)) << i;
            args.out[plane * words + word] = bits;
        }
    }
}

void planes_join(const PlanesArgs& args, size_t first, size_t last) {
    const size_t words = words_of(args.n);
    for (size_t word = first; word < last; ++word) {
        u64 values[64];
        for (size_t i = 0; i < 64; i += Lanes::count) {
            Lanes::V sum = Lanes::set(0);
            for (size_t plane = 0; plane < args.planes; ++plane) {
                const auto bit = Lanes::where(args.in[plane * words + word] >> i);
                sum = Lanes::xor_(sum, Lanes::and_(bit, Lanes::set(u64{1} << plane)));
            }
            Lanes::store(values + i, sum);
        }
        const size_t rest = args.n - 64 * word;
        std::memcpy(args.out + 64 * word, values, 8 * (rest < 64 ? rest : 64));
    }
}

}  // namespace
