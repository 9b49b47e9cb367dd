// What the kernels of silent oblivious transfer take, and their part of the function table. What each computes is in
// ../twin_silent.py. A block is two words.
#pragma once
#include <cstddef>
#include <cstdint>

constexpr std::size_t kCodeLocality = 10;  // LOCALITY in twin_silent.py
constexpr std::size_t kCodeBatch = 128;    // outputs whose indices are made at once, from a multiple of 64 blocks on
constexpr int kMaxTreeDepth = 16;          // MAX_DEPTH there

struct Tree {
    const std::uint8_t* key;
    const std::uint64_t* delta;  // of the sender
    int depth;
};

struct CodeArgs {
    const std::uint64_t* table;
    std::size_t entries;
    const std::uint8_t* schedule;  // of the seed
};

struct SilentKernels {
    // `nodes` holds 2^depth blocks; afterwards these are the leaves. `sums`, of `depth` blocks, may be null.
    void (*full_tree)(const Tree& tree, const std::uint64_t* root, std::uint64_t* sums, std::uint64_t* nodes);
    void (*punctured_tree)(const Tree& tree, const std::uint64_t* sums, std::uint64_t point, std::uint64_t* nodes);
    // Adds rows first .. first+count of the code, times the table, to `out`.
    void (*encode)(const CodeArgs& args, std::size_t first, std::size_t count, std::uint64_t* out);
};
