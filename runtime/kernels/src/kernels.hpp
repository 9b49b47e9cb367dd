// The function table of one instruction set. Each isa_*.cpp is compiled with its own flags and fills one table; the
// table is chosen once, when the module is loaded. What a kernel computes is written in ../twin.py.
// Everything here works on plain memory and one range or block; parallel.cpp cuts the work and runs it on the pool.
#pragma once
#include <cstddef>
#include <cstdint>

#include "rlwe_kernels.hpp"

#include "silent_kernels.hpp"
#include "transfer_kernels.hpp"

using u8 = std::uint8_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;
using i32 = std::int32_t;
using std::size_t;

inline u64 low_mask(int bits) { return ~u64{0} >> (64 - bits); }  // 1 <= bits <= 64
inline u64 power_of_two(int bits) { return bits < 64 ? u64{1} << bits : 0; }  // mod 2^64
inline size_t words_of(size_t bits) { return (bits + 63) / 64; }
inline size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

constexpr size_t kAesScheduleBytes = 176;
constexpr size_t kKeystreamChunk = 4096;   // bytes; expand makes the key stream from multiples of it on
constexpr size_t kMatmulDepth = 256;       // depth of one packed panel
constexpr int kMaxBlocks = 12;             // of a carry node; MAX_BLOCKS in subsets.py
constexpr size_t kMaxPowers = 64;          // of a segmented polynomial; MAX_POWERS in twin.py

// The right factor of a product: elements of 64 bits, or signed ones of 32 bits. One of the two is null.
struct Factor {
    const u64* wide;
    const i32* narrow;
    Factor from(size_t element) const {
        return {wide != nullptr ? wide + element : nullptr, narrow != nullptr ? narrow + element : nullptr};
    }
};

struct MatmulBlock {  // c[m,n] = a[m,k] * b[k,n] mod 2^bits, where `add` that plus c; all row-major
    const u64* a;
    Factor b;
    u64* c;
    size_t m, n, k, lda, ldb, ldc;
    int bits;
    bool add;
    u64* workspace;  // 64-byte aligned, kMatmulDepth * (n rounded up to the lane count) words
};

struct CompareArgs {
    const u64 *opened, *onehots, *sign_share, *thresholds;
    u64* planes;
    size_t n, threshold_count;
    int bits, width, blocks, party;
};

struct CarryArgs {
    const u64 *opened, *products;
    u64* out;
    size_t words;
    int blocks, party;
};

struct PolynomialArgs {
    const u64 *z, *w;
    const u8* bits;
    const u64* coefficients;
    const i64* repeats;
    const u64* dealt[4];  // atoms, wraps_z, wraps_w, wraps_zw
    u64* out;
    size_t n, columns, z_powers, w_powers;
    size_t z_repeat, w_repeat, bits_repeat;  // neighbouring elements that share an entry
    int z_bits, w_bits, ring, party;
};

struct SineArgs {
    const u64 *delta, *shares;
    const i64 *waves, *amplitudes, *harmonics;
    const u64* phases;
    u64* out;
    size_t n, terms;
    int p, j, shift, bits;
};

struct ExponentialArgs {
    const u64 *delta, *factors;
    const i64 *coarse, *fine;
    u64* out;
    size_t n;
    int j, low, scale, bits;
};

struct TruncateArgs {
    const u64 *share, *own, *product;
    const u8 *mine, *theirs;
    u8* message;
    u64* out;
    size_t n;
    int bits, ring, result, party;
};

struct RowCountArgs {
    const u64* opened;
    const void* onehots;  // of u8, or of u16 where `wide`
    u64* out;
    size_t length;
    i64 low;
    int bits, levels;
    bool wide;
};

struct Kernels {
    const char* name;
    size_t tile_rows, tile_columns;  // blocks of matmul are best cut at multiples of these
    void (*aes_schedule)(const u8* key, u8* schedule);
    // Elements first .. first+count.
    void (*expand)(const u8* schedule, u64 stream, size_t first, size_t count, int bits, u64* out);
    // Groups of 64 elements; `values` and `out` are the start of a group.
    void (*pack)(const u64* values, size_t count, int bits, u8* out);
    void (*unpack)(const u8* data, size_t count, int bits, u64* out);
    void (*matmul)(const MatmulBlock& block);
    void (*compare_leaves)(const CompareArgs& args, size_t first_word, size_t last_word);
    void (*carry_node)(const CarryArgs& args, size_t first_word, size_t last_word);
    void (*segmented_polynomial)(const PolynomialArgs& args, size_t first, size_t last);
    void (*sine_series)(const SineArgs& args, size_t first, size_t last);
    void (*exponential)(const ExponentialArgs& args, size_t first, size_t last);
    // Ranges of these begin at multiples of 64.
    void (*pack_difference)(const u64* a, const u64* b, u64 offset, size_t count, int bits, u8* out);
    void (*unpack_sum)(const u8* a, const u8* b, size_t count, int bits, u64* out);
    void (*unpack_add)(const u64* x, const u8* data, size_t count, int bits, u64* out);
    void (*truncate_open)(const TruncateArgs& args, size_t first, size_t last);
    void (*truncate_close)(const TruncateArgs& args, size_t first, size_t last);
    void (*shift_right)(const u64* x, u64 offset, size_t count, int ring, int bits, u64* out);
    void (*row_counts)(const RowCountArgs& args, size_t first_row, size_t last_row);
    RlweKernels rlwe;
    TransferKernels transfer;
    SilentKernels silent;
};

extern const Kernels kPortable;
#ifdef MPCC_X86
extern const Kernels kAvx2, kAvx512, kAvx512Ifma;
#endif

const Kernels& kernels();  // the table in use, chosen on the first call; throws std::runtime_error, see dispatch.cpp
