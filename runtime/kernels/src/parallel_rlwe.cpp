// The kernels on residues and polynomials, cut into tasks for the pool.
#include "parallel_rlwe.hpp"

#include "ranges.hpp"
#include "workspace.hpp"

namespace {

constexpr size_t kCoefficients = 1 << 15;  // of transforms, for one task

size_t polynomials_of(size_t coefficients, size_t degree) {
    return std::max<size_t>(1, coefficients / std::max<size_t>(1, degree));
}

// Work on ranges of elements of each row, `cost` operations on each.
void run_rows(size_t rows, size_t length, size_t cost, const std::function<void(size_t, size_t, size_t)>& range) {
    constexpr size_t kPiece = 1024;
    const size_t pieces = ceil_div(length, kPiece);
    run_ranges(rows * pieces, 1, std::max<size_t>(1, 64 / cost), [&](size_t first, size_t last) {
        for (size_t piece = first; piece < last; ++piece) {
            const size_t begin = piece % pieces * kPiece;
            range(piece / pieces, begin, std::min(length, begin + kPiece));
        }
    });
}

}  // namespace

void ntt_forward_all(u64* x, size_t rows, const std::vector<Prime>& primes, size_t degree, const u64* factors) {
    run_ranges(rows * primes.size(), 1, polynomials_of(kCoefficients, degree), [&](size_t first, size_t last) {
        for (size_t i = first; i < last; ++i) {
            const size_t k = i % primes.size();
            kernels().rlwe.ntt_forward(x + i * degree, degree, primes[k], factors + kTableRows * k * degree);
        }
    });
}

void ntt_inverse_all(u64* x, size_t rows, const std::vector<Prime>& primes, size_t degree, const u64* factors) {
    run_ranges(rows * primes.size(), 1, polynomials_of(kCoefficients, degree), [&](size_t first, size_t last) {
        for (size_t i = first; i < last; ++i) {
            const size_t k = i % primes.size();
            kernels().rlwe.ntt_inverse(x + i * degree, degree, primes[k], factors + kTableRows * k * degree);
        }
    });
}

void multiply_accumulate_all(const ProductArgs& args) {
    const size_t products = std::max<size_t>(1, args.rows * args.columns * args.depth * kProductBlock);
    run_ranges(args.prime_count * ceil_div(args.degree, kProductBlock), 1, std::max<size_t>(1, (1 << 19) / products),
               [&](size_t first, size_t last) { kernels().rlwe.multiply_accumulate(args, first, last); });
}

void multiply_plain_all(const PlainProductArgs& args) {
    const size_t groups = ceil_div(args.columns, kPlainColumns);
    run_ranges(args.prime_count * groups, 1, 1, [&](size_t first, size_t last) {
        u64* const memory = workspace(2 * kPlainWords * args.degree);
        for (size_t i = first; i < last; ++i)
            kernels().rlwe.multiply_plain(args, i % groups * kPlainColumns, i / groups, memory);
    });
}

void residues_all(const ResidueArgs& args, size_t rows) {
    run_rows(rows, args.length, args.prime_count,
             [&](size_t row, size_t first, size_t last) { kernels().rlwe.residues(args, row, first, last); });
}

void divide_all(const DivideArgs& args, size_t rows) {
    run_rows(rows, args.length, args.prime_count * args.prime_count,
             [&](size_t row, size_t first, size_t last) { kernels().rlwe.divide(args, row, first, last); });
}

void automorphism_all(const AutomorphismArgs& args, size_t rows) {
    run_ranges(rows * args.prime_count, 1, polynomials_of(kCoefficients, args.degree),
               [&](size_t first, size_t last) { kernels().rlwe.automorphism(args, first, last); });
}

void key_switch_all(const KeySwitchArgs& args, const u64* c, size_t rows, u64* out) {
    const size_t size = args.prime_count * args.degree;
    run_ranges(rows, 1, 1, [&](size_t first, size_t last) {
        u64* const memory = workspace(size + 4 * args.degree);
        for (size_t row = first; row < last; ++row)
            kernels().rlwe.key_switch(args, c + row * size, out + 2 * row * size, size, memory);
    });
}

void merge_all(const MergeArgs& args) {
    run_ranges(args.rows, 1, 1, [&](size_t first, size_t last) {
        u64* const memory = workspace((2 * args.key.prime_count + 4) * args.key.degree);
        for (size_t row = first; row < last; ++row) kernels().rlwe.merge(args, row, memory);
    });
}

void uniform_residues_all(const u8* key, u64 stream, size_t rows, size_t degree, const std::vector<Prime>& primes,
                          u64* out) {
    alignas(64) u8 schedule[kAesScheduleBytes];
    kernels().aes_schedule(key, schedule);
    run_ranges(rows * primes.size(), 1, polynomials_of(kCoefficients, degree), [&](size_t first, size_t last) {
        for (size_t i = first; i < last; ++i)
            kernels().rlwe.uniform(schedule, stream, i * degree, degree, primes[i % primes.size()], out + i * degree);
    });
    volatile u8* wiped = schedule;
    for (size_t i = 0; i < kAesScheduleBytes; ++i) wiped[i] = 0;
}
