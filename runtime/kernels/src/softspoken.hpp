// SoftSpoken OT: the leaves' key streams summed to rows, and the rows transposed to one word pair an OT. Needs
// aes_schedule(), keystream() and Lanes of the including instruction set.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

constexpr size_t kRowWords = kSoftspokenChunk;

// One step of transposing 64 x 64 bits, in each lane.
template <int Step>
void transpose_step(Lanes::V* rows, u64 mask) {
    const Lanes::V kept = Lanes::set(mask);
    for (int i = 0; i < 64; i += 2 * Step)
#pragma GCC unroll 4
        for (int k = i; k < i + Step; ++k) {
            const Lanes::V swapped = Lanes::and_(Lanes::xor_(Lanes::shr(rows[k], Step), rows[k + Step]), kept);
            rows[k] = Lanes::xor_(rows[k], Lanes::shl(swapped, Step));
            rows[k + Step] = Lanes::xor_(rows[k + Step], swapped);
        }
}

// Bit by bit, 64 rows of `words` words to every second word of `out`, which has 64 of them a word.
void transpose_rows(const u64* rows, size_t words, u64* out) {
    for (size_t word = 0; word < words; word += Lanes::count) {
        Lanes::V block[64];
        for (size_t i = 0; i < 64; ++i) block[i] = Lanes::load(rows + i * kRowWords + word);
        transpose_step<32>(block, 0x00000000FFFFFFFF);
        transpose_step<16>(block, 0x0000FFFF0000FFFF);
        transpose_step<8>(block, 0x00FF00FF00FF00FF);
        transpose_step<4>(block, 0x0F0F0F0F0F0F0F0F);
        transpose_step<2>(block, 0x3333333333333333);
        transpose_step<1>(block, 0x5555555555555555);
        alignas(64) u64 lanes[64 * Lanes::count];
        for (size_t i = 0; i < 64; ++i) Lanes::store(lanes + i * Lanes::count, block[i]);
        const size_t count = words - word < Lanes::count ? words - word : Lanes::count;
        for (size_t lane = 0; lane < count; ++lane)
            for (size_t i = 0; i < 64; ++i) out[2 * (64 * (word + lane) + i)] = lanes[i * Lanes::count + lane];
    }
}

// For each of the `bits` bits of a leaf's number the xor of the streams of the leaves that have it, to
// rows[bits][kRowWords], and the xor of all streams to `sum`. Neighbours are added up first: a sum of 2^l leaves waits
// for the one beside it, which has bit l.
void fold_tree(const u8* schedules, int bits, u64 first_block, size_t blocks, u64* rows, u64* sum) {
    alignas(64) u64 streams[4][kRowWords], waiting[8][kRowWords];
    const size_t words = 2 * blocks;
    std::memset(rows, 0, static_cast<size_t>(bits) * kRowWords * 8);
    for (size_t four = 0; four < size_t{1} << (bits - 2); ++four) {
        for (u64* stream : streams) {
            keystream(schedules, 0, first_block, blocks, reinterpret_cast<u8*>(stream));
            schedules += kAesScheduleBytes;
        }
        const int last = 2 + __builtin_ctzll(~four);
        u64* const to = last < bits ? waiting[last] : sum;
        for (size_t i = 0; i < words; ++i) {
            const u64 upper = streams[2][i] ^ streams[3][i];
            rows[i] ^= streams[1][i] ^ streams[3][i];
            rows[kRowWords + i] ^= upper;
            to[i] = streams[0][i] ^ streams[1][i] ^ upper;
        }
        for (int level = 2; level < last; ++level) {
            u64 *const row = rows + static_cast<size_t>(level) * kRowWords, *const left = waiting[level];
            for (size_t i = 0; i < words; ++i) {
                row[i] ^= to[i];
                to[i] ^= left[i];
            }
        }
    }
}

// Both children of each node of a tree, uint64 pairs: the first two blocks of its key stream.
void double_seeds(const u64* seeds, size_t count, u64* children) {
    alignas(64) u8 schedule[kAesScheduleBytes];
    for (size_t i = 0; i < count; ++i) {
        aes_schedule(reinterpret_cast<const u8*>(seeds + 2 * i), schedule);
        keystream(schedule, 0, 0, 2, reinterpret_cast<u8*>(children + 4 * i));
    }
}

// What the choices of a tree, `sum`, differ in from those of the first: written by the receiver, undone by the sender.
void correct(const SoftspokenArgs& args, u64* rows, int first_row, int bits, const u64* sum, const u64* choices,
             u64* correction, size_t words) {
    if (args.delta == nullptr)
        for (size_t i = 0; i < words; ++i) correction[i] = sum[i] ^ choices[i];
    else
        for (int row = first_row; row < first_row + bits; ++row, rows += kRowWords) {
            const u64 chosen = 0 - (args.delta[row / 64] >> (row % 64) & 1);
            for (size_t i = 0; i < words; ++i) rows[i] ^= chosen & correction[i];
        }
}

void softspoken(const SoftspokenArgs& args, size_t first, size_t last) {
    alignas(64) u64 rows[128 * kRowWords], sum[kRowWords], choices[kRowWords];
    for (size_t begin = first; begin < last; begin += kRowWords) {
        const size_t words = last - begin < kRowWords ? last - begin : kRowWords;
        const u64 first_block = (args.first_chunk * kRowWords + begin) / 2;
        const u8* schedules = args.schedules;
        for (int row = 0, tree = 0; row < 128; ++tree) {
            const int bits = 128 - row < args.bits ? 128 - row : args.bits;
            u64* const tree_rows = rows + static_cast<size_t>(row) * kRowWords;
            fold_tree(schedules, bits, first_block, ceil_div(words, 2), tree_rows, sum);
            if (tree == 0)
                std::memcpy(choices, sum, 8 * words);
            else
                correct(args, tree_rows, row, bits, sum, choices,
                        args.corrections + static_cast<size_t>(tree - 1) * args.words + begin, words);
            schedules += kAesScheduleBytes << bits;
            row += bits;
        }
        if (args.delta == nullptr) std::memcpy(args.choices + begin, choices, 8 * words);
        for (size_t half = 0; half < 2; ++half)
            transpose_rows(rows + half * 64 * kRowWords, words, args.pads + 128 * begin + half);
    }
}

}  // namespace
