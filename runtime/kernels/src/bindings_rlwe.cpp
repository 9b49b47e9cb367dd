// The Python face of the kernels on residues and polynomials.
#include "bindings.hpp"

#include "parallel_rlwe.hpp"

namespace {

bool is_power_of_two(size_t x) { return x != 0 && (x & (x - 1)) == 0; }

Moduli moduli_of(const In<u64, 1>& moduli) {
    const Moduli found{aligned(moduli), moduli.shape(0)};
    require(are_moduli(found), "the moduli are 1 to 16, coprime in pairs, odd and below 2^50");
    return found;
}

// The fields of ntt_tables.NttTables.
struct Tables {
    In<u64, 1> moduli;
    In<u64, 3> forward, inverse;
};

template <class Array>
Array field(nb::handle tables, const char* name) {
    Array array;
    if (!nb::try_cast(nb::getattr(tables, name), array, false))
        throw nb::type_error("the tables must be those of ntt_tables");
    return array;
}

// Checks that they are for `primes` moduli and `degree`.
Tables tables_of(nb::handle object, size_t primes, size_t degree) {
    const Tables tables{field<In<u64, 1>>(object, "moduli"), field<In<u64, 3>>(object, "forward"),
                        field<In<u64, 3>>(object, "inverse")};
    const auto fits = [&](const In<u64, 3>& table) {
        return table.shape(0) == primes && table.shape(1) == kTableRows && table.shape(2) == degree;
    };
    require(tables.moduli.shape(0) == primes && fits(tables.forward) && fits(tables.inverse) && degree >= 1024 &&
                degree <= 16384 && is_power_of_two(degree),
            "the tables must be of as many moduli and of the degree of the polynomials");
    return tables;
}

template <void (*Transform)(u64*, size_t, const std::vector<Prime>&, size_t, const u64*), bool Forward>
void transform(InOut<u64, 3> x, nb::object object) {
    const Tables tables = tables_of(object, x.shape(1), x.shape(2));
    const std::vector<Prime> primes = primes_of(moduli_of(tables.moduli));
    const u64* const factors = aligned(Forward ? tables.forward : tables.inverse);
    u64* const data = aligned(x);
    nb::gil_scoped_release release;
    Transform(data, x.shape(0), primes, x.shape(2), factors);
}

void multiply_accumulate(InOut<u64, 4> sums, In<u64, 4> x, In<u64, 4> y, In<u64, 1> moduli) {
    const Moduli found = moduli_of(moduli);
    require(sums.shape(0) == x.shape(0) && sums.shape(1) == y.shape(1) && x.shape(1) == y.shape(0) &&
                sums.shape(2) == found.count && x.shape(2) == found.count && y.shape(2) == found.count &&
                sums.shape(3) == x.shape(3) && sums.shape(3) == y.shape(3),
            "multiply_accumulate: must be [I,J,P,N], [I,L,P,N], [L,J,P,N], with P moduli");
    const std::vector<Prime> primes = primes_of(found);
    const ProductArgs args{.sums = aligned(sums),
                           .x = aligned(x),
                           .y = aligned(y),
                           .primes = primes.data(),
                           .rows = x.shape(0),
                           .columns = y.shape(1),
                           .depth = y.shape(0),
                           .prime_count = found.count,
                           .degree = x.shape(3)};
    nb::gil_scoped_release release;
    multiply_accumulate_all(args);
}

Out<u64> run_residues(ResidueArgs args, size_t rows, size_t length) {
    args.length = length;
    Out<u64> out = allocate<u64>({rows, args.prime_count, length});
    args.out = out.data();
    nb::gil_scoped_release release;
    residues_all(args, rows);
    return out;
}

template <class T>
Out<u64> residues(In<T, 2> values, In<u64, 1> moduli) {
    ResidueArgs args = residue_constants(moduli_of(moduli), !std::is_same_v<T, u64>);
    if constexpr (sizeof(T) == 8)
        args.wide = reinterpret_cast<const u64*>(aligned(values));
    else
        args.narrow = aligned(values);
    return run_residues(args, values.shape(0), values.shape(1));
}

Out<u64> scale_up(In<u64, 2> values, int bits, In<u64, 1> moduli) {
    require_bits(bits);
    ResidueArgs args = scale_up_constants(moduli_of(moduli), bits);
    args.wide = aligned(values);
    return run_residues(args, values.shape(0), values.shape(1));
}

Moduli fitting(const In<u64, 3>& x, const In<u64, 1>& moduli) {
    const Moduli found = moduli_of(moduli);
    require(x.shape(1) == found.count, "x must be [R, P, n], with P moduli");
    return found;
}

Out<u64> scale_down(In<u64, 3> x, In<u64, 1> moduli, int bits) {
    require_bits(bits);
    DivideArgs args = scale_down_constants(fitting(x, moduli), bits);
    args.x = aligned(x);
    args.length = x.shape(2);
    Out<u64> out = allocate<u64>({x.shape(0), x.shape(2)});
    args.out = out.data();
    nb::gil_scoped_release release;
    divide_all(args, x.shape(0));
    return out;
}

Out<u64> drop_primes(In<u64, 3> x, In<u64, 1> moduli, i64 keep) {
    const Moduli found = fitting(x, moduli);
    require(keep >= 1 && static_cast<size_t>(keep) <= found.count, "drop_primes: keep is 1 to the number of moduli");
    DivideArgs args = drop_constants(found, static_cast<size_t>(keep));
    args.x = aligned(x);
    args.length = x.shape(2);
    Out<u64> out = allocate<u64>({x.shape(0), args.keep, x.shape(2)});
    args.out = out.data();
    nb::gil_scoped_release release;
    divide_all(args, x.shape(0));
    return out;
}

size_t inverse_exponent(i64 exponent, size_t degree) {
    require(exponent > 0 && exponent % 2 == 1 && static_cast<size_t>(exponent) < 2 * degree,
            "the exponent is odd, from 1 to 2N - 1");
    return word_inverse(static_cast<u64>(exponent)) & (2 * degree - 1);
}

Out<u64> automorphism(In<u64, 3> x, i64 exponent, In<u64, 1> moduli) {
    const Moduli found = fitting(x, moduli);
    const size_t degree = x.shape(2);
    require(is_power_of_two(degree), "automorphism: N must be a power of two");
    const size_t inverse = inverse_exponent(exponent, degree);
    Out<u64> out = allocate<u64>({x.shape(0), x.shape(1), degree});
    const AutomorphismArgs args{.x = aligned(x),
                                .out = out.data(),
                                .moduli = found.p,
                                .prime_count = found.count,
                                .degree = degree,
                                .inverse = inverse};
    nb::gil_scoped_release release;
    automorphism_all(args, x.shape(0));
    return out;
}

// Checks the key of `count` primes; the exponents and polynomials are the caller's.
KeySwitchArgs key_switch_args(const In<u64, 4>& key, const Tables& tables, size_t count, size_t degree) {
    require(count >= 1 && key.shape(0) == count && key.shape(1) == 2 && key.shape(2) == count + 1 &&
                key.shape(3) == degree,
            "the key must be [P,2,P+1,N], for polynomials modulo P primes");
    KeySwitchArgs args = key_switch_constants(moduli_of(tables.moduli));
    args.key = aligned(key);
    args.forward = aligned(tables.forward);
    args.inverse = aligned(tables.inverse);
    args.degree = degree;
    return args;
}

Out<u64> key_switch(In<u64, 3> c, In<u64, 4> key, nb::object object) {
    const size_t rows = c.shape(0), count = c.shape(1), degree = c.shape(2);
    const Tables tables = tables_of(object, count + 1, degree);
    const KeySwitchArgs args = key_switch_args(key, tables, count, degree);
    const u64* const data = aligned(c);
    Out<u64> out = allocate<u64>({rows, size_t{2}, count, degree});
    nb::gil_scoped_release release;
    key_switch_all(args, data, rows, out.data());
    return out;
}

Out<u64> merge_pairs(In<u64, 4> x, i64 shift, i64 exponent, In<u64, 4> key, nb::object object) {
    const size_t count = x.shape(2), degree = x.shape(3);
    require(x.shape(0) == 2 && x.shape(1) % 2 == 0, "merge_pairs: x must be [2, 2R, P, N]");
    const Tables tables = tables_of(object, count + 1, degree);
    require(shift > 0 && static_cast<size_t>(shift) < degree, "merge_pairs: shift is 1 to N - 1");
    MergeArgs args{.key = key_switch_args(key, tables, count, degree),
                   .x = aligned(x),
                   .out = nullptr,
                   .rows = x.shape(1) / 2,
                   .shift = static_cast<size_t>(shift),
                   .inverse = inverse_exponent(exponent, degree)};
    Out<u64> out = allocate<u64>({size_t{2}, args.rows, count, degree});
    args.out = out.data();
    nb::gil_scoped_release release;
    merge_all(args);
    return out;
}

template <class T>
Out<u64> multiply_plain(In<u64, 4> x, In<T, 3> y, nb::object object) {
    const size_t count = x.shape(2), degree = x.shape(3), length = y.shape(2);
    const Tables tables = tables_of(object, count, degree);
    require(x.shape(1) == y.shape(0) && length <= degree && is_power_of_two(length),
            "multiply_plain: must be [I,L,P,N] and [L,J,n], n a power of two up to N");
    PlainProductArgs args = plain_constants(moduli_of(tables.moduli));
    args.x = aligned(x);
    if constexpr (sizeof(T) == 8)
        args.wide = aligned(y);
    else
        args.narrow = aligned(y);
    args.forward = aligned(tables.forward);
    args.inverse = aligned(tables.inverse);
    args.rows = x.shape(0);
    args.columns = y.shape(1);
    args.depth = y.shape(0);
    args.degree = degree;
    args.length = length;
    Out<u64> out = allocate<u64>({args.rows, args.columns, count, degree});
    args.sums = out.data();
    nb::gil_scoped_release release;
    multiply_plain_all(args);
    return out;
}

Out<u64> uniform_residues(nb::bytes key, u64 stream, i64 count, i64 degree, In<u64, 1> moduli) {
    require(key.size() == 16 && count >= 0 && degree >= 0,
            "uniform_residues: the key has 16 bytes, count and degree are not negative");
    const std::vector<Prime> primes = primes_of(moduli_of(moduli));
    const size_t rows = static_cast<size_t>(count), length = static_cast<size_t>(degree);
    Out<u64> out = allocate<u64>({rows, primes.size(), length});
    const u8* const data = reinterpret_cast<const u8*>(key.c_str());
    nb::gil_scoped_release release;
    uniform_residues_all(data, stream, rows, length, primes, out.data());
    return out;
}

}  // namespace

