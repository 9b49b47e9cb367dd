// Constants of the kernels on residues, from their moduli. All of it is public: branches and divisions are allowed.
#pragma once
#include <vector>

#include "kernels.hpp"

struct Moduli {
    const u64* p;
    size_t count;
};

// Whether these are moduli that the kernels take, see rlwe_kernels.hpp.
bool are_moduli(Moduli moduli);

u64 word_inverse(u64 odd);  // modulo 2^64
Prime prime_of(u64 p);
std::vector<Prime> primes_of(Moduli moduli);

// The caller sets the arrays and their lengths.
ResidueArgs residue_constants(Moduli moduli, bool is_signed);
ResidueArgs scale_up_constants(Moduli moduli, int bits);
DivideArgs drop_constants(Moduli moduli, size_t keep);
DivideArgs scale_down_constants(Moduli moduli, int bits);
PlainProductArgs plain_constants(Moduli moduli);
KeySwitchArgs key_switch_constants(Moduli moduli);  // the special prime is the last
