// The Python face of what reads public tables: sine series, exponentials.
#include "bindings.hpp"

#include "parallel.hpp"

namespace {

Out<u64> sine_series(In<u64, 1> delta, In<u64, 2> shares, In<i64, 1> waves, In<i64, 1> amplitudes,
                     In<i64, 1> harmonics, In<u64, 1> phases, int j, int shift, int bits) {
    require_bits(bits);
    const size_t size = waves.shape(0), terms = harmonics.shape(0);
    require(size >= 1 && (size & (size - 1)) == 0 && j <= 64 && __builtin_ctzll(size) + 2 <= j && shift >= 0 &&
                shift <= 62,
            "sine_series: waves must have 2^(p-2) entries, 2 <= p <= j <= 64, shift 0 to 62");
    require(amplitudes.shape(0) == terms && phases.shape(0) == terms && shares.shape(0) == 2 * terms &&
                shares.shape(1) == delta.shape(0),
            "sine_series: amplitudes [M], harmonics [M], phases [M], shares [2M, n]");
    for (size_t m = 0; m < terms; ++m)
        require(amplitudes.data()[m] == static_cast<std::int32_t>(amplitudes.data()[m]),
                "sine_series: amplitudes must fit 32 bits");
    SineArgs args{.delta = aligned(delta),
                  .shares = aligned(shares),
                  .waves = aligned(waves),
                  .amplitudes = aligned(amplitudes),
                  .harmonics = aligned(harmonics),
                  .phases = aligned(phases),
                  .out = nullptr,
                  .n = delta.shape(0),
                  .terms = terms,
                  .p = __builtin_ctzll(size) + 2,
                  .j = j,
                  .shift = shift,
                  .bits = bits};
    Out<u64> out = allocate<u64>({args.n});
    args.out = out.data();
    nb::gil_scoped_release release;
    sine_series_all(args);
    return out;
}

Out<u64> exponential(In<u64, 1> delta, In<u64, 2> factors, In<i64, 1> coarse, In<i64, 1> fine, int j, int scale,
                     int bits) {
    require_bits(bits);
    const size_t low = fine.shape(0), high = coarse.shape(0);
    require(low != 0 && (low & (low - 1)) == 0 && high != 0 && (high & (high - 1)) == 0 &&
                __builtin_ctzll(low) + __builtin_ctzll(high) == j - 1 && j <= 64,
            "exponential: coarse and fine must have 2^(j-1-l) and 2^l entries, j at most 64");
    require(scale >= 1 && scale <= 63, "exponential: scale 1 to 63");
    require(factors.shape(0) == 2 && factors.shape(1) == delta.shape(0), "exponential: factors must be [2, n]");
    ExponentialArgs args{.delta = aligned(delta),
                         .factors = aligned(factors),
                         .coarse = aligned(coarse),
                         .fine = aligned(fine),
                         .out = nullptr,
                         .n = delta.shape(0),
                         .j = j,
                         .low = __builtin_ctzll(low),
                         .scale = scale,
                         .bits = bits};
    Out<u64> out = allocate<u64>({args.n});
    args.out = out.data();
    nb::gil_scoped_release release;
    exponential_all(args);
    return out;
}

}  // namespace

void bind_tables(nb::module_& m) {
    using nb::arg;
    m.def("sine_series", sine_series, array("delta"), array("shares"), array("waves"), array("amplitudes"),
          array("harmonics"), array("phases"), arg("j"), arg("shift"), arg("bits"));
    m.def("exponential", exponential, array("delta"), array("factors"), array("coarse"), array("fine"), arg("j"),
          arg("scale"), arg("bits"));
}
