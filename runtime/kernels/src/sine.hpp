// sine_series, on Lanes. The table is a quarter of the period, which stays in the second-level cache.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

// Narrow: the result counts modulo 2^52 or less. Short: angles have at most 32 bits.
template <bool Narrow, bool Short>
void sine_lanes(const SineArgs& args, const u64* delta, const u64* shares, size_t stride, u64* out) {
    const auto sum_of = [](auto sum, auto a, auto b) {
        return Narrow ? Lanes::mul_add_52(sum, a, b) : Lanes::mul_add(sum, a, b);
    };
    const auto half = Lanes::set(args.shift == 0 ? 0 : u64{1} << (args.shift - 1)), bit_32 = Lanes::set(32);
    const auto in_quarter = Lanes::set(power_of_two(args.p - 2) - 1);
    const auto opened = Lanes::load(delta);
    auto sum = Lanes::set(0);
    for (size_t m = 0; m < args.terms; ++m) {
        const auto harmonic = Lanes::set(static_cast<u64>(args.harmonics[m]));
        const auto turned = Short ? Lanes::mul_32(opened, harmonic) : Lanes::mul(opened, harmonic);
        const auto phase = Lanes::set(args.phases[m] << (64 - args.j));
        const auto angle = Lanes::sub(Lanes::shl(turned, 64 - args.j), phase);
        const auto index = Lanes::and_(Lanes::shr(angle, 64 - args.p), in_quarter);
        const auto wave = Lanes::gather(args.waves, index);
        const auto amplitude = Lanes::set(static_cast<u64>(args.amplitudes[m]));
        const auto factor = [&](auto value, auto negative) {
            const auto product = Lanes::sub(Lanes::xor_(Lanes::mul_32(value, amplitude), negative), negative);
            return Lanes::sar(Lanes::add(product, half), args.shift);
        };
        // A quarter further the cosine is what minus the sine was, and minus the sine minus what the cosine was.
        const auto odd = Lanes::and_(Lanes::shr(angle, 57), bit_32);
        const auto of_cosine = Lanes::shr(wave, Lanes::xor_(odd, bit_32)), of_sine = Lanes::shr(wave, odd);
        const auto cosine = factor(of_cosine, Lanes::sar(angle, 63));
        const auto minus_sine = factor(of_sine, Lanes::sar(Lanes::xor_(angle, Lanes::shl(angle, 1)), 63));
        const auto share_cos = Lanes::load(shares + m * stride);
        const auto share_sin = Lanes::load(shares + (args.terms + m) * stride);
        sum = sum_of(sum_of(sum, cosine, share_cos), minus_sine, share_sin);
    }
    Lanes::store(out, Lanes::and_(sum, Lanes::set(low_mask(args.bits))));
}

void sine_series(const SineArgs& args, size_t first, size_t last) {
    const bool narrow = args.bits <= 52, is_short = args.j <= 32;
    const auto lanes = narrow ? is_short ? sine_lanes<true, true> : sine_lanes<true, false>
                              : is_short ? sine_lanes<false, true> : sine_lanes<false, false>;
    size_t i = first;
    for (; i + Lanes::count <= last; i += Lanes::count)
        lanes(args, args.delta + i, args.shares + i, args.n, args.out + i);
    for (; i < last; ++i) {  // one element in a vector: its shares, gathered, as rows of one vector
        u64 delta[Lanes::count] = {}, out[Lanes::count];
        delta[0] = args.delta[i];
        SineArgs one = args;
        u64 sum = 0;
        one.terms = 1;
        for (size_t m = 0; m < args.terms; ++m) {
            u64 shares[2 * Lanes::count] = {};
            shares[0] = args.shares[m * args.n + i];
            shares[Lanes::count] = args.shares[(args.terms + m) * args.n + i];
            one.harmonics = args.harmonics + m;
            one.phases = args.phases + m;
            one.amplitudes = args.amplitudes + m;
            lanes(one, delta, shares, Lanes::count, out);
            sum += out[0];
        }
        args.out[i] = sum & low_mask(args.bits);
    }
}

}  // namespace
