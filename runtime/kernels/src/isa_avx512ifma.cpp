// AVX-512 with IFMA, VBMI, VPOPCNTDQ, VNNI and VAES.
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

namespace {

void matmul_block(const MatmulBlock& block) {
    block.bits <= 52 ? Matmul<Tile<true>>::block(block) : Matmul<Tile<false>>::block(block);
}

}  // namespace

const Kernels kAvx512Ifma = {
    "avx512ifma", Tile<true>::rows, Matmul<Tile<true>>::strip, aes_schedule, expand, pack, unpack,
    matmul_block, compare_leaves, carry_node, segmented_polynomial, sine_series,
};
