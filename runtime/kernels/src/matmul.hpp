// Ring matmul of one block on a Tile: a register tile of Tile::rows rows and up to Tile::vectors vectors of
// Tile::lanes columns, whose run<Rows, Vectors>(a, lda, panel, depth, out) writes the product of `depth` columns of a
// with a packed panel of b to out[Rows][Vectors * lanes].
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

template <class Tile>
struct Matmul {
    using Run = void (*)(const u64* a, size_t lda, const u64* panel, size_t depth, u64* out);
    static constexpr size_t strip = Tile::vectors * Tile::lanes;

    template <size_t Vectors, size_t... Rows>
    static Run pick_rows(size_t rows, std::index_sequence<Rows...>) {
        static constexpr Run table[] = {&Tile::template run<Rows + 1, Vectors>...};
        return table[rows - 1];
    }

    template <size_t... Vectors>
    static Run pick(size_t rows, size_t vectors, std::index_sequence<Vectors...>) {
        Run found = nullptr;
        ((vectors == Vectors + 1 ? void(found = pick_rows<Vectors + 1>(rows, std::make_index_sequence<Tile::rows>{}))
                                 : void()),
         ...);
        return found;
    }

    // depth rows of `columns` columns, filled up with zeros to `width`.
    template <class T>
    static void pack_panel(const T* b, size_t ldb, size_t depth, size_t columns, size_t width, u64* panel) {
        for (size_t k = 0; k < depth; ++k, b += ldb, panel += width) {
            if (columns == strip) {
                for (size_t v = 0; v < strip; v += Lanes::count) Lanes::store(panel + v, Lanes::load(b + v));
            } else {
                for (size_t v = 0; v < columns; ++v) panel[v] = static_cast<u64>(b[v]);  // extends the sign
                std::memset(panel + columns, 0, 8 * (width - columns));
            }
        }
    }

    template <bool First>
    static void add_row(const u64* tile, size_t columns, u64 mask, u64* c) {
        for (size_t i = 0; i < columns; ++i) c[i] = (First ? tile[i] : c[i] + tile[i]) & mask;
    }

    static void add_tile(const u64* tile, size_t width, size_t rows, size_t columns, bool first, u64 mask, u64* c,
                         size_t ldc) {
        for (size_t row = 0; row < rows; ++row, tile += width, c += ldc) {
            if (columns == strip)
                first ? add_row<true>(tile, strip, mask, c) : add_row<false>(tile, strip, mask, c);
            else
                first ? add_row<true>(tile, columns, mask, c) : add_row<false>(tile, columns, mask, c);
        }
    }

    static void block(const MatmulBlock& args) {
        alignas(64) u64 tile[Tile::rows * strip];
        const u64 mask = low_mask(args.bits);
        for (size_t k = 0; k < args.k; k += kMatmulDepth) {
            const size_t depth = args.k - k < kMatmulDepth ? args.k - k : kMatmulDepth;
            for (size_t column = 0; column < args.n; column += strip) {
                const size_t columns = args.n - column < strip ? args.n - column : strip;
                const size_t vectors = ceil_div(columns, Tile::lanes), width = vectors * Tile::lanes;
                const Factor b = args.b.from(k * args.ldb + column);
                b.wide != nullptr ? pack_panel(b.wide, args.ldb, depth, columns, width, args.workspace)
                                  : pack_panel(b.narrow, args.ldb, depth, columns, width, args.workspace);
                for (size_t row = 0; row < args.m; row += Tile::rows) {
                    const size_t rows = args.m - row < Tile::rows ? args.m - row : Tile::rows;
                    const Run run = pick(rows, vectors, std::make_index_sequence<Tile::vectors>{});
                    run(args.a + row * args.lda + k, args.lda, args.workspace, depth, tile);
                    add_tile(tile, width, rows, columns, k == 0 && !args.add, mask, args.c + row * args.ldc + column, args.ldc);
                }
            }
        }
    }
};

}  // namespace
