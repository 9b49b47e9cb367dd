// What the kernels of oblivious transfer take, and their part of the function table. What each computes is in
// ../twin_softspoken.py, ../twin_transfer.py and ../twin_lookup.py. An argument `delta` is null at the receiver.
#pragma once
#include <cstddef>
#include <cstdint>

constexpr std::size_t kSoftspokenChunk = 128;  // SOFTSPOKEN_CHUNK in twin_softspoken.py
constexpr std::size_t kTransferKeyOts = 512;   // KEY_OTS in twin_transfer.py
constexpr std::size_t kMaxLookupBits = 8;      // MAX_LOOKUP_BITS in twin_lookup.py

struct SoftspokenArgs {
    const std::uint8_t* schedules;  // of all leaves, tree after tree
    const std::uint64_t* delta;
    std::uint64_t* corrections;  // read at the sender
    std::uint64_t *choices, *pads;
    std::size_t words, first_chunk;
    int bits;
};

// Where a column's bits lie in the hash of an OT, its part of the message, the sender's values, and what shares are
// added to.
struct PadColumn {
    std::size_t word, start;
    int width, shift;
    const std::uint64_t* values;
    std::uint64_t* shares;
};

struct TransferArgs {
    const std::uint64_t *pads, *delta, *plane;  // plane: corrections at the sender, choices at the receiver
    std::uint8_t* message;                      // read at the receiver
    const PadColumn* places;                    // of `transfer`
    const std::uint64_t* negated;               // of its sender: a plane, or null
    const std::uint64_t* values;                // of `transfer_bits`
    std::uint64_t* shares;
    std::size_t n, columns;
    std::uint64_t first_tweak;
    bool boolean;
};

struct LookupArgs {
    const std::uint64_t *pads, *delta, *corrections, *tables;  // the last two at the sender
    const std::uint64_t* index;                                // at the receiver
    std::uint8_t* message;                                     // read there
    std::uint64_t* shares;
    std::size_t n, bits;
    std::uint64_t first_tweak;
    int width;
    bool boolean;
};

// Some bits of n elements, and their planes one after another, of ceil(n / 64) words each.
struct PlanesArgs {
    const std::uint64_t* in;
    std::uint64_t* out;
    std::size_t n, planes;
    int first_bit;  // of `planes_split`
};

struct TransferKernels {
    void (*double_seeds)(const std::uint64_t* seeds, std::size_t count, std::uint64_t* children);
    // Words first .. last of a plane; ranges begin at multiples of kSoftspokenChunk.
    void (*softspoken)(const SoftspokenArgs& args, std::size_t first, std::size_t last);
    // Words first .. last of every plane.
    void (*planes_split)(const PlanesArgs& args, std::size_t first, std::size_t last);
    void (*planes_join)(const PlanesArgs& args, std::size_t first, std::size_t last);
    // Ranges of OTs that begin at multiples of kTransferKeyOts.
    void (*transfer)(const TransferArgs& args, std::size_t first, std::size_t last);
    void (*transfer_bits)(const TransferArgs& args, std::size_t first, std::size_t last);
    void (*lookup)(const LookupArgs& args, std::size_t first, std::size_t last);
};
