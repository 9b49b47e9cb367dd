// The kernels on whole arrays: cut into tasks for the pool.
#pragma once
#include "kernels.hpp"

struct MatmulShape {
    size_t batch, m, k, n;
    bool shared_b;  // one b for the whole batch
};

void expand_all(const u8* key, u64 stream, size_t first, size_t count, int bits, u64* out);
void pack_all(const u64* values, size_t count, int bits, u8* out);
void unpack_all(const u8* data, size_t count, int bits, u64* out);
void matmul_all(MatmulShape shape, const u64* a, Factor b, int bits, bool add, u64* c);
void compare_leaves_all(const CompareArgs& args);
void carry_node_all(const CarryArgs& args);
void segmented_polynomial_all(const PolynomialArgs& args);
void sine_series_all(const SineArgs& args);
void planes_pack_all(const u8* bits, size_t count, u64* words);
void planes_split_all(const PlanesArgs& args);
void planes_join_all(const PlanesArgs& args);
void planes_unpack_all(const u64* words, size_t planes, size_t count, u8* bits);
void exponential_all(const ExponentialArgs& args);
void pack_difference_all(const u64* a, const u64* b, u64 offset, size_t count, int bits, u8* out);
void unpack_sum_all(const u8* a, const u8* b, size_t count, int bits, u64* out);
void unpack_add_all(const u64* x, const u8* data, size_t count, int bits, u64* out);
void truncate_open_all(const TruncateArgs& args);
void truncate_close_all(const TruncateArgs& args);
void shift_right_all(const u64* x, u64 offset, size_t count, int ring, int bits, u64* out);
void row_counts_all(const RowCountArgs& args, size_t rows);
void lookup_bits_all(const u64* words, const u64* places, size_t rows, size_t row_words, int word_bits, u8* out);
