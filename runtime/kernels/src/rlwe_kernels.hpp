// What the kernels on residues modulo small primes take, and their part of the function table. Moduli are odd, coprime
// and below 2^50; a number is stored as its residues, reduced. What each computes is in ../twin_residues.py and
// ../twin_rlwe.py.
#pragma once
#include <cstddef>
#include <cstdint>

constexpr std::size_t kMostPrimes = 16;    // MAX_PRIMES in ntt_tables.py
constexpr int kModulusBits = 50;           // PRIME_BITS there
constexpr std::size_t kTableRows = 4;      // of a transform, see ntt_tables.py
constexpr std::size_t kProductBlock = 512;  // coefficients of one task of multiply_accumulate
constexpr std::size_t kPlainColumns = 4;    // of one task of multiply_plain
constexpr std::size_t kPlainWords = 16;     // of its factors at a time, times the degree; at least kPlainColumns

// A constant factor below p with floor(value 2^52 / p), by which its products are reduced without a division.
struct Multiplier {
    std::uint64_t value, quotient;
};

struct Prime {
    std::uint64_t p, quotient;  // of the factor 1
    std::uint64_t cover;        // the least multiple of p from 2^kModulusBits on
    Multiplier wide;            // 2^52
};

struct ProductArgs {  // sums[I,J,P,N] += x[I,L,P,N] y[L,J,P,N]
    std::uint64_t* sums;
    const std::uint64_t *x, *y;
    const Prime* primes;
    std::size_t rows, columns, depth, prime_count, degree;
};

struct PlainProductArgs {  // sums[I,J,P,N] = x[I,L,P,N] times the polynomials y[L,J,length], in coefficient form
    std::uint64_t* sums;
    const std::uint64_t *x, *forward, *inverse;  // the last two: tables [prime_count, 4, degree]
    const std::int64_t* wide;                    // y, one of the two is null
    const std::int32_t* narrow;
    std::size_t rows, columns, depth, prime_count, degree, length;
    Prime primes[kMostPrimes];
    std::uint64_t offsets[kMostPrimes];  // -2^63 modulo each prime
};

// Of each element v: t = ((v scale + half) mod 2^bits - half) mod 2^64, then (t as a signed integer, where `is_signed`)
// times factors[i] modulo each prime.
struct ResidueArgs {
    const std::uint64_t* wide;  // one of the two is null
    const std::int32_t* narrow;
    std::uint64_t* out;         // [rows, prime_count, length]
    std::size_t length, prime_count;
    std::uint64_t scale, half, mask;
    bool is_signed;
    Prime primes[kMostPrimes];
    Multiplier factors[kMostPrimes];
    std::uint64_t offsets[kMostPrimes];  // -2^63 modulo each prime, or 0
};

// Of each x: floor((x factor + half) / product of the primes from `keep` on). keep = 0: the quotient modulo 2^64,
// masked.
struct DivideArgs {
    const std::uint64_t* x;  // [rows, prime_count, length]
    std::uint64_t* out;      // [rows, keep, length], or [rows, length]
    std::size_t length, prime_count, keep;
    Prime primes[kMostPrimes];
    Multiplier factors[kMostPrimes];                // modulo each prime
    std::uint64_t halves[kMostPrimes];              // modulo each prime
    Multiplier inverses[kMostPrimes][kMostPrimes];  // [d][i], i < d: of prime d modulo prime i
    std::uint64_t half, mask, word_inverses[kMostPrimes];  // modulo 2^64, where keep = 0
};

struct AutomorphismArgs {
    const std::uint64_t* x;
    std::uint64_t* out;
    const std::uint64_t* moduli;
    std::size_t prime_count, degree, inverse;  // of the exponent, modulo 2 degree
};

struct KeySwitchArgs {
    const std::uint64_t *key, *forward, *inverse;  // the last two: tables [prime_count + 1, 4, degree]
    std::size_t prime_count, degree;               // the special prime not counted
    Prime primes[kMostPrimes];
    std::uint64_t half, halves[kMostPrimes];  // half of the special prime
    Multiplier inverses[kMostPrimes];         // of the special prime modulo each other
};

struct MergeArgs {
    KeySwitchArgs key;
    const std::uint64_t* x;  // [2, 2 rows, prime_count, degree]
    std::uint64_t* out;      // [2, rows, prime_count, degree]
    std::size_t rows, shift, inverse;
};

struct RlweKernels {
    // One polynomial of n coefficients; `factors` are kTableRows rows of n.
    void (*ntt_forward)(std::uint64_t* x, std::size_t n, const Prime& prime, const std::uint64_t* factors);
    void (*ntt_inverse)(std::uint64_t* x, std::size_t n, const Prime& prime, const std::uint64_t* factors);
    // Tasks: blocks of kProductBlock coefficients, those of one prime after those of the prime before.
    void (*multiply_accumulate)(const ProductArgs& args, std::size_t first_task, std::size_t last_task);
    // Up to kPlainColumns columns from `first_column` on, modulo prime `prime`; `workspace` is aligned to 64 bytes and
    // holds 2 kPlainWords degree words.
    void (*multiply_plain)(const PlainProductArgs& args, std::size_t first_column, std::size_t prime,
                           std::uint64_t* workspace);
    void (*residues)(const ResidueArgs& args, std::size_t row, std::size_t first, std::size_t last);
    void (*divide)(const DivideArgs& args, std::size_t row, std::size_t first, std::size_t last);
    // Polynomials first .. last of those of all rows and primes.
    void (*automorphism)(const AutomorphismArgs& args, std::size_t first, std::size_t last);
    // One polynomial c[prime_count, degree] to two, `step` words apart; `workspace` is aligned to 64 bytes and holds
    // (prime_count + 4) degree words.
    void (*key_switch)(const KeySwitchArgs& args, const std::uint64_t* c, std::uint64_t* out, std::size_t step,
                       std::uint64_t* workspace);
    // One row; `workspace` holds (2 prime_count + 4) degree words.
    void (*merge)(const MergeArgs& args, std::size_t row, std::uint64_t* workspace);
    // `count` elements, each of one block of the key stream.
    void (*uniform)(const std::uint8_t* schedule, std::uint64_t stream, std::size_t first_block, std::size_t count,
                    const Prime& prime, std::uint64_t* out);
};
