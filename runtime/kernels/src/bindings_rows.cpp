// The Python face of the row kernels.
#include "bindings.hpp"

#include "parallel.hpp"

namespace {

bool is_power_of_two(size_t x) { return x != 0 && (x & (x - 1)) == 0; }

template <class Lane>
Out<u64> row_counts(In<u64, 2> opened, In<Lane, 1> onehots, int bits, i64 low, int levels) {
    require(bits >= 1 && bits <= 10 && levels >= 1 && levels < 1 << bits,
            "row_counts: bits 1 to 10, levels 1 to 2^bits - 1");
    const size_t rows = opened.shape(0);
    require(onehots.shape(0) == opened.size() << bits, "row_counts: onehots must be [rows * length * 2^bits]");
    RowCountArgs args{.opened = aligned(opened),
                      .onehots = aligned(onehots),
                      .out = nullptr,
                      .length = opened.shape(1),
                      .low = low,
                      .bits = bits,
                      .levels = levels,
                      .wide = sizeof(Lane) == 2};
    Out<u64> out = allocate<u64>({rows, static_cast<size_t>(levels)});
    args.out = out.data();
    nb::gil_scoped_release release;
    row_counts_all(args, rows);
    return out;
}

Out<u8> lookup_bits(In<u64, 2> words, In<u64, 1> places, int word_bits) {
    require(word_bits <= 64 && word_bits >= 1 && is_power_of_two(static_cast<size_t>(word_bits)) &&
                is_power_of_two(words.shape(1)),
            "lookup_bits: a row must have a power of two of words, of 1, 2, 4, .. or 64 bits");
    require(words.shape(0) == places.shape(0), "lookup_bits: one place for each row");
    const u64 *data = aligned(words), *at = aligned(places);
    Out<u8> out = allocate<u8>({places.shape(0)});
    nb::gil_scoped_release release;
    lookup_bits_all(data, at, places.shape(0), words.shape(1), word_bits, out.data());
    return out;
}

}  // namespace

void bind_rows(nb::module_& m) {
    using nb::arg;
    m.def("row_counts", row_counts<u8>, array("opened"), array("onehots"), arg("bits"), arg("low"), arg("levels"));
    m.def("row_counts", row_counts<std::uint16_t>, array("opened"), array("onehots"), arg("bits"), arg("low"),
          arg("levels"));
    m.def("lookup_bits", lookup_bits, array("words"), array("places"), arg("word_bits"));
}
