// AVX-512 with IFMA, VBMI, VPOPCNTDQ, VNNI and VAES.
#include <utility>

#include "aes_ni.hpp"
#include "expand.hpp"
#include "lanes_avx512.hpp"

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
#include "tile_avx512.hpp"

namespace {

void matmul_block(const MatmulBlock& block) {
    block.bits <= 52 ? Matmul<Tile<true>>::block(block) : Matmul<Tile<false>>::block(block);
}

}  // namespace

const Kernels kAvx512Ifma = {
    "avx512ifma", Tile<true>::rows, Matmul<Tile<true>>::strip, aes_schedule, expand, pack, unpack,
    matmul_block, compare_leaves, carry_node, segmented_polynomial, sine_series, exponential, pack_difference, unpack_sum, unpack_add,
    truncate_open, truncate_close, shift_right, row_counts, kRlwe, kTransfer, kSilent,
};
