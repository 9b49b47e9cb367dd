// AVX2, FMA and the AES instructions.
#include <utility>

#include "aes_ni.hpp"
#include "expand.hpp"
#include "lanes_avx2.hpp"

#include "compare.hpp"
#include "exponential.hpp"
#include "lookup.hpp"
#include "matmul.hpp"
#include "openings.hpp"
#include "pack.hpp"
#include "polynomial.hpp"
#include "rlwe.hpp"
#include "rows.hpp"
#include "silent.hpp"
#include "sine.hpp"
#include "truncate.hpp"

namespace {

// Products of 32-bit halves; the two cross products are shifted once, at the end.
struct Tile {
    static constexpr size_t rows = 4, vectors = 1, lanes = 4;

    template <size_t Rows, size_t Vectors>
    static void run(const u64* a, size_t lda, const u64* panel, size_t depth, u64* out) {
        __m256i low[Rows], cross[Rows];
        for (size_t r = 0; r < Rows; ++r) low[r] = cross[r] = _mm256_setzero_si256();
        for (size_t k = 0; k < depth; ++k, panel += lanes) {
            const __m256i b = Lanes::load(panel), b_high = _mm256_srli_epi64(b, 32);
#pragma GCC unroll 4
            for (size_t r = 0; r < Rows; ++r) {
                const u64* value = a + r * lda + k;
                int high;  // a load of its own: a broadcast from memory is cheaper than a shift
                std::memcpy(&high, reinterpret_cast<const u8*>(value) + 4, 4);
                const __m256i a_low = Lanes::set(*value), a_high = _mm256_set1_epi32(high);
                low[r] = _mm256_add_epi64(low[r], _mm256_mul_epu32(a_low, b));
                cross[r] = _mm256_add_epi64(cross[r], _mm256_mul_epu32(a_low, b_high));
                cross[r] = _mm256_add_epi64(cross[r], _mm256_mul_epu32(a_high, b));
            }
        }
        for (size_t r = 0; r < Rows; ++r)
            Lanes::store(out + lanes * r, _mm256_add_epi64(low[r], _mm256_slli_epi64(cross[r], 32)));
    }
};

}  // namespace

const Kernels kAvx2 = {
    "avx2", Tile::rows, Matmul<Tile>::strip, aes_schedule, expand, pack, unpack, Matmul<Tile>::block,
    compare_leaves, carry_node, segmented_polynomial, sine_series, exponential, pack_difference, unpack_sum, unpack_add,
    truncate_open, truncate_close, shift_right, row_counts, kRlwe, kTransfer, kSilent,
};
