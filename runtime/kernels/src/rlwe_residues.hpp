// residues, divide and uniform: numbers to residues and back, on ranges of elements. Needs keystream() of the including
// instruction set.
#pragma once
#include "modular.hpp"

namespace {

void residues(const ResidueArgs& args, size_t row, size_t first, size_t last) {
    using V = Modular::V;
    const V scale = Modular::set(args.scale), half = Modular::set(args.half), mask = Modular::set(args.mask);
    const V top = Modular::set(args.is_signed ? u64{1} << 63 : 0);
    for (size_t k = 0; k < args.prime_count; ++k) {
        const Field field(args.primes[k]);
        const V offset = Modular::set(args.offsets[k]);
        u64* const out = args.out + (row * args.prime_count + k) * args.length;
        for (size_t i = first; i < last; i += Modular::count) {
            const size_t at = row * args.length + i, left = last - i;
            const V v =
                args.wide != nullptr ? Modular::load(args.wide + at, left) : Modular::load(args.narrow + at, left);
            const V t = Modular::sub(Modular::and_(Modular::add(Modular::mul(v, scale), half), mask), half);
            const V word = Modular::add(t, top), low = Modular::and_(word, Modular::set(low_mask(kHalfBits)));
            const V residue = Modular::add(field.join(Modular::shr(word, kHalfBits), low), offset);
            const V product = field.mul(Modular::cut(residue, Modular::add(field.twice, field.twice)), args.factors[k]);
            Modular::store(out + i, Modular::cut(product, field.p), left);
        }
    }
}

// floor(y / d) modulo the prime of `field`, of y modulo it and the residue of y modulo d, both reduced: what is
// multiplied is below 3 2^50.
Modular::V divide_by(const Field& field, Modular::V y, Modular::V rest, Multiplier inverse) {
    const auto difference = Modular::sub(Modular::add(y, field.cover), rest);
    return Modular::cut(field.mul(difference, inverse), field.p);
}

void divide(const DivideArgs& args, size_t row, size_t first, size_t last) {
    using V = Modular::V;
    const size_t count = args.prime_count;
    const u64* const x = args.x + row * count * args.length;
    for (size_t i = first; i < last; i += Modular::count) {
        const size_t left = last - i;
        V y[kMostPrimes], word = Modular::set(args.half);
        for (size_t k = 0; k < count; ++k) {
            const Field field(args.primes[k]);
            const V scaled = field.mul(Modular::load(x + k * args.length + i, left), args.factors[k]);
            y[k] = field.reduce(Modular::add(scaled, Modular::set(args.halves[k])));
        }
        for (size_t d = count; d-- > args.keep;) {
            if (args.keep == 0) word = Modular::mul(Modular::sub(word, y[d]), Modular::set(args.word_inverses[d]));
            for (size_t k = 0; k < d; ++k)
                y[k] = divide_by(Field(args.primes[k]), y[k], y[d], args.inverses[d][k]);
        }
        if (args.keep == 0)
            Modular::store(args.out + row * args.length + i, Modular::and_(word, Modular::set(args.mask)), left);
        for (size_t k = 0; k < args.keep; ++k)
            Modular::store(args.out + (row * args.keep + k) * args.length + i, y[k], left);
    }
}

void uniform(const u8* schedule, u64 stream, size_t first_block, size_t count, const Prime& prime, u64* out) {
    constexpr size_t kBlocks = kKeystreamChunk / 16;
    alignas(64) u8 buffer[kKeystreamChunk];
    const u64* const words = reinterpret_cast<const u64*>(buffer);
    const Field field(prime);
    for (size_t done = 0; done < count;) {
        const size_t skipped = (first_block + done) % kBlocks;  // not 0 in the first chunk only
        const size_t blocks = count - done < kBlocks - skipped ? count - done : kBlocks - skipped;
        keystream(schedule, stream, first_block + done - skipped, skipped + blocks, buffer);
        for (size_t i = 0; i < blocks; i += Modular::count) {
            Modular::V low, high;
            Modular::load_pairs(words + 2 * (skipped + i), blocks - i, low, high);
            const auto half = Modular::set(low_mask(kHalfBits));  // of 128 bits: 52, 52 and 24
            const auto middle = Modular::add(Modular::shr(low, 52), Modular::and_(Modular::shl(high, 12), half));
            const auto upper = Modular::cut(field.join(Modular::shr(high, 40), middle), field.twice);
            Modular::store(out + done + i, field.reduce(field.join(upper, Modular::and_(low, half))), blocks - i);
        }
        done += blocks;
    }
}

}  // namespace
