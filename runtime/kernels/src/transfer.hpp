// Pads of oblivious transfers by hashing, and the messages under them. Needs aes_schedule(), encrypt_blocks() of the
// including instruction set.
#pragma once
#include <cstring>

#include "kernels.hpp"
#include "pack.hpp"

namespace {

constexpr size_t kBatch = kTransferKeyOts;

// Hashes of up to kBatch OTs that share a key. sigma(x) is linear, so the sender's two inputs are one xor apart.
class PadHash {
  public:
    explicit PadHash(u64 tweak) : tweak_(tweak) {
        u8 key[16];
        const u64 batch = tweak / kBatch;
        std::memcpy(key, "mpcc OT ", 8);
        std::memcpy(key + 8, &batch, 8);
        aes_schedule(key, schedule_);
    }

    // out[i] = hash of the x with sigma(x) = sigma[i] for block number `block`.
    void run(const u64 (*sigma)[2], size_t count, u64 block, u64 (*out)[2]) const {
        for (size_t i = 0; i < count; ++i) out[i][1] = sigma[i][1] ^ block;
        finish(sigma, count, out);
    }

    // The same with a block number for each.
    void run_each(const u64 (*sigma)[2], size_t count, const u64* blocks, u64 (*out)[2]) const {
        for (size_t i = 0; i < count; ++i) out[i][1] = sigma[i][1] ^ blocks[i];
        finish(sigma, count, out);
    }

  private:
    void finish(const u64 (*sigma)[2], size_t count, u64 (*out)[2]) const {
        for (size_t i = 0; i < count; ++i) out[i][0] = sigma[i][0] ^ (tweak_ + i);
        encrypt_blocks(schedule_, reinterpret_cast<u8*>(out), count);
        for (size_t i = 0; i < count; ++i) {
            out[i][0] ^= sigma[i][0];
            out[i][1] ^= sigma[i][1];
        }
    }

    u64 tweak_;
    alignas(64) u8 schedule_[kAesScheduleBytes];
};

struct TransferBatch {
    alignas(64) u64 sigma[2][kBatch][2];  // of what the receiver has where its bit is 0, and where it is 1
    alignas(64) u64 hash[2][kBatch][2];
    size_t count;

