#include "rlwe_constants.hpp"

namespace {

using Wide = unsigned __int128;

u64 multiply(u64 a, u64 b, u64 p) { return static_cast<u64>(static_cast<Wide>(a) * b % p); }

// Of a modulo p by Euclid's algorithm; 0 where they have a common factor.
u64 inverse_of(u64 a, u64 p) {
    i64 before = 0, now = 1;
    u64 high = p, low = a % p;
    while (low > 1) {
        const u64 quotient = high / low, rest = high % low;
        const i64 next = before - static_cast<i64>(quotient) * now;
        before = now, now = next, high = low, low = rest;
    }
    return low == 0 ? 0 : static_cast<u64>(now < 0 ? now + static_cast<i64>(p) : now);
}

u64 power_of_two_mod(int bits, u64 p) { return static_cast<u64>((static_cast<Wide>(1) << bits) % p); }

Multiplier multiplier(u64 value, u64 p) { return {value, static_cast<u64>((static_cast<Wide>(value) << 52) / p)}; }

// floor(d / 2) modulo p, of the odd product d of the primes from `first` on.
u64 half_product(Moduli moduli, size_t first, u64 p) {
    u64 product = 1;
    for (size_t k = first; k < moduli.count; ++k) product = multiply(product, moduli.p[k], p);
    return multiply(product + p - 1, (p + 1) / 2, p);
}

void set_primes(Moduli moduli, Prime* primes) {
    for (size_t k = 0; k < moduli.count; ++k) primes[k] = prime_of(moduli.p[k]);
}

}  // namespace

// Newton's iteration: each step doubles the number of right bits.
u64 word_inverse(u64 odd) {
    u64 inverse = odd;  // 3 bits
    for (int step = 0; step < 5; ++step) inverse *= 2 - odd * inverse;
    return inverse;
}

bool are_moduli(Moduli moduli) {
    if (moduli.count < 1 || moduli.count > kMostPrimes) return false;
    for (size_t k = 0; k < moduli.count; ++k) {
        const u64 p = moduli.p[k];
        if (p < 3 || p % 2 == 0 || p >> kModulusBits != 0) return false;
        for (size_t other = 0; other < k; ++other)
            if (inverse_of(moduli.p[other], p) == 0) return false;
    }
    return true;
}

Prime prime_of(u64 p) {
    const u64 cover = ((u64{1} << kModulusBits) + p - 1) / p * p;
    return {p, multiplier(1, p).quotient, cover, multiplier(power_of_two_mod(52, p), p)};
}

std::vector<Prime> primes_of(Moduli moduli) {
    std::vector<Prime> primes(moduli.count);
    set_primes(moduli, primes.data());
    return primes;
}

ResidueArgs residue_constants(Moduli moduli, bool is_signed) {
    ResidueArgs args{};
    args.prime_count = moduli.count;
    args.scale = 1;
    args.mask = ~u64{0};
    args.is_signed = is_signed;
    set_primes(moduli, args.primes);
    for (size_t k = 0; k < moduli.count; ++k) {
        const u64 p = moduli.p[k];
        args.factors[k] = multiplier(1, p);
        args.offsets[k] = is_signed ? p - power_of_two_mod(63, p) : 0;
    }
    return args;
}

ResidueArgs scale_up_constants(Moduli moduli, int bits) {
    ResidueArgs args = residue_constants(moduli, true);
    args.half = u64{1} << (bits - 1);
    args.mask = low_mask(bits);
    for (size_t k = 0; k < moduli.count; ++k) {
        const u64 p = moduli.p[k];
        args.scale *= p;
        args.factors[k] = multiplier(p - inverse_of(power_of_two_mod(bits, p), p), p);
    }
    return args;
}


DivideArgs drop_constants(Moduli moduli, size_t keep) {
    DivideArgs args{};
    args.prime_count = moduli.count;
    args.keep = keep;
    set_primes(moduli, args.primes);
    for (size_t k = 0; k < moduli.count; ++k) {
        args.halves[k] = half_product(moduli, keep, moduli.p[k]);
        args.factors[k] = multiplier(1, moduli.p[k]);
    }
    for (size_t d = keep; d < moduli.count; ++d) {
        args.word_inverses[d] = word_inverse(moduli.p[d]);
        for (size_t k = 0; k < d; ++k)
            args.inverses[d][k] = multiplier(inverse_of(moduli.p[d], moduli.p[k]), moduli.p[k]);
    }
    return args;
}

DivideArgs scale_down_constants(Moduli moduli, int bits) {
    DivideArgs args = drop_constants(moduli, 0);
    Wide product = 1;  // modulo 2^128: half of it is right modulo 2^64
    for (size_t k = 0; k < moduli.count; ++k) {
        product *= moduli.p[k];
        args.factors[k] = multiplier(power_of_two_mod(bits, moduli.p[k]), moduli.p[k]);
    }
    args.half = static_cast<u64>(product >> 1);
    args.mask = low_mask(bits);
    return args;
}

PlainProductArgs plain_constants(Moduli moduli) {
    PlainProductArgs args{};
    args.prime_count = moduli.count;
    set_primes(moduli, args.primes);
    for (size_t k = 0; k < moduli.count; ++k) args.offsets[k] = moduli.p[k] - power_of_two_mod(63, moduli.p[k]);
    return args;
}

KeySwitchArgs key_switch_constants(Moduli moduli) {
    KeySwitchArgs args{};
    const size_t special = moduli.count - 1;
    args.prime_count = special;
    args.half = moduli.p[special] / 2;
    set_primes(moduli, args.primes);
    for (size_t k = 0; k < special; ++k) {
        args.halves[k] = args.half % moduli.p[k];
        args.inverses[k] = multiplier(inverse_of(moduli.p[special], moduli.p[k]), moduli.p[k]);
    }
    return args;
}
