// The register tile of both AVX-512 levels: 8 rows of three vectors.
#pragma once
#include "lanes_avx512.hpp"

namespace {

template <bool Narrow>  // the result counts modulo 2^52 or less
struct Tile {
    static constexpr size_t rows = 8, vectors = 3, lanes = 8;

    template <size_t Rows, size_t Vectors>
    static void run(const u64* a, size_t lda, const u64* panel, size_t depth, u64* out) {
        __m512i sum[Rows][Vectors];
#pragma GCC unroll 8
        for (size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 3
            for (size_t v = 0; v < Vectors; ++v) sum[r][v] = _mm512_setzero_si512();
        for (size_t k = 0; k < depth; ++k, panel += Vectors * lanes) {
            __m512i b[Vectors];
#pragma GCC unroll 3
            for (size_t v = 0; v < Vectors; ++v) b[v] = Lanes::load(panel + v * lanes);
#pragma GCC unroll 8
            for (size_t r = 0; r < Rows; ++r) {
                const __m512i value = Lanes::set(a[r * lda + k]);
#pragma GCC unroll 3
                for (size_t v = 0; v < Vectors; ++v)
                    sum[r][v] = Narrow ? Lanes::mul_add_52(sum[r][v], value, b[v])
                                       : Lanes::mul_add(sum[r][v], value, b[v]);
            }
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < Rows; ++r)
#pragma GCC unroll 3
            for (size_t v = 0; v < Vectors; ++v) Lanes::store(out + (r * Vectors + v) * lanes, sum[r][v]);
    }
};

}  // namespace
