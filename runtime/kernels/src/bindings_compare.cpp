// The Python face of the comparison kernels.
#include "bindings.hpp"

#include "parallel.hpp"

namespace {

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

}  // namespace

void bind_compare(nb::module_& m) {
    using nb::arg;
    m.def("compare_leaves", compare_leaves, array("opened"), array("onehots"), array("sign_share"),
          array("thresholds"), arg("bits"), arg("width"), arg("party"));
    m.def("carry_node", carry_node, array("opened"), array("products"), arg("party"));
}
