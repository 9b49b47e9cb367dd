// sine_series, on Lanes.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

template <bool Narrow>  // the result counts modulo 2^52 or less
void sine_lanes(const SineArgs& args, const u64* delta, const u64* shares, size_t stride, u64* out) {
    const auto sum_of = [](auto sum, auto a, auto b) {
        return Narrow ? Lanes::mul_add_52(sum, a, b) : Lanes::mul_add(sum, a, b);
    };
    const auto factor = [&](auto value, auto amplitude, auto half) {
        return Lanes::sar(Lanes::add(Lanes::mul_32(value, amplitude), half), args.shift);
    };
    const auto half = Lanes::set(args.shift == 0 ? 0 : u64{1} << (args.shift - 1));
    const auto scaled = Lanes::shl(Lanes::load(delta), 64 - args.j);
    auto sum = Lanes::set(0);
    for (size_t m = 0; m < args.terms; ++m) {
        const auto turned = Lanes::mul(scaled, Lanes::set(static_cast<u64>(args.harmonics[m])));
        const auto angle = Lanes::sub(turned, Lanes::set(args.phases[m] << (64 - args.j)));
        const auto wave = Lanes::gather(args.waves, Lanes::shr(angle, 64 - args.p));
        const auto amplitude = Lanes::set(static_cast<u64>(args.amplitudes[m]));
        const auto cosine = factor(Lanes::shr(wave, 32), amplitude, half);
        const auto minus_sine = factor(wave, amplitude, half);
        const auto share_cos = Lanes::load(shares + m * stride);
        const auto share_sin = Lanes::load(shares + (args.terms + m) * stride);
        sum = sum_of(sum_of(sum, cosine, share_cos), minus_sine, share_sin);
    }
    Lanes::store(out, Lanes::and_(sum, Lanes::set(low_mask(args.bits))));
}

void sine_series(const SineArgs& args, size_t first, size_t last) {
    const auto lanes = args.bits <= 52 ? sine_lanes<true> : sine_lanes<false>;
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
