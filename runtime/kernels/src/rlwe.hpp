// Automorphisms and key switching, and the table of these kernels.
#pragma once
#include "modular.hpp"
#include "ntt.hpp"
#include "rlwe_products.hpp"
#include "rlwe_residues.hpp"

namespace {

// Coefficient j comes from i = j / exponent mod 2 degree, negated where i is degree or more; it may be added to what is
// there.
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
    const u64* const table = args.forward + prime * kTableRows * n;
    const Field field(args.primes[prime]);
    for (size_t d = 0; d < count; ++d) {
        u64* const digit = digits + d * n;
        for (size_t i = 0; i < n; i += Modular::count)
            Modular::store(digit + i, field.fold(Modular::load(c + d * n + i)));
        ntt_forward(digit, n, args.primes[prime], table);
    }
    const size_t key_step = (count + 1) * n;
    for (size_t half = 0; half < 2; ++half) {
        const u64* const key = args.key + half * key_step + prime * n;
        u64* const sum_of = sums + half * n;
        for (size_t i = 0; i < n; i += Modular::count) {
            Modular::Sum sum = Modular::sum(Modular::set(0), count);
            for (size_t d = 0; d < count; ++d)
                Modular::add_product(sum, Modular::operand(Modular::load(digits + d * n + i)),
                                     Modular::operand(Modular::load(key + 2 * d * key_step + i)));
            Modular::store(sum_of + i, Modular::cut(field.fold(sum), field.twice));
        }
        ntt_inverse(sum_of, n, args.primes[prime], args.inverse + prime * kTableRows * n);
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
