// Products of transformed polynomials, and of ciphertexts with polynomials of integers.
#pragma once
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "modular.hpp"
#include "ntt.hpp"

namespace {

// sums[i, j] += sum over l < depth of x[i, l] y[l, j], each `count` coefficients of one prime; depth is at most
// kMostProducts. The others are the words from one to the next.
struct ProductTile {
    u64* sums;
    const u64 *x, *y;
    size_t sums_row, sums_column, x_row, x_step, y_step, y_column;
    size_t rows, columns, depth, count;
};

template <size_t Rows, size_t Columns>
void add_products(const ProductTile& tile, const Field& field, size_t row, size_t column) {
    u64* const sums = tile.sums + row * tile.sums_row + column * tile.sums_column;
    const u64 *const x = tile.x + row * tile.x_row, *const y = tile.y + column * tile.y_column;
    const auto add_at = [&](size_t at, auto left) {
        Modular::Sum sum[Rows][Columns];
        for (size_t i = 0; i < Rows; ++i)
            for (size_t j = 0; j < Columns; ++j)
                sum[i][j] = Modular::sum(Modular::load(sums + i * tile.sums_row + j * tile.sums_column + at, left),
                                         tile.depth);
        for (size_t l = 0; l < tile.depth; ++l) {
            Modular::V a[Rows];
            for (size_t i = 0; i < Rows; ++i)
                a[i] = Modular::operand(Modular::load(x + i * tile.x_row + l * tile.x_step + at, left));
            for (size_t j = 0; j < Columns; ++j) {
                const auto b = Modular::operand(Modular::load(y + l * tile.y_step + j * tile.y_column + at, left));
                for (size_t i = 0; i < Rows; ++i) Modular::add_product(sum[i][j], a[i], b);
            }
        }
        for (size_t i = 0; i < Rows; ++i)
            for (size_t j = 0; j < Columns; ++j)
                Modular::store(sums + i * tile.sums_row + j * tile.sums_column + at,
                               field.reduce(field.fold(sum[i][j])), left);
    };
    size_t at = 0;
    for (; at + Modular::count <= tile.count; at += Modular::count)
        add_at(at, std::integral_constant<size_t, Modular::count>());  // known when this is compiled
    if constexpr (Modular::count > 1)
        if (at < tile.count) add_at(at, tile.count - at);
}

template <size_t Rows>
void add_product_rows(const ProductTile& tile, const Field& field, size_t row) {
    size_t j = 0;
    for (; j + 4 <= tile.columns; j += 4) add_products<Rows, 4>(tile, field, row, j);
    for (; j + 2 <= tile.columns; j += 2) add_products<Rows, 2>(tile, field, row, j);
    if (j < tile.columns) add_products<Rows, 1>(tile, field, row, j);
}

void add_all_products(const ProductTile& tile, const Field& field) {
    size_t i = 0;
    for (; i + 2 <= tile.rows; i += 2) add_product_rows<2>(tile, field, i);
    if (i < tile.rows) add_product_rows<1>(tile, field, i);
}

void multiply_accumulate(const ProductArgs& args, size_t first_task, size_t last_task) {
    const size_t blocks = ceil_div(args.degree, kProductBlock), step = args.prime_count * args.degree;
    for (size_t task = first_task; task < last_task; ++task) {
        const size_t prime = task / blocks, at = task % blocks * kProductBlock, start = prime * args.degree + at;
        for (size_t done = 0; done < args.depth; done += kMostProducts)
            add_all_products({.sums = args.sums + start,
                              .x = args.x + done * step + start,
                              .y = args.y + done * args.columns * step + start,
                              .sums_row = args.columns * step,
                              .sums_column = step,
                              .x_row = args.depth * step,
                              .x_step = step,
                              .y_step = args.columns * step,
                              .y_column = step,
                              .rows = args.rows,
                              .columns = args.columns,
                              .depth = std::min(kMostProducts, args.depth - done),
                              .count = std::min(kProductBlock, args.degree - at)},
                             Field(args.primes[prime]));
    }
}

// Signed integers y[args.length] below 2p, filled up with zeros to `length`.
void plain_residues(const PlainProductArgs& args, size_t prime, size_t polynomial, size_t length, u64* out) {
    const Field field(args.primes[prime]);
    const auto top = Modular::set(u64{1} << 63), offset = Modular::set(args.offsets[prime]);
    const size_t start = polynomial * args.length;
    for (size_t i = 0; i < args.length; i += Modular::count) {
        const size_t left = args.length - i;
        const auto v = args.wide != nullptr ? Modular::load(reinterpret_cast<const u64*>(args.wide) + start + i, left)
                                            : Modular::load(args.narrow + start + i, left);
        const auto word = Modular::add(v, top), low = Modular::and_(word, Modular::set(low_mask(kHalfBits)));
        const auto residue = Modular::cut(field.join(Modular::shr(word, kHalfBits), low), field.twice);
        Modular::store(out + i, Modular::cut(Modular::add(residue, offset), field.twice), left);
    }
    for (size_t i = args.length; i < length; ++i) out[i] = 0;
}

// The upper levels of the transform of a polynomial whose coefficients from `length` on are zero make copies of the
// others: it is transformed and multiplied block by block, each a copy, so that what it needs stays in the cache.
void multiply_plain(const PlainProductArgs& args, size_t first_column, size_t prime, u64* workspace) {
    const size_t n = args.degree, step = args.prime_count * n;
    const size_t columns = std::min(kPlainColumns, args.columns - first_column);
    const size_t length = std::max<size_t>(args.length, 32), most = kPlainWords * n / (columns * length);
    const Field field(args.primes[prime]);
    const size_t table = prime * kTableRows * n;
    const u64 *const forward = args.forward + table, *const inverse = args.inverse + table;
    u64* const sums = args.sums + first_column * step + prime * n;
    u64 *const given = workspace, *const blocks = length == n ? given : given + kPlainWords * n;
    const auto each_sum = [&](const auto& action) {
        for (size_t i = 0; i < args.rows; ++i)
            for (size_t j = 0; j < columns; ++j) action(sums + (i * args.columns + j) * step);
    };
    if (args.depth == 0) each_sum([&](u64* sum) { std::memset(sum, 0, 8 * n); });
    for (size_t done = 0, depth; done < args.depth; done += depth) {
        depth = std::min({most, kMostProducts, args.depth - done});
        for (size_t l = 0; l < depth; ++l)
            for (size_t j = 0; j < columns; ++j)
                plain_residues(args, prime, (done + l) * args.columns + first_column + j, length,
                               given + (l * columns + j) * length);
        for (size_t at = 0; at < n; at += length) {
            if (blocks != given) std::memcpy(blocks, given, 8 * depth * columns * length);
            if (done == 0) each_sum([&](u64* sum) { std::memset(sum + at, 0, 8 * length); });
            ntt_blocks(blocks, depth * columns, length, (n + at) / length, n, args.primes[prime], forward);
            add_all_products({.sums = sums + at,
                              .x = args.x + done * step + prime * n + at,
                              .y = blocks,
                              .sums_row = args.columns * step,
                              .sums_column = step,
                              .x_row = args.depth * step,
                              .x_step = step,
                              .y_step = columns * length,
                              .y_column = length,
                              .rows = args.rows,
                              .columns = columns,
                              .depth = depth,
                              .count = length},
                             field);
        }
    }
    each_sum([&](u64* sum) { ntt_inverse(sum, n, args.primes[prime], inverse); });
}

}  // namespace
