// exponential, on Lanes.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

void exponential_lanes(const ExponentialArgs& args, const u64* delta, const u64* low_factor, const u64* high_factor,
                       u64* out) {
    const auto opened = Lanes::load(delta);
    const auto upper = Lanes::sub(Lanes::set(0), Lanes::and_(Lanes::shr(opened, args.j - 1), Lanes::set(1)));
    const auto first = Lanes::load(low_factor);
    const auto chosen = Lanes::xor_(first, Lanes::and_(Lanes::xor_(first, Lanes::load(high_factor)), upper));
    const auto index = Lanes::and_(opened, Lanes::set(power_of_two(args.j - 1) - 1));
    const auto top = Lanes::gather(args.coarse, Lanes::shr(index, args.low));
    const auto rest = Lanes::gather(args.fine, Lanes::and_(index, Lanes::set(power_of_two(args.low) - 1)));
    const auto product = Lanes::add(Lanes::mul(top, rest), Lanes::set(u64{1} << (args.scale - 1)));
    const auto factor = Lanes::add(top, Lanes::shr(product, args.scale));
    Lanes::store(out, Lanes::and_(Lanes::mul(chosen, factor), Lanes::set(low_mask(args.bits))));
}

void exponential(const ExponentialArgs& args, size_t first, size_t last) {
    const u64 *low_factor = args.factors, *high_factor = args.factors + args.n;
    size_t i = first;
    for (; i + Lanes::count <= last; i += Lanes::count)
        exponential_lanes(args, args.delta + i, low_factor + i, high_factor + i, args.out + i);
    if (i == last) return;
    u64 part[4][Lanes::count] = {};
    const size_t size = 8 * (last - i);
    std::memcpy(part[0], args.delta + i, size);
    std::memcpy(part[1], low_factor + i, size);
    std::memcpy(part[2], high_factor + i, size);
    exponential_lanes(args, part[0], part[1], part[2], part[3]);
    std::memcpy(args.out + i, part[3], size);
}

}  // namespace
