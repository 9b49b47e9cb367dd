// The Python face: checks shapes, allocates results, releases the interpreter lock. Documentation is in ../twin.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <sys/mman.h>

#include <algorithm>
#include <initializer_list>
#include <new>

#include "parallel.hpp"
#include "pool.hpp"

namespace nb = nanobind;

namespace {

template <class T, int Dimensions>
using In = nb::ndarray<const T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <class T, int Dimensions>
using InOut = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<nb::numpy, T>;

void require(bool condition, const char* message) {
    if (!condition) throw nb::value_error(message);
}

void require_bits(i64 bits) { require(bits >= 1 && bits <= 64, "bits must be 1 to 64"); }
void require_party(int party) { require(party == 0 || party == 1, "party must be 0 or 1"); }

template <class Array>
auto aligned(const Array& array) {
    if (reinterpret_cast<std::uintptr_t>(array.data()) % sizeof(*array.data()) != 0)
        throw nb::type_error("the array is not aligned to its element size");
    return array.data();
}

// A new array. Large ones ask for huge pages, as NumPy's own do: page faults cost more than most kernels.
template <class T>
Out<T> allocate(std::initializer_list<size_t> shape) {
    size_t bytes = sizeof(T);
    for (size_t extent : shape)
        if (__builtin_mul_overflow(bytes, extent, &bytes)) throw std::bad_alloc();
    bytes = std::max<size_t>(bytes, 1);
    constexpr size_t kHuge = size_t{1} << 21;
    const std::align_val_t alignment{bytes >= 2 * kHuge ? kHuge : 64};
    void* memory = ::operator new(bytes, alignment);
    if (bytes >= 2 * kHuge) madvise(memory, bytes, MADV_HUGEPAGE);
    const auto release_huge = [](void* p) noexcept { ::operator delete(p, std::align_val_t{kHuge}); };
    const auto release_small = [](void* p) noexcept { ::operator delete(p, std::align_val_t{64}); };
    nb::capsule owner = bytes >= 2 * kHuge ? nb::capsule(memory, release_huge) : nb::capsule(memory, release_small);
    return Out<T>(memory, shape.size(), shape.begin(), owner);
}

Out<u64> expand(nb::bytes key, u64 stream, i64 count, int bits, i64 first) {
    require(key.size() == 16 && count >= 0 && first >= 0 && first < i64{1} << 60,
            "expand: the key has 16 bytes, count is not negative, first is 0 to 2^60 - 1");
    require_bits(bits);
    Out<u64> out = allocate<u64>({static_cast<size_t>(count)});
    u8* const data = reinterpret_cast<u8*>(const_cast<char*>(key.c_str()));
    nb::gil_scoped_release release;
    expand_all(data, stream, static_cast<size_t>(first), static_cast<size_t>(count), bits, out.data());
    return out;
}

Out<u8> pack(In<u64, 1> values, int bits) {
    require_bits(bits);
    const u64* data = aligned(values);
    Out<u8> out = allocate<u8>({ceil_div(values.shape(0) * static_cast<size_t>(bits), 8)});
    nb::gil_scoped_release release;
    pack_all(data, values.shape(0), bits, out.data());
    return out;
}

Out<u64> unpack(In<u8, 1> data, i64 count, int bits) {
    require_bits(bits);
    require(count >= 0 && count <= (i64{1} << 56) &&
                data.shape(0) == ceil_div(static_cast<size_t>(count) * static_cast<size_t>(bits), 8),
            "unpack: data must hold exactly ceil(count*bits/8) bytes");
    Out<u64> out = allocate<u64>({static_cast<size_t>(count)});
    nb::gil_scoped_release release;
    unpack_all(data.data(), static_cast<size_t>(count), bits, out.data());
    return out;
}

Factor factor(const In<u64, 3>& b) { return {aligned(b), nullptr}; }
Factor factor(const In<i32, 3>& b) { return {nullptr, aligned(b)}; }

template <class B>
MatmulShape matmul_shape(const In<u64, 3>& a, const B& b, int bits) {
    require_bits(bits);
    const MatmulShape shape{a.shape(0), a.shape(1), a.shape(2), b.shape(2), b.shape(0) == 1};
    require(b.shape(1) == shape.k && (shape.shared_b || b.shape(0) == shape.batch),
            "matmul: a must be [B,M,K] and b [B or 1,K,N]");
    return shape;
}

template <class T>
Out<u64> matmul(In<u64, 3> a, In<T, 3> b, int bits) {
    const MatmulShape shape = matmul_shape(a, b, bits);
    const u64* a_data = aligned(a);
    const Factor b_data = factor(b);
    Out<u64> out = allocate<u64>({shape.batch, shape.m, shape.n});
    nb::gil_scoped_release release;
    matmul_all(shape, a_data, b_data, bits, false, out.data());
    return out;
}

template <class T>
void matmul_add(InOut<u64, 3> c, In<u64, 3> a, In<T, 3> b, int bits) {
    const MatmulShape shape = matmul_shape(a, b, bits);
    require(c.shape(0) == shape.batch && c.shape(1) == shape.m && c.shape(2) == shape.n,
            "matmul_add: c must be [B,M,N]");
    const u64* a_data = aligned(a);
    u64* c_data = aligned(c);
    const Factor b_data = factor(b);
    nb::gil_scoped_release release;
    matmul_all(shape, a_data, b_data, bits, true, c_data);
}

Out<u64> planes_pack(In<u8, 1> bits) {
    Out<u64> out = allocate<u64>({words_of(bits.shape(0))});
    nb::gil_scoped_release release;
    planes_pack_all(bits.data(), bits.shape(0), out.data());
    return out;
}

Out<u8> planes_unpack(In<u64, 1> words, i64 count) {
    require(count >= 0 && words.shape(0) == words_of(static_cast<size_t>(count)),
            "planes_unpack: words must have ceil(count/64) elements");
    const u64* data = aligned(words);
    Out<u8> out = allocate<u8>({static_cast<size_t>(count)});
    nb::gil_scoped_release release;
    planes_unpack_all(data, static_cast<size_t>(count), out.data());
    return out;
}

Out<u64> compare_leaves(In<u64, 1> opened, In<u64, 2> onehots, In<u64, 1> sign_share, In<u64, 1> thresholds, int bits,
                        int width, int party) {
    require_bits(bits);
    require_party(party);
    require(bits >= 2 && width >= 1 && width <= 6, "compare_leaves: bits >= 2, width 1 to 6");
    const size_t n = opened.shape(0), blocks = static_cast<size_t>((bits - 2 + width) / width);
    require(onehots.shape(0) == blocks && onehots.shape(1) == n && sign_share.shape(0) == words_of(n),
            "compare_leaves: onehots must be [ceil((bits-1)/width), n], sign_share [ceil(n/64)]");
    CompareArgs args{.opened = aligned(opened),
                     .onehots = aligned(onehots),
                     .sign_share = aligned(sign_share),
                     .thresholds = aligned(thresholds),
                     .planes = nullptr,
                     .n = n,
                     .threshold_count = thresholds.shape(0),
                     .bits = bits,
                     .width = width,
                     .blocks = static_cast<int>(blocks),
                     .party = party};
    Out<u64> out = allocate<u64>({args.threshold_count, 2 * blocks - 1, words_of(n)});
    args.planes = out.data();
    nb::gil_scoped_release release;
    compare_leaves_all(args);
    return out;
}

Out<u64> carry_node(In<u64, 2> opened, In<u64, 2> products, int party) {
    require_party(party);
    const size_t blocks = opened.shape(0) / 2 + 1, words = opened.shape(1);
    require(opened.shape(0) % 2 == 0 && blocks <= kMaxBlocks, "carry_node: 2L-2 opened planes, L at most 12");
    require(products.shape(0) == 3 * ((size_t{1} << (blocks - 1)) - 1) && products.shape(1) == words,
            "carry_node: products must be [len(carry_subsets(L)), m]");
    CarryArgs args{.opened = aligned(opened),
                   .products = aligned(products),
                   .out = nullptr,
                   .words = words,
                   .blocks = static_cast<int>(blocks),
                   .party = party};
    Out<u64> out = allocate<u64>({words});
    args.out = out.data();
    nb::gil_scoped_release release;
    carry_node_all(args);
    return out;
}

Out<u64> segmented_polynomial(In<u64, 1> z, In<u64, 1> w, In<u8, 2> bits, In<u64, 3> coefficients, In<u8, 3> needed,
                              In<u64, 2> atoms, In<u64, 2> wraps_z, In<u64, 2> wraps_w, In<u64, 2> wraps_zw,
                              int z_bits, int w_bits, int ring, int party) {
    require_bits(ring);
    PolynomialArgs args{.z = aligned(z),
                        .w = aligned(w),
                        .bits = aligned(bits),
                        .coefficients = aligned(coefficients),
                        .needed = aligned(needed),
                        .dealt = {aligned(atoms), aligned(wraps_z), aligned(wraps_w), aligned(wraps_zw)},
                        .out = nullptr,
                        .n = z.shape(0),
                        .columns = bits.shape(0) + 1,
                        .z_powers = needed.shape(1),
                        .w_powers = needed.shape(2),
                        .z_bits = z_bits,
                        .w_bits = w_bits,
                        .ring = ring,
                        .party = party};
    require(w.shape(0) == args.n && bits.shape(1) == args.n,
            "segmented_polynomial: z, w and the rows of bits must have one length");
    require(z_bits >= 2 && z_bits <= 64 && w_bits >= 2 && w_bits <= 64 && (party == 0 || party == 1),
            "segmented_polynomial: z_bits and w_bits 2 to 64, party 0 or 1");
    bool same = needed.shape(0) == args.columns && args.z_powers != 0 && args.w_powers != 0;
    for (size_t axis = 0; axis < 3; ++axis) same = same && coefficients.shape(axis) == needed.shape(axis);
    require(same, "segmented_polynomial: coefficients and needed must be [1+T, A+1, B+1]");
    require(args.z_powers <= kMaxPowers && args.w_powers <= kMaxPowers / args.z_powers,
            "segmented_polynomial: at most 64 powers");
    size_t rows[4] = {};
    for (size_t entry = 0; entry < needed.size(); ++entry) {
        if (!args.needed[entry]) continue;
        const bool of_z = entry / args.w_powers % args.z_powers != 0, of_w = entry % args.w_powers != 0;
        rows[0] += 1;
        rows[1] += of_z && z_bits < ring;
        rows[2] += of_w && w_bits < ring;
        rows[3] += of_z && of_w && z_bits + w_bits < ring;
    }
    const In<u64, 2>* const dealt[] = {&atoms, &wraps_z, &wraps_w, &wraps_zw};
    for (size_t variant = 0; variant < 4; ++variant)
        require(dealt[variant]->shape(0) == rows[variant] && dealt[variant]->shape(1) == args.n,
                "segmented_polynomial: the rows of atoms and wraps must be those of needed");
    Out<u64> out = allocate<u64>({args.n});
    args.out = out.data();
    nb::gil_scoped_release release;
    segmented_polynomial_all(args);
    return out;
}

Out<u64> sine_series(In<u64, 1> delta, In<u64, 2> shares, In<i64, 1> waves, In<i64, 1> amplitudes,
                     In<i64, 1> harmonics, In<u64, 1> phases, int j, int shift, int bits) {
    require_bits(bits);
    const size_t size = waves.shape(0), terms = harmonics.shape(0);
    require(size >= 4 && (size & (size - 1)) == 0 && j <= 64 && __builtin_ctzll(size) <= j && shift >= 0 && shift <= 62,
            "sine_series: waves must have 2^p entries, 2 <= p <= j <= 64, shift 0 to 62");
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
                  .p = __builtin_ctzll(size),
                  .j = j,
                  .shift = shift,
                  .bits = bits};
    Out<u64> out = allocate<u64>({args.n});
    args.out = out.data();
    nb::gil_scoped_release release;
    sine_series_all(args);
    return out;
}

}  // namespace