    // The receiver has one x an OT, the sender two.
    TransferBatch(const TransferArgs& args, size_t first, size_t last) : count(last - first) {
        const u64 *const pads = args.pads + 2 * first, *const plane = args.plane + first / 64;
        for (size_t i = 0; i < count; ++i) {
            sigma[0][i][0] = pads[2 * i + 1];
            sigma[0][i][1] = pads[2 * i] ^ pads[2 * i + 1];
        }
        if (args.delta == nullptr) return;
        const u64 delta[2] = {args.delta[1], args.delta[0] ^ args.delta[1]};
        for (size_t i = 0; i < count; ++i) {
            const u64 corrected = 0 - (plane[i / 64] >> (i % 64) & 1);
            for (size_t k = 0; k < 2; ++k) {
                sigma[0][i][k] ^= corrected & delta[k];
                sigma[1][i][k] = sigma[0][i][k] ^ delta[k];
            }
        }
    }
};

// All ones for each bit that is set.
void spread_plane(const u64* plane, size_t count, u64* masks) {
    for (size_t i = 0; i < count; ++i) masks[i] = 0 - (plane[i / 64] >> (i % 64) & 1);
}

template <bool Boolean>
void send_column(const TransferBatch& batch, const PadColumn& column, size_t first, const u64* negated, u8* message) {
    const size_t word = column.word % 2, count = batch.count;
    const int shift = column.shift;
    const u64 mask = low_mask(column.width);
    const u64* const values = column.values + first;
    u64 *const share = column.shares + first, sent[kBatch];
    for (size_t i = 0; i < count; ++i) {
        const u64 zero = batch.hash[0][i][word] >> shift, one = batch.hash[1][i][word] >> shift;
        const u64 value = (values[i] ^ negated[i]) - negated[i];
        share[i] = (Boolean ? share[i] ^ zero : share[i] - zero) & mask;
        sent[i] = Boolean ? value ^ zero ^ one : value + zero - one;
    }
    pack(sent, count, column.width, message);
}

template <bool Boolean>
void receive_column(const TransferBatch& batch, const PadColumn& column, size_t first, const u64* chosen,
                    const u8* message) {
    const size_t word = column.word % 2, count = batch.count;
    const int shift = column.shift;
    const u64 mask = low_mask(column.width);
    u64 *const share = column.shares + first, sent[kBatch];
    unpack(message, count, column.width, sent);
    for (size_t i = 0; i < count; ++i) {
        const u64 pad = batch.hash[0][i][word] >> shift, taken = sent[i] & chosen[i];
        share[i] = (Boolean ? share[i] ^ pad ^ taken : share[i] + pad + taken) & mask;
    }
}

template <bool Boolean>
void transfer_column(const TransferArgs& args, const TransferBatch& batch, size_t first, const PadColumn& column,
                     const u64* masks) {
    u8* const message = args.message + column.start + first / 8 * static_cast<size_t>(column.width);
    if (args.delta == nullptr)
        receive_column<Boolean>(batch, column, first, masks, message);
    else
        send_column<Boolean>(batch, column, first, masks, message);
}

void transfer(const TransferArgs& args, size_t first, size_t last) {
    for (size_t begin = first; begin < last; begin += kBatch) {
        const size_t end = last - begin < kBatch ? last : begin + kBatch;
        TransferBatch batch(args, begin, end);
        const PadHash hash(args.first_tweak + begin);
        u64 masks[kBatch] = {};  // of the receiver's choices, or of the sender's negated values
        if (const u64* const plane = args.delta == nullptr ? args.plane : args.negated; plane != nullptr)
            spread_plane(plane + begin / 64, batch.count, masks);
        for (size_t column = 0, block = 0; column < args.columns; ++block) {
            for (size_t side = 0; side < (args.delta == nullptr ? 1 : 2); ++side)
                hash.run(batch.sigma[side], batch.count, block, batch.hash[side]);
            for (; column < args.columns && args.places[column].word / 2 == block; ++column)
                (args.boolean ? transfer_column<true> : transfer_column<false>)(args, batch, begin, args.places[column],
                                                                               masks);
        }
    }
}

// Bit 0 of each hash as a plane.
void low_plane(const u64 (*hash)[2], size_t count, u64* plane) {
    for (size_t first = 0; first < count; first += 64) {
        const size_t rest = count - first < 64 ? count - first : 64;
        u64 word = 0;
        for (size_t i = 0; i < rest; ++i) word |= (hash[first + i][0] & 1) << i;
        plane[first / 64] = word;
    }
}

// One boolean column of width 1, in planes: `values` are the sender's bits.
void transfer_bits(const TransferArgs& args, size_t first, size_t last) {
    for (size_t begin = first; begin < last; begin += kBatch) {
        const size_t end = last - begin < kBatch ? last : begin + kBatch, word = begin / 64;
        TransferBatch batch(args, begin, end);
        const PadHash hash(args.first_tweak + begin);
        u64 planes[2][kBatch / 64];
        for (size_t side = 0; side < (args.delta == nullptr ? 1 : 2); ++side) {
            hash.run(batch.sigma[side], batch.count, 0, batch.hash[side]);
            low_plane(batch.hash[side], batch.count, planes[side]);
        }
        u64* const message = reinterpret_cast<u64*>(args.message) + word;
        for (size_t i = 0; i < words_of(batch.count); ++i) {
            const size_t rest = batch.count - 64 * i;
            const u64 kept = low_mask(rest < 64 ? static_cast<int>(rest) : 64);
            if (args.delta == nullptr) {
                args.shares[word + i] = planes[0][i] ^ (message[i] & args.plane[word + i] & kept);
            } else {
                args.shares[word + i] = planes[0][i];
                message[i] = (args.values[word + i] & kept) ^ planes[0][i] ^ planes[1][i];
            }
        }
    }
}

}  // namespace
