#include "parallel.hpp"

#include <cstring>

#include "ranges.hpp"

namespace {

// Less than about 50 microseconds of work is not worth a thread: it must wake, and where cores are short the caller
// waits for a task that was taken and then put aside. For work that passes over memory these are so many elements:
constexpr size_t kElements = 1 << 16;

// And so many with `steps` operations on each.
size_t elements_of(size_t steps) { return std::max<size_t>(64, (1 << 17) / std::max<size_t>(1, steps)); }

// 8 bytes of 0 or 1 to 8 bits: the product moves bit 8*i to bit 56+i without carries.
u64 gather_bits(const u8* bytes) {
    u64 eight;
    std::memcpy(&eight, bytes, 8);
    return (eight & 0x0101010101010101) * 0x0102040810204080 >> 56;
}

// The inverse: byte i keeps bit i of its copy of the eight, and any bit left becomes a one.
void spread_bits(u64 eight, u8* bytes) {
    const u64 kept = (eight & 0xff) * 0x0101010101010101 & 0x8040201008040201;
    const u64 ones = (kept + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101;
    std::memcpy(bytes, &ones, 8);
}

}  // namespace

void expand_all(const u8* key, u64 stream, size_t first, size_t count, int bits, u64* out) {
    alignas(64) u8 schedule[kAesScheduleBytes];
    kernels().aes_schedule(key, schedule);
    run_ranges(count, kKeystreamChunk, kElements, [&](size_t begin, size_t end) {
        kernels().expand(schedule, stream, first + begin, end - begin, bits, out + begin);
    });
    volatile u8* wiped = schedule;
    for (size_t i = 0; i < kAesScheduleBytes; ++i) wiped[i] = 0;
}

void pack_all(const u64* values, size_t count, int bits, u8* out) {
    run_ranges(count, 64, kElements, [&](size_t first, size_t last) {
        kernels().pack(values + first, last - first, bits, out + first / 8 * static_cast<size_t>(bits));
    });
}

void unpack_all(const u8* data, size_t count, int bits, u64* out) {
    run_ranges(count, 64, kElements, [&](size_t first, size_t last) {
        kernels().unpack(data + first / 8 * static_cast<size_t>(bits), last - first, bits, out + first);
    });
}

void compare_leaves_all(const CompareArgs& args) {
    run_ranges(words_of(args.n), 1, ceil_div(elements_of(2 * args.threshold_count), 64),
               [&](size_t first, size_t last) { kernels().compare_leaves(args, first, last); });
}

void carry_node_all(const CarryArgs& args) {
    run_ranges(args.words, 8, elements_of(size_t{1} << args.blocks), [&](size_t first, size_t last) { kernels().carry_node(args, first, last); });
}

void segmented_polynomial_all(const PolynomialArgs& args) {
    run_ranges(args.n, 128, elements_of(args.columns * args.z_powers * args.w_powers),
               [&](size_t first, size_t last) { kernels().segmented_polynomial(args, first, last); });
}

void sine_series_all(const SineArgs& args) {
    run_ranges(args.n, 64, elements_of(args.terms), [&](size_t first, size_t last) { kernels().sine_series(args, first, last); });
}

void planes_pack_all(const u8* bits, size_t count, u64* words) {
    run_ranges(count, 64, 1 << 18, [&](size_t first, size_t last) {
        for (size_t i = first; i < last; i += 64) {
            u64 word = 0;
            if (last - i >= 64)
                for (size_t k = 0; k < 64; k += 8) word |= gather_bits(bits + i + k) << k;
            else
                for (size_t k = 0; k < last - i; ++k) word |= static_cast<u64>(bits[i + k] & 1) << k;
            words[i / 64] = word;
        }
    });
}

void planes_split_all(const PlanesArgs& args) {
    run_ranges(words_of(args.n), 1, ceil_div(elements_of(args.planes), 64),
               [&](size_t first, size_t last) { kernels().transfer.planes_split(args, first, last); });
}

void planes_join_all(const PlanesArgs& args) {
    run_ranges(words_of(args.n), 1, ceil_div(elements_of(args.planes), 64),
               [&](size_t first, size_t last) { kernels().transfer.planes_join(args, first, last); });
}

void planes_unpack_all(const u64* words, size_t planes, size_t count, u8* bits) {
    const auto unpack = [](const u64* plane, size_t first, size_t last, u8* to) {
        const size_t whole = last / 8 * 8;
        for (size_t i = first; i < whole; i += 8) spread_bits(plane[i / 64] >> (i % 64), to + i);
        for (size_t i = whole; i < last; ++i) to[i] = static_cast<u8>(plane[i / 64] >> (i % 64) & 1);
    };
    const size_t row = words_of(count);
    if (planes == 1) return run_ranges(count, 64, 1 << 18, [&](size_t first, size_t last) {
        unpack(words, first, last, bits);
    });
    run_ranges(planes, 1, std::max<size_t>(1, (1 << 18) / std::max<size_t>(count, 1)), [&](size_t first, size_t last) {
        for (size_t plane = first; plane < last; ++plane) unpack(words + plane * row, 0, count, bits + plane * count);
    });
}

void exponential_all(const ExponentialArgs& args) {
    run_ranges(args.n, 64, elements_of(4), [&](size_t first, size_t last) { kernels().exponential(args, first, last); });
}

void pack_difference_all(const u64* a, const u64* b, u64 offset, size_t count, int bits, u8* out) {
    run_ranges(count, 64, kElements, [&](size_t first, size_t last) {
        u8* const to = out + first / 8 * static_cast<size_t>(bits);
        kernels().pack_difference(a + first, b + first, offset, last - first, bits, to);
    });
}

void unpack_sum_all(const u8* a, const u8* b, size_t count, int bits, u64* out) {
    run_ranges(count, 64, kElements, [&](size_t first, size_t last) {
        const size_t at = first / 8 * static_cast<size_t>(bits);
        kernels().unpack_sum(a + at, b + at, last - first, bits, out + first);
    });
}

void unpack_add_all(const u64* x, const u8* data, size_t count, int bits, u64* out) {
    run_ranges(count, 64, kElements, [&](size_t first, size_t last) {
        const u8* const from = data + first / 8 * static_cast<size_t>(bits);
        kernels().unpack_add(x + first, from, last - first, bits, out + first);
    });
}

void truncate_open_all(const TruncateArgs& args) {
    run_ranges(args.n, 64, kElements, [&](size_t first, size_t last) { kernels().truncate_open(args, first, last); });
}

void truncate_close_all(const TruncateArgs& args) {
    run_ranges(args.n, 64, kElements, [&](size_t first, size_t last) { kernels().truncate_close(args, first, last); });
}

void shift_right_all(const u64* x, u64 offset, size_t count, int ring, int bits, u64* out) {
    run_ranges(count, 64, kElements, [&](size_t first, size_t last) {
        kernels().shift_right(x + first, offset, last - first, ring, bits, out + first);
    });
}

void row_counts_all(const RowCountArgs& args, size_t rows) {
    const size_t lanes = std::max<size_t>(1, args.length << args.bits);
    run_ranges(rows, 1, std::max<size_t>(1, (1 << 19) / lanes),
               [&](size_t first, size_t last) { kernels().row_counts(args, first, last); });
}

void lookup_bits_all(const u64* words, const u64* places, size_t rows, size_t row_words, int word_bits, u8* out) {
    const size_t word_mask = row_words - 1, bit_mask = static_cast<size_t>(word_bits) - 1;
    const int word_shift = __builtin_ctz(static_cast<unsigned>(word_bits));
    run_ranges(rows, 64, kElements, [&](size_t first, size_t last) {
        for (size_t row = first; row < last; ++row) {
            const u64 word = words[row * row_words + (places[row] >> word_shift & word_mask)];
            out[row] = static_cast<u8>(word >> (places[row] & bit_mask) & 1);
        }
    });
}