NB_MODULE(_native, m) {
    kernels();  // a wrong MPCC_ISA or MPCC_THREADS fails the import
    thread_count();
    using nb::arg;
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("isa", [] { return kernels().name; });
    m.def("expand", expand, arg("key"), arg("stream"), arg("count"), arg("bits"), arg("first") = 0);
    m.def("pack", pack, array("values"), arg("bits"));
    m.def("unpack", unpack, array("data"), arg("count"), arg("bits"));
    m.def("matmul", matmul<u64>, array("a"), array("b"), arg("bits"));
    m.def("matmul", matmul<i32>, array("a"), array("b"), arg("bits"));
    m.def("matmul_add", matmul_add<u64>, array("c"), array("a"), array("b"), arg("bits"));
    m.def("matmul_add", matmul_add<i32>, array("c"), array("a"), array("b"), arg("bits"));
    m.def("planes_pack", planes_pack, array("bits"));
    m.def("planes_unpack", planes_unpack, array("words"), arg("count"));
    m.def("compare_leaves", compare_leaves, array("opened"), array("onehots"), array("sign_share"),
          array("thresholds"), arg("bits"), arg("width"), arg("party"));
    m.def("carry_node", carry_node, array("opened"), array("products"), arg("party"));
    m.def("segmented_polynomial", segmented_polynomial, array("z"), array("w"), array("bits"), array("coefficients"),
          array("needed"), array("atoms"), array("wraps_z"), array("wraps_w"), array("wraps_zw"), arg("z_bits"),
          arg("w_bits"), arg("ring"), arg("party"));
    m.def("sine_series", sine_series, array("delta"), array("shares"), array("waves"), array("amplitudes"),
          array("harmonics"), array("phases"), arg("j"), arg("shift"), arg("bits"));
}
