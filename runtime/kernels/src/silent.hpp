// Correlated trees of seeds and a local linear code. Needs aes_schedule(), encrypt_blocks() and keystream() of the
// including instruction set. Neither branches nor addresses depend on a secret: not on a node, not on the point.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

constexpr size_t kNodesAtOnce = 128;  // in L1 with their children

struct Block {
    u64 low, high;
    Block operator^(Block other) const { return {low ^ other.low, high ^ other.high}; }
    Block& operator^=(Block other) { return *this = *this ^ other; }
};

Block sigma(Block x) { return {x.high, x.low ^ x.high}; }

// The children of the first `count` of `nodes`, in their place; returns the sum of the left ones.
Block double_nodes(const u8* schedule, Block* nodes, size_t count) {
    alignas(64) Block parent[kNodesAtOnce], hash[kNodesAtOnce];
    Block sum{0, 0};
    for (size_t end = count; end != 0;) {  // the last nodes first: children take the places of nodes that are done
        const size_t n = end < kNodesAtOnce ? end : kNodesAtOnce, start = end - n;
        std::memcpy(parent, nodes + start, n * sizeof(Block));
        for (size_t i = 0; i < n; ++i) hash[i] = sigma(parent[i]);
        encrypt_blocks(schedule, reinterpret_cast<u8*>(hash), n);
        for (size_t i = 0; i < n; ++i) {
            const Block left = hash[i] ^ sigma(parent[i]);
            sum ^= left;
            nodes[2 * (start + i)] = left;
            nodes[2 * (start + i) + 1] = parent[i] ^ left;
        }
        end = start;
    }
    return sum;
}

void full_tree(const Tree& tree, const u64* root, u64* sums, u64* blocks) {
    alignas(64) u8 schedule[kAesScheduleBytes];
    aes_schedule(tree.key, schedule);
    Block* const nodes = reinterpret_cast<Block*>(blocks);
    nodes[0] = {root[0], root[1]};
    nodes[1] = nodes[0] ^ Block{tree.delta[0], tree.delta[1]};
    Block sum = nodes[0];
    for (int level = 0;; ++level) {
        if (sums != nullptr) std::memcpy(sums + 2 * level, &sum, sizeof sum);
        if (level + 1 == tree.depth) break;
        sum = double_nodes(schedule, nodes, size_t{2} << level);
    }
    for (size_t i = 0; i < size_t{1} << tree.depth; ++i) nodes[i].low &= ~u64{1};
}

// All ones where a == b; both below 2^63.
u64 equal_mask(u64 a, u64 b) { return static_cast<u64>(static_cast<i64>((a ^ b) - 1) >> 63); }

void punctured_tree(const Tree& tree, const u64* sums, u64 point, u64* blocks) {
    alignas(64) u8 schedule[kAesScheduleBytes];
    aes_schedule(tree.key, schedule);
    Block* const nodes = reinterpret_cast<Block*>(blocks);
    nodes[0] = nodes[1] = {sums[0], sums[1]};
    for (int level = 1; level < tree.depth; ++level) {
        const size_t parents = size_t{1} << level;
        const Block sum{sums[2 * level], sums[2 * level + 1]};
        const Block missing = double_nodes(schedule, nodes, parents) ^ sum;
        const u64 on_path = point >> (tree.depth - level);
        for (size_t i = 0; i < parents; ++i) {
            const u64 mask = equal_mask(i, on_path);
            const Block added{missing.low & mask, missing.high & mask};
            nodes[2 * i] ^= added;
            nodes[2 * i + 1] ^= added;
        }
    }
    for (size_t i = 0; i < size_t{1} << tree.depth; ++i)
        nodes[i].low = (nodes[i].low & ~u64{1}) | (equal_mask(i, point) & 1);
}

void encode(const CodeArgs& args, size_t first, size_t count, u64* blocks) {
    const Block* const table = reinterpret_cast<const Block*>(args.table);
    Block* const out = reinterpret_cast<Block*>(blocks);
    constexpr size_t kIndices = kCodeBatch * kCodeLocality, kStreamBlocks = kIndices / 4;
    alignas(64) std::uint32_t index[kIndices];
    for (size_t done = 0; done < count;) {
        const size_t skipped = (first + done) % kCodeBatch;  // not 0 in the first batch only
        const size_t n = count - done < kCodeBatch - skipped ? count - done : kCodeBatch - skipped;
        const size_t batch = (first + done) / kCodeBatch;
        keystream(args.schedule, 0, batch * kStreamBlocks, kStreamBlocks, reinterpret_cast<u8*>(index));
        for (std::uint32_t& value : index) value = static_cast<std::uint32_t>(u64{value} * args.entries >> 32);
        for (size_t i = 0; i < n; ++i) {
            const std::uint32_t* const row = index + (skipped + i) * kCodeLocality;
            Block sum = out[done + i];
#pragma GCC unroll 10
            for (size_t j = 0; j < kCodeLocality; ++j) sum ^= table[row[j]];
            out[done + i] = sum;
        }
        done += n;
    }
}

constexpr SilentKernels kSilent = {full_tree, punctured_tree, encode};

}  // namespace
