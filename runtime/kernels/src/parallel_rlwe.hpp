// The kernels on residues and polynomials, on whole arrays: cut into tasks for the pool.
#pragma once
#include "rlwe_constants.hpp"

// x[rows, primes, degree], factors[primes, 2, degree].
void ntt_forward_all(u64* x, size_t rows, const std::vector<Prime>& primes, size_t degree, const u64* factors);
void ntt_inverse_all(u64* x, size_t rows, const std::vector<Prime>& primes, size_t degree, const u64* factors);
void multiply_accumulate_all(const ProductArgs& args);
void multiply_plain_all(const PlainProductArgs& args);
void residues_all(const ResidueArgs& args, size_t rows);
void divide_all(const DivideArgs& args, size_t rows);
void automorphism_all(const AutomorphismArgs& args, size_t rows);
// c[rows, primes, degree] to out[rows, 2, primes, degree].
void key_switch_all(const KeySwitchArgs& args, const u64* c, size_t rows, u64* out);
void merge_all(const MergeArgs& args);
void uniform_residues_all(const u8* key, u64 stream, size_t rows, size_t degree, const std::vector<Prime>& primes,
                          u64* out);
