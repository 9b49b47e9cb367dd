// AVX-512 F, BW, DQ, VL, FMA and the AES instructions.
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

const Kernels kAvx512 = {
    "avx512", Tile<false>::rows, Matmul<Tile<false>>::strip, aes_schedule, expand, pack, unpack,
    Matmul<Tile<false>>::block, compare_leaves, carry_node, segmented_polynomial, sine_series, exponential, pack_difference, unpack_sum, unpack_add,
    truncate_open, truncate_close, shift_right, row_counts, kRlwe, kTransfer, kSilent,
};
