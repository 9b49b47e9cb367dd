// The Python face of what makes and takes messages: openings, truncation.
#include "bindings.hpp"

#include "parallel.hpp"

namespace {

Out<u8> pack_difference(In<u64, 1> a, In<u64, 1> b, int bits, u64 offset) {
    require_bits(bits);
    require(a.shape(0) == b.shape(0), "pack_difference: a and b must have one length");
    const u64 *a_data = aligned(a), *b_data = aligned(b);
    Out<u8> out = allocate<u8>({packed_bytes(a.shape(0), bits)});
    nb::gil_scoped_release release;
    pack_difference_all(a_data, b_data, offset, a.shape(0), bits, out.data());
    return out;
}

Out<u64> unpack_sum(In<u8, 1> a, In<u8, 1> b, i64 count, int bits) {
    require_bits(bits);
    const size_t n = static_cast<size_t>(count), size = packed_bytes(n, bits);
    require(count >= 0 && count <= (i64{1} << 56) && a.shape(0) == size && b.shape(0) == size,
            "unpack_sum: a and b must hold exactly ceil(count*bits/8) bytes");
    Out<u64> out = allocate<u64>({n});
    nb::gil_scoped_release release;
    unpack_sum_all(a.data(), b.data(), n, bits, out.data());
    return out;
}

Out<u64> unpack_add(In<u64, 1> x, In<u8, 1> data, int bits) {
    require_bits(bits);
    require(data.shape(0) == packed_bytes(x.shape(0), bits), "unpack_add: data must hold exactly ceil(n*bits/8) bytes");
    const u64* x_data = aligned(x);
    Out<u64> out = allocate<u64>({x.shape(0)});
    nb::gil_scoped_release release;
    unpack_add_all(x_data, data.data(), x.shape(0), bits, out.data());
    return out;
}

TruncateArgs truncate_args(const In<u64, 1>& share, const In<u64, 1>& own, int ring, int party) {
    require(ring >= 2 && ring <= 64, "truncate: ring 2 to 64");
    require_party(party);
    require(own.shape(0) == share.shape(0), "truncate: share and own must have one length");
    TruncateArgs args{};
    args.share = aligned(share);
    args.own = aligned(own);
    args.n = share.shape(0);
    args.ring = ring;
    args.party = party;
    return args;
}

Out<u8> truncate_open(In<u64, 1> share, In<u64, 1> own, int ring, int party) {
    TruncateArgs args = truncate_args(share, own, ring, party);
    Out<u8> out = allocate<u8>({packed_bytes(args.n, 1)});
    args.message = out.data();
    nb::gil_scoped_release release;
    truncate_open_all(args);
    return out;
}

Out<u64> truncate_close(In<u64, 1> share, In<u64, 1> own, In<u64, 1> product, In<u8, 1> mine, In<u8, 1> theirs,
                        int bits, int ring, int result, int party) {
    TruncateArgs args = truncate_args(share, own, ring, party);
    require_bits(result);
    require(bits >= 0 && bits <= ring - 2, "truncate_close: bits 0 to ring - 2");
    const size_t size = packed_bytes(args.n, 1);
    require(product.shape(0) == args.n && mine.shape(0) == size && theirs.shape(0) == size,
            "truncate_close: product must be [n], mine and theirs [ceil(n/8)]");
    args.product = aligned(product);
    args.mine = mine.data();
    args.theirs = theirs.data();
    args.bits = bits;
    args.result = result;
    Out<u64> out = allocate<u64>({args.n});
    args.out = out.data();
    nb::gil_scoped_release release;
    truncate_close_all(args);
    return out;
}

Out<u64> shift_right(In<u64, 1> x, u64 offset, int ring, int bits) {
    require_bits(ring);
    require(bits >= 0 && bits <= 63, "shift_right: bits 0 to 63");
    const u64* data = aligned(x);
    Out<u64> out = allocate<u64>({x.shape(0)});
    nb::gil_scoped_release release;
    shift_right_all(data, offset, x.shape(0), ring, bits, out.data());
    return out;
}

}  // namespace

void bind_openings(nb::module_& m) {
    using nb::arg;
    m.def("pack_difference", pack_difference, array("a"), array("b"), arg("bits"), arg("offset") = 0);
    m.def("unpack_sum", unpack_sum, array("a"), array("b"), arg("count"), arg("bits"));
    m.def("unpack_add", unpack_add, array("x"), array("data"), arg("bits"));
    m.def("truncate_open", truncate_open, array("share"), array("own"), arg("ring"), arg("party"));
    m.def("truncate_close", truncate_close, array("share"), array("own"), array("product"), array("mine"),
          array("theirs"), arg("bits"), arg("ring"), arg("result"), arg("party"));
    m.def("shift_right", shift_right, array("x"), arg("offset"), arg("ring"), arg("bits"));
}
