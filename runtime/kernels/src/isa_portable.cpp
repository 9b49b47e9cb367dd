// No instruction beyond the compiler's baseline.
#include <utility>

#include "aes_portable.hpp"
#include "expand.hpp"
#include "lanes_scalar.hpp"

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

struct Tile {
    static constexpr size_t rows = 2, vectors = 4, lanes = 1;

    template <size_t Rows, size_t Vectors>
    static void run(const u64* a, size_t lda, const u64* panel, size_t depth, u64* out) {
        u64 sum[Rows][Vectors] = {};
        for (size_t k = 0; k < depth; ++k, panel += Vectors)
            for (size_t r = 0; r < Rows; ++r) {
                const u64 value = a[r * lda + k];
#pragma GCC unroll 4
                for (size_t v = 0; v < Vectors; ++v) sum[r][v] += value * panel[v];
            }
        std::memcpy(out, sum, sizeof sum);
    }
};

}  // namespace

const Kernels kPortable = {
    "portable", Tile::rows, Matmul<Tile>::strip, aes_schedule, expand, pack, unpack, Matmul<Tile>::block,
    compare_leaves, carry_node, segmented_polynomial, sine_series, exponential, pack_difference, unpack_sum, unpack_add,
    truncate_open, truncate_close, shift_right, row_counts, kRlwe, kTransfer, kSilent,
};
