// The Python face of segmented_polynomial.
#include "bindings.hpp"

#include "parallel.hpp"

namespace {

// How many neighbouring elements, of `count` in all, share one of `entries`.
size_t repeat_of(size_t count, size_t entries) {
    require(entries != 0 ? count % entries == 0 : count == 0,
            "segmented_polynomial: the entries of z, w and each bit must divide the count");
    return entries != 0 && count != 0 ? count / entries : 1;
}

Out<u64> segmented_polynomial(In<u64, 1> z, In<u64, 1> w, In<u8, 2> bits, In<u64, 3> coefficients, In<i64, 3> repeats,
                              In<u64, 1> atoms, In<u64, 1> wraps_z, In<u64, 1> wraps_w, In<u64, 1> wraps_zw,
                              i64 count, int z_bits, int w_bits, int ring, int party) {
    require_bits(ring);
    require_party(party);
    require(count >= 0, "segmented_polynomial: count must not be negative");
    const size_t n = static_cast<size_t>(count);
    PolynomialArgs args{.z = aligned(z),
                        .w = aligned(w),
                        .bits = aligned(bits),
                        .coefficients = aligned(coefficients),
                        .repeats = aligned(repeats),
                        .dealt = {aligned(atoms), aligned(wraps_z), aligned(wraps_w), aligned(wraps_zw)},
                        .out = nullptr,
                        .n = n,
                        .columns = bits.shape(0) + 1,
                        .z_powers = repeats.shape(1),
                        .w_powers = repeats.shape(2),
                        .z_repeat = repeat_of(n, z.shape(0)),
                        .w_repeat = repeat_of(n, w.shape(0)),
                        .bits_repeat = bits.shape(0) == 0 ? 1 : repeat_of(n, bits.shape(1)),
                        .z_bits = z_bits,
                        .w_bits = w_bits,
                        .ring = ring,
                        .party = party};
    require(z_bits >= 2 && z_bits <= 64 && w_bits >= 2 && w_bits <= 64,
            "segmented_polynomial: z_bits and w_bits 2 to 64");
    bool same = repeats.shape(0) == args.columns && args.z_powers != 0 && args.w_powers != 0;
    for (size_t axis = 0; axis < 3; ++axis) same = same && coefficients.shape(axis) == repeats.shape(axis);
    require(same, "segmented_polynomial: coefficients and repeats must be [1+T, A+1, B+1]");
    require(args.z_powers <= kMaxPowers && args.w_powers <= kMaxPowers / args.z_powers,
            "segmented_polynomial: at most 64 powers");
    size_t entries[4] = {};
    for (size_t atom = 0; atom < repeats.size(); ++atom) {
        const i64 repeat = args.repeats[atom];
        require(repeat >= 0, "segmented_polynomial: repeats must not be negative");
        if (repeat == 0) continue;
        require(n % static_cast<size_t>(repeat) == 0, "segmented_polynomial: repeats must divide the count");
        const bool of_z = atom / args.w_powers % args.z_powers != 0, of_w = atom % args.w_powers != 0;
        const size_t shares = n / static_cast<size_t>(repeat);
        entries[0] += shares;
        entries[1] += of_z && z_bits < ring ? shares : 0;
        entries[2] += of_w && w_bits < ring ? shares : 0;
        entries[3] += of_z && of_w && z_bits + w_bits < ring ? shares : 0;
    }
    const In<u64, 1>* const dealt[] = {&atoms, &wraps_z, &wraps_w, &wraps_zw};
    for (size_t variant = 0; variant < 4; ++variant)
        require(dealt[variant]->shape(0) == entries[variant],
                "segmented_polynomial: the entries of atoms and wraps must be those of repeats");
    Out<u64> out = allocate<u64>({n});
    args.out = out.data();
    nb::gil_scoped_release release;
    segmented_polynomial_all(args);
    return out;
}

}  // namespace

void bind_polynomial(nb::module_& m) {
    using nb::arg;
    m.def("segmented_polynomial", segmented_polynomial, array("z"), array("w"), array("bits"), array("coefficients"),
          array("repeats"), array("atoms"), array("wraps_z"), array("wraps_w"), array("wraps_zw"), arg("count"),
          arg("z_bits"), arg("w_bits"), arg("ring"), arg("party"));
}
