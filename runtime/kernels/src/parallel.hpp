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
void planes_unpack_all(const u64* words, size_t count, u8* bits);