void bind_rlwe(nb::module_& m) {
    using nb::arg;
    m.def("ntt_forward", transform<ntt_forward_all, true>, array("x"), arg("tables"));
    m.def("ntt_inverse", transform<ntt_inverse_all, false>, array("x"), arg("tables"));
    m.def("multiply_accumulate", multiply_accumulate, array("sums"), array("x"), array("y"), array("moduli"));
    m.def("residues", residues<i64>, array("values"), array("moduli"));
    m.def("residues", residues<i32>, array("values"), array("moduli"));
    m.def("residues", residues<u64>, array("values"), array("moduli"));
    m.def("scale_up", scale_up, array("values"), arg("bits"), array("moduli"));
    m.def("scale_down", scale_down, array("x"), array("moduli"), arg("bits"));
    m.def("drop_primes", drop_primes, array("x"), array("moduli"), arg("keep"));
    m.def("automorphism", automorphism, array("x"), arg("exponent"), array("moduli"));
    m.def("key_switch", key_switch, array("c"), array("key"), arg("tables"));
    m.def("merge_pairs", merge_pairs, array("x"), arg("shift"), arg("exponent"), array("key"), arg("tables"));
    m.def("multiply_plain", multiply_plain<i32>, array("x"), array("y"), arg("tables"));
    m.def("multiply_plain", multiply_plain<i64>, array("x"), array("y"), arg("tables"));
    m.def("uniform_residues", uniform_residues, arg("key"), arg("stream"), arg("count"), arg("degree"),
          array("moduli"));
}
