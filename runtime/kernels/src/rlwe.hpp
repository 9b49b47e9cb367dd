// Products of transformed polynomials, automorphisms and key switching.
#pragma once
#include <algorithm>
#include <cstring>

#include "modular.hpp"
#include "ntt.hpp"
#include "rlwe_residues.hpp"

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
    for (size_t at = 0; at < tile.count; at += Modular::count) {
        const size_t left = tile.count - at;
        Modular::Sum sum[Rows][Columns];
        for (size_t i = 0; i < Rows; ++i)
            for (size_t j = 0; j < Columns; ++j)
                sum[i][j] = Modular::sum(Modular::load(sums + i * tile.sums_row + j * tile.sums_column + at, left));
        for (size_t l = 0; l < tile.depth; ++l) {
            Modular::V a[Rows];
            for (size_t i = 0; i < Rows; ++i) a[i] = Modular::load(x + i * tile.x_row + l * tile.x_step + at, left);
            for (size_t j = 0; j < Columns; ++j) {
                const auto b = Modular::load(y + l * tile.y_step + j * tile.y_column + at, left);
                for (size_t i = 0; i < Rows; ++i) Modular::add_product(sum[i][j], a[i], b);
            }
        }
        for (size_t i = 0; i < Rows; ++i)
            for (size_t j = 0; j < Columns; ++j)
                Modular::store(sums + i * tile.sums_row + j * tile.sums_column + at,
                               field.reduce(field.fold(sum[i][j])), left);
    }
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

// Signed integers y[length] as a transformed polynomial.
void transform_plain(const PlainProductArgs& args, size_t prime, size_t polynomial, u64* out) {
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
    size_t length = args.length;
    for (; length < 16; ++length) out[length] = 0;
    ntt_forward_short(out, args.degree, length, args.primes[prime].p, args.forward + prime * 2 * args.degree);
}

void multiply_plain(const PlainProductArgs& args, size_t first_column, size_t prime, u64* workspace) {
    const size_t n = args.degree, step = args.prime_count * n;
    const size_t columns = std::min(kPlainColumns, args.columns - first_column);
    ProductTile tile{.sums = args.sums + first_column * step + prime * n,
                     .x = nullptr,
                     .y = workspace,
                     .sums_row = args.columns * step,
                     .sums_column = step,
                     .x_row = args.depth * step,
                     .x_step = step,
                     .y_step = columns * n,
                     .y_column = n,
                     .rows = args.rows,
                     .columns = columns,
                     .depth = 0,
                     .count = n};
    const auto each_sum = [&](auto action) {
        for (size_t i = 0; i < args.rows; ++i)
            for (size_t j = 0; j < columns; ++j) action(tile.sums + i * tile.sums_row + j * tile.sums_column);
    };
    each_sum([&](u64* sum) { std::memset(sum, 0, 8 * n); });
    for (size_t done = 0; done < args.depth; done += kPlainDepth) {
        tile.x = args.x + done * step + prime * n;
        tile.depth = std::min(kPlainDepth, args.depth - done);
        for (size_t l = 0; l < tile.depth; ++l)
            for (size_t j = 0; j < columns; ++j)
                transform_plain(args, prime, (done + l) * args.columns + first_column + j,
                                workspace + (l * columns + j) * n);
        add_all_products(tile, Field(args.primes[prime]));
    }
    each_sum([&](u64* sum) { ntt_inverse(sum, n, args.primes[prime].p, args.inverse + prime * 2 * n); });
}

// Coefficient j comes from i = j / exponent mod 2 degree, negated where i is degree or more; or is added to what is there.
template <bool Add>
void turn(const u64* x, size_t degree, size_t inverse, u64 prime, u64* out) {
    const auto p = Modular::set(prime), top = Modular::set(degree), inside = Modular::set(degree - 1);
    const auto step = Modular::set(Modular::count * inverse);
    auto place = Modular::mul(Modular::count_up(), Modular::set(inverse));
    for (size_t j = 0; j < degree; j += Modular::count, place = Modular::add(place, step)) {
        const size_t left = degree - j;
        const auto value = Modular::gather(x, Modular::and_(place, inside));
        auto turned = Modular::negate(value, place, top, p);
        if constexpr (Add) turned = Modular::cut(Modular::add(turned, Modular::load(out + j, left)), p);
        Modular::store(out + j, turned, left);
    }
}

// Polynomials first .. last of those of all rows and primes.
void automorphism(const AutomorphismArgs& args, size_t first, size_t last) {
    for (size_t i = first; i < last; ++i)
        turn<false>(args.x + i * args.degree, args.degree, args.inverse, args.moduli[i % args.prime_count],
                    args.out + i * args.degree);
}

