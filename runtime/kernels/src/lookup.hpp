// Lookups in the sender's tables: 1-out-of-2^w transfers. Needs what softspoken.hpp and transfer.hpp need.
#pragma once
#include <cstring>

#include "planes.hpp"
#include "softspoken.hpp"
#include "transfer.hpp"

namespace {

struct Lookup {
    u64 key[kTransferKeyOts][2];                          // sigma of the xor of the hashes of an entry's bits
    u64 flips[kMaxLookupBits][kTransferKeyOts][2];        // at the sender: what a bit of the entry changes in it
    u64 pad[kTransferKeyOts][2], values[kTransferKeyOts], first_pad[kTransferKeyOts];
};

u64 lookup_step(const LookupArgs& args) { return ceil_div(args.n, kTransferKeyOts) * kTransferKeyOts; }

void add_sigma(const u64 (*x)[2], size_t count, u64 (*sum)[2]) {
    for (size_t i = 0; i < count; ++i) {
        sum[i][0] ^= x[i][1];
        sum[i][1] ^= x[i][0] ^ x[i][1];
    }
}

// The first hashes of lookups first .. first + count, summed up.
void lookup_keys(const LookupArgs& args, size_t first, size_t count, Lookup& state) {
    std::memset(state.key, 0, sizeof state.key);
    if (args.delta != nullptr) std::memset(state.flips, 0, sizeof state.flips);
    TransferArgs transfer{};
    transfer.delta = args.delta;
    for (size_t bit = 0; bit < args.bits; ++bit) {
        transfer.pads = args.pads + bit * 128 * words_of(args.n);
        transfer.plane = args.delta == nullptr ? nullptr : args.corrections + bit * words_of(args.n);
        TransferBatch batch(transfer, first, first + count);
        const PadHash hash(args.first_tweak + bit * lookup_step(args) + first);
        hash.run(batch.sigma[0], count, 0, batch.hash[0]);
        add_sigma(batch.hash[0], count, state.key);
        if (args.delta == nullptr) continue;
        hash.run(batch.sigma[1], count, 0, batch.hash[1]);
        for (size_t side = 0; side < 2; ++side) add_sigma(batch.hash[side], count, state.flips[bit]);
    }
}

// Entries in the order of a Gray code: one bit changes from each to the next.
void lookup_send(const LookupArgs& args, size_t first, size_t count, Lookup& state) {
    const PadHash hash(args.first_tweak + args.bits * lookup_step(args) + first);
    const size_t length = ceil_div(args.n * static_cast<size_t>(args.width), 8);
    for (size_t step = 0; step < size_t{1} << args.bits; ++step) {
        const size_t entry = step ^ step >> 1;
        if (step != 0) {
            const u64(*const flip)[2] = state.flips[__builtin_ctzll(step)];
            for (size_t i = 0; i < count; ++i)
                for (size_t k = 0; k < 2; ++k) state.key[i][k] ^= flip[i][k];
        }
        hash.run(state.key, count, entry, state.pad);
        const u64 *const table = args.tables + entry * args.n + first, *const table_0 = args.tables + first;
        if (entry == 0) {
            for (size_t i = 0; i < count; ++i) {
                const u64 pad = state.first_pad[i] = state.pad[i][0];
                args.shares[first + i] = (args.boolean ? table[i] ^ pad : table[i] - pad) & low_mask(args.width);
            }
            continue;
        }
        for (size_t i = 0; i < count; ++i) {
            const u64 pad = state.pad[i][0];
            state.values[i] = args.boolean ? table[i] ^ table_0[i] ^ state.first_pad[i] ^ pad
                                           : table[i] - table_0[i] + state.first_pad[i] - pad;
        }
        const size_t at = (entry - 1) * length + first / 8 * static_cast<size_t>(args.width);
        pack(state.values, count, args.width, args.message + at);
    }
}

// Reads every entry and keeps one.
void lookup_receive(const LookupArgs& args, size_t first, size_t count, Lookup& state) {
    const PadHash hash(args.first_tweak + args.bits * lookup_step(args) + first);
    const size_t length = ceil_div(args.n * static_cast<size_t>(args.width), 8);
    u64 index[kTransferKeyOts], *const share = args.shares + first;
    for (size_t i = 0; i < count; ++i) index[i] = args.index[first + i] & low_mask(static_cast<int>(args.bits));
    hash.run_each(state.key, count, index, state.pad);
    for (size_t i = 0; i < count; ++i) share[i] = state.pad[i][0];
    for (size_t entry = 1; entry < size_t{1} << args.bits; ++entry) {
        const size_t at = (entry - 1) * length + first / 8 * static_cast<size_t>(args.width);
        unpack(args.message + at, count, args.width, state.values);
        for (size_t i = 0; i < count; ++i) {
            const u64 other = index[i] ^ entry;
            const u64 taken = state.values[i] & (((other | (0 - other)) >> 63) - 1);
            share[i] = args.boolean ? share[i] ^ taken : share[i] + taken;
        }
    }
    for (size_t i = 0; i < count; ++i) share[i] &= low_mask(args.width);
}

void lookup(const LookupArgs& args, size_t first, size_t last) {
    Lookup state;
    for (size_t begin = first; begin < last; begin += kTransferKeyOts) {
        const size_t count = last - begin < kTransferKeyOts ? last - begin : kTransferKeyOts;
        lookup_keys(args, begin, count, state);
        args.delta == nullptr ? lookup_receive(args, begin, count, state) : lookup_send(args, begin, count, state);
    }
}

constexpr TransferKernels kTransfer = {
    double_seeds, softspoken, planes_split, planes_join, transfer, transfer_bits, lookup,
};

}  // namespace
