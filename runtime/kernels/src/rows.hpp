// row_counts: how many elements of a row have at least each value, from one-hot vectors turned by public steps.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

constexpr size_t kRowSums = 4;  // sums taken in turn: an element does not wait for the one before it
constexpr size_t kMostValues = size_t{1} << 10;

// One row. A one-hot vector turned up by `opened` is added where it begins; what leaves the end is folded back last.
template <class Lane, size_t Width>
void row_count(const RowCountArgs& args, const u64* opened, const Lane* onehots, u64* out) {
    const size_t values = size_t{1} << args.bits, modulus = values - 1;
    alignas(64) Lane sums[kRowSums][2 * kMostValues];
    for (size_t k = 0; k < kRowSums; ++k) std::memset(sums[k], 0, 2 * values * sizeof(Lane));
    for (size_t i = 0; i < args.length; ++i, onehots += values) {
        Lane* const to = sums[i % kRowSums] + (opened[i] & modulus);
        for (size_t at = 0; at < values; at += Width) {
            Lane sum[Width];
            for (size_t k = 0; k < Width; ++k) sum[k] = static_cast<Lane>(to[at + k] + onehots[at + k]);
            std::memcpy(to + at, sum, sizeof sum);
        }
    }
    Lane count = 0;
    for (int level = args.levels; level >= 1; --level) {
        const size_t value = static_cast<size_t>(args.low + level) & modulus;
        for (size_t k = 0; k < kRowSums; ++k)
            count = static_cast<Lane>(count + sums[k][value] + sums[k][value + values]);
        out[level - 1] = count;
    }
}

template <class Lane>
void count_rows(const RowCountArgs& args, size_t first_row, size_t last_row) {
    void (*const count)(const RowCountArgs&, const u64*, const Lane*, u64*) =
        args.bits == 1   ? row_count<Lane, 2>
        : args.bits == 2 ? row_count<Lane, 4>
        : args.bits == 3 ? row_count<Lane, 8>
        : args.bits == 4 ? row_count<Lane, 16>
                         : row_count<Lane, 32>;
    const Lane* const onehots = static_cast<const Lane*>(args.onehots);
    for (size_t row = first_row; row < last_row; ++row)
        count(args, args.opened + row * args.length, onehots + (row * args.length << args.bits),
              args.out + row * static_cast<size_t>(args.levels));
}

void row_counts(const RowCountArgs& args, size_t first_row, size_t last_row) {
    args.wide ? count_rows<std::uint16_t>(args, first_row, last_row) : count_rows<u8>(args, first_row, last_row);
}

}  // namespace