// One of the primes of key_switch: its digits, transformed and multiplied by the key, to two polynomials.
void switch_prime(const KeySwitchArgs& args, const u64* c, size_t prime, u64* digits, u64* sums) {
    const size_t n = args.degree, count = args.prime_count;
    const u64* const table = args.forward + prime * 2 * n;
    const Field field(args.primes[prime]);
    for (size_t d = 0; d < count; ++d) {
        u64* const digit = digits + d * n;
        for (size_t i = 0; i < n; i += Modular::count)
            Modular::store(digit + i, field.fold(Modular::load(c + d * n + i)));
        ntt_forward(digit, n, args.primes[prime].p, table);
    }
    const size_t key_step = (count + 1) * n;
    for (size_t half = 0; half < 2; ++half) {
        const u64* const key = args.key + half * key_step + prime * n;
        u64* const sum_of = sums + half * n;
        for (size_t i = 0; i < n; i += Modular::count) {
            Modular::Sum sum = Modular::sum(Modular::set(0));
            for (size_t d = 0; d < count; ++d)
                Modular::add_product(sum, Modular::load(digits + d * n + i), Modular::load(key + 2 * d * key_step + i));
            Modular::store(sum_of + i, Modular::cut(field.fold(sum), field.twice));
        }
        ntt_inverse(sum_of, n, args.primes[prime].p, args.inverse + prime * 2 * n);
    }
}

template <bool Add>
void switch_key(const KeySwitchArgs& args, const u64* c, u64* out, size_t step, u64* workspace) {
    const size_t n = args.degree, count = args.prime_count;
    u64 *const digits = workspace, *const special = digits + count * n, *const sums = special + 2 * n;
    switch_prime(args, c, count, digits, special);
    const auto special_prime = Modular::set(args.primes[count].p), half = Modular::set(args.half);
    for (size_t i = 0; i < 2 * n; i += Modular::count)
        Modular::store(special + i, Modular::cut(Modular::add(Modular::load(special + i), half), special_prime));
    for (size_t prime = 0; prime < count; ++prime) {
        switch_prime(args, c, prime, digits, sums);
        const Field field(args.primes[prime]);
        const auto rounding = Modular::set(args.halves[prime]);
        for (size_t part = 0; part < 2; ++part) {
            u64* const to = out + part * step + prime * n;
            for (size_t i = 0; i < n; i += Modular::count) {
                const auto sum = Modular::cut(Modular::add(Modular::load(sums + part * n + i), rounding), field.p);
                const auto rest = Modular::load(special + part * n + i);
                auto quotient = divide_by(field, sum, rest, args.inverses[prime]);
                if constexpr (Add) quotient = Modular::cut(Modular::add(quotient, Modular::load(to + i)), field.p);
                Modular::store(to + i, quotient);
            }
        }
    }
}

// sum = x + X^shift y and difference = x - X^shift y.
void add_shifted(const u64* x, const u64* y, size_t n, size_t shift, u64 prime, u64* sum, u64* difference) {
    const auto p = Modular::set(prime);
    const auto range = [&](size_t first, size_t last, const u64* from, u64* plus, u64* less) {
        for (size_t i = first; i < last; i += Modular::count) {
            const size_t left = last - i;
            const auto a = Modular::load(x + i, left), b = Modular::load(from + i - first, left);
            Modular::store(plus + i, Modular::cut(Modular::add(a, b), p), left);
            Modular::store(less + i, Modular::cut(Modular::add(a, Modular::sub(p, b)), p), left);
        }
    };
    range(0, shift, y + (n - shift), difference, sum);  // what goes round comes back negative
    range(shift, n, y, sum, difference);
}

void merge(const MergeArgs& args, size_t row, u64* workspace) {
    const size_t n = args.key.degree, count = args.key.prime_count, step = args.rows * count * n;
    u64 *const turned = workspace, *const rest = turned + count * n;
    for (size_t part = 0; part < 2; ++part)
        for (size_t prime = 0; prime < count; ++prime) {
            const u64* const x = args.x + 2 * part * step + (2 * row * count + prime) * n;
            u64* const out = args.out + part * step + (row * count + prime) * n;
            const u64 p = args.key.primes[prime].p;
            add_shifted(x, x + count * n, n, args.shift, p, out, rest);
            if (part == 0)
                turn<true>(rest, n, args.inverse, p, out);
            else
                turn<false>(rest, n, args.inverse, p, turned + prime * n);
        }
    switch_key<true>(args.key, turned, args.out + row * count * n, step, rest);
}

constexpr RlweKernels kRlwe = {
    ntt_forward, ntt_inverse, multiply_accumulate, multiply_plain, residues, divide,
    automorphism, switch_key<false>, merge, uniform,
};

}  // namespace
