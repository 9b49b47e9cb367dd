// AVX-512 F, BW, DQ, VL and the AES instructions.
#include <utility>

#include "aes_ni.hpp"
#include "expand.hpp"
#include "lanes_avx512.hpp"

#include "compare.hpp"
#include "matmul.hpp"
#include "pack.hpp"
#include "polynomial.hpp"
#include "sine.hpp"
#include "tile_avx512.hpp"

const Kernels kAvx512 = {
    "avx512", Tile<false>::rows, Matmul<Tile<false>>::strip, aes_schedule, expand, pack, unpack,
    Matmul<Tile<false>>::block, compare_leaves, carry_node, segmented_polynomial, sine_series,
};
