// The Python face of oblivious transfer.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "ranges.hpp"

namespace {

constexpr size_t kOtsATask = 1 << 14;  // about 50 microseconds

void wipe(std::vector<u8>& secret) {
    volatile u8* const bytes = secret.data();
    for (size_t i = 0; i < secret.size(); ++i) bytes[i] = 0;
}

Out<u64> double_seeds(In<u64, 2> seeds) {
    require(seeds.shape(1) == 2, "double_seeds: seeds must be [n, 2]");
    const u64* data = aligned(seeds);
    const size_t count = seeds.shape(0);
    Out<u64> out = allocate<u64>({2 * count, 2});
    nb::gil_scoped_release release;
    run_ranges(count, 64, 256, [&](size_t first, size_t last) {
        kernels().transfer.double_seeds(data + 2 * first, last - first, out.data() + 4 * first);
    });
    return out;
}

size_t tree_count(int bits) {
    require(bits >= 2 && bits <= 8, "softspoken: 2 to 8 bits of Delta in a tree");
    return ceil_div(128, static_cast<size_t>(bits));
}

SoftspokenArgs softspoken_args(const In<u64, 2>& seeds, int bits, i64 first_chunk, i64 words) {
    const size_t trees = tree_count(bits), last_bits = 128 - (trees - 1) * static_cast<size_t>(bits);
    require(seeds.shape(0) == ((trees - 1) << bits) + (size_t{1} << last_bits) && seeds.shape(1) == 2,
            "softspoken: seeds must be [leaves, 2]");
    require(words >= 0 && words < i64{1} << 48 && first_chunk >= 0 && first_chunk < i64{1} << 48,
            "softspoken: words is not negative, first_chunk is 0 to 2^48 - 1");
    SoftspokenArgs args{};
    args.bits = bits;
    args.words = static_cast<size_t>(words);
    args.first_chunk = static_cast<size_t>(first_chunk);
    return args;
}

void softspoken_all(SoftspokenArgs args, const u64* seeds, size_t leaves) {
    std::vector<u8> schedules(leaves * kAesScheduleBytes);
    run_ranges(leaves, 64, 512, [&](size_t first, size_t last) {
        for (size_t leaf = first; leaf < last; ++leaf)
            kernels().aes_schedule(reinterpret_cast<const u8*>(seeds + 2 * leaf), &schedules[leaf * kAesScheduleBytes]);
    });
    args.schedules = schedules.data();
    run_ranges(args.words, kSoftspokenChunk, kSoftspokenChunk,
               [&](size_t first, size_t last) { kernels().transfer.softspoken(args, first, last); });
    wipe(schedules);
}

std::tuple<Out<u64>, Out<u64>, Out<u64>> softspoken_receive(In<u64, 2> seeds, int bits, i64 first_chunk, i64 words) {
    SoftspokenArgs args = softspoken_args(seeds, bits, first_chunk, words);
    const u64* data = aligned(seeds);
    Out<u64> choices = allocate<u64>({args.words}), corrections = allocate<u64>({tree_count(bits) - 1, args.words}),
             pads = allocate<u64>({64 * args.words, 2});
    args.choices = choices.data();
    args.corrections = corrections.data();
    args.pads = pads.data();
    {
        nb::gil_scoped_release release;
        softspoken_all(args, data, seeds.shape(0));
    }
    return {choices, corrections, pads};
}

Out<u64> softspoken_send(In<u64, 2> seeds, int bits, In<u64, 1> delta, In<u64, 2> corrections, i64 first_chunk) {
    SoftspokenArgs args = softspoken_args(seeds, bits, first_chunk, static_cast<i64>(corrections.shape(1)));
    require(delta.shape(0) == 2 && corrections.shape(0) == tree_count(bits) - 1,
            "softspoken_send: delta must be [2], corrections [trees - 1, words]");
    const u64* data = aligned(seeds);
    args.delta = aligned(delta);
    args.corrections = const_cast<u64*>(aligned(corrections));
    Out<u64> pads = allocate<u64>({64 * args.words, 2});
    args.pads = pads.data();
    nb::gil_scoped_release release;
    softspoken_all(args, data, seeds.shape(0));
    return pads;
}

void require_tweak(i64 first_tweak) {
    require(first_tweak >= 0 && first_tweak < i64{1} << 62 && first_tweak % static_cast<i64>(kTransferKeyOts) == 0,
            "transfer: first_tweak is a multiple of 512, from 0 to 2^62 - 1");
}

TransferArgs transfer_args(const In<u64, 2>& pads, const In<u64, 1>& plane, i64 first_tweak) {
    require(pads.shape(1) == 2, "transfer: pads must be [n, 2]");
    require_tweak(first_tweak);
    TransferArgs args{};
    args.n = pads.shape(0);
    require(plane.shape(0) == words_of(args.n), "transfer: corrections, choices, bits must be planes of n bits");
    args.pads = aligned(pads);
    args.plane = aligned(plane);
    args.first_tweak = static_cast<u64>(first_tweak);
    return args;
}

const u64* checked_delta(const In<u64, 1>& delta) {
    require(delta.shape(0) == 2, "transfer: delta must be [2]");
    return aligned(delta);
}

using Values = std::vector<In<u64, 1>>;
using Shares = std::vector<InOut<u64, 1>>;

// Columns one after the other in the words of an OT's hash, none across two; and the length of the message.
std::pair<std::vector<PadColumn>, size_t> pad_columns(const std::vector<int>& widths, const Shares& shares, size_t n) {
    require(shares.size() == widths.size(), "transfer: shares must be an array for each column");
    std::vector<PadColumn> columns;
    size_t end = 0, start = 0;
    for (size_t i = 0; i < widths.size(); ++i) {
        require_bits(widths[i]);
        require(shares[i].shape(0) == n, "transfer: shares must be [n] each");
        const size_t bits = static_cast<size_t>(widths[i]);
        if (end % 64 + bits > 64) end = words_of(end) * 64;
        columns.push_back({end / 64, start, widths[i], static_cast<int>(end % 64), nullptr, aligned(shares[i])});
        end += bits;
        start += packed_bytes(n, widths[i]);
    }
    return {columns, start};
}

void transfer_all(const TransferArgs& args) {
    run_ranges(args.n, kTransferKeyOts, kOtsATask,
               [&](size_t first, size_t last) { kernels().transfer.transfer(args, first, last); });
}

void transfer_bits_all(const TransferArgs& args) {
    run_ranges(args.n, kTransferKeyOts, kOtsATask,
               [&](size_t first, size_t last) { kernels().transfer.transfer_bits(args, first, last); });
}

Out<u8> transfer_send(In<u64, 2> pads, In<u64, 1> delta, In<u64, 1> corrections, const Values& values,
                      const std::vector<int>& widths, i64 first_tweak, bool boolean, const Shares& shares,
                      std::optional<In<u64, 1>> negated) {
    TransferArgs args = transfer_args(pads, corrections, first_tweak);
    args.delta = checked_delta(delta);
    auto [columns, length] = pad_columns(widths, shares, args.n);
    require(values.size() == columns.size(), "transfer_send: values must be an array for each column");
    for (size_t i = 0; i < columns.size(); ++i) {
        require(values[i].shape(0) == args.n, "transfer_send: values must be [n] each");
        columns[i].values = aligned(values[i]);
    }
    if (negated) {
        require(!boolean && negated->shape(0) == words_of(args.n), "transfer_send: negated must be a plane of n bits");
        args.negated = aligned(*negated);
    }
    Out<u8> message = allocate<u8>({length});
    args.message = message.data();
    args.places = columns.data();
    args.columns = columns.size();
    args.boolean = boolean;
    nb::gil_scoped_release release;
    transfer_all(args);
    return message;
}

void transfer_receive(In<u64, 2> pads, In<u64, 1> choices, In<u8, 1> message, const std::vector<int>& widths,
                      i64 first_tweak, bool boolean, const Shares& shares) {
    TransferArgs args = transfer_args(pads, choices, first_tweak);
    const auto [columns, length] = pad_columns(widths, shares, args.n);
    require(message.shape(0) == length, "transfer_receive: message must hold ceil(n*width/8) bytes a column");
    args.message = const_cast<u8*>(message.data());
    args.places = columns.data();
    args.columns = columns.size();
    args.boolean = boolean;
    nb::gil_scoped_release release;
    transfer_all(args);
}

std::pair<Out<u64>, Out<u64>> transfer_send_bits(In<u64, 2> pads, In<u64, 1> delta, In<u64, 1> corrections,
                                                 In<u64, 1> bits, i64 first_tweak) {
    TransferArgs args = transfer_args(pads, corrections, first_tweak);
    args.delta = checked_delta(delta);
    require(bits.shape(0) == words_of(args.n), "transfer_send_bits: bits must be a plane of n bits");
    Out<u64> message = allocate<u64>({bits.shape(0)}), share = allocate<u64>({bits.shape(0)});
    args.values = aligned(bits);
    args.message = reinterpret_cast<u8*>(message.data());
    args.shares = share.data();
    {
        nb::gil_scoped_release release;
        transfer_bits_all(args);
    }
    return {message, share};
}

Out<u64> transfer_receive_bits(In<u64, 2> pads, In<u64, 1> choices, In<u64, 1> message, i64 first_tweak) {
    TransferArgs args = transfer_args(pads, choices, first_tweak);
    require(message.shape(0) == words_of(args.n), "transfer_receive_bits: message must be a plane of n bits");
    Out<u64> share = allocate<u64>({message.shape(0)});
    args.message = reinterpret_cast<u8*>(const_cast<u64*>(aligned(message)));
    args.shares = share.data();
    nb::gil_scoped_release release;
    transfer_bits_all(args);
    return share;
}

LookupArgs lookup_args(const In<u64, 3>& pads, size_t count, int width, i64 first_tweak, bool boolean) {
    require(pads.shape(0) >= 1 && pads.shape(0) <= kMaxLookupBits && pads.shape(1) == 64 * words_of(count) &&
                pads.shape(2) == 2,
            "lookup: pads must be [w, 64 ceil(n/64), 2], w 1 to 8");
    require_bits(width);
    require_tweak(first_tweak);
    LookupArgs args{};
    args.pads = aligned(pads);
    args.n = count;
    args.bits = pads.shape(0);
    args.width = width;
    args.first_tweak = static_cast<u64>(first_tweak);
    args.boolean = boolean;
    return args;
}

size_t lookup_bytes(const LookupArgs& args) {
    return ((size_t{1} << args.bits) - 1) * packed_bytes(args.n, args.width);
}

void lookup_all(const LookupArgs& args) {
    run_ranges(args.n, kTransferKeyOts, std::max(kTransferKeyOts, kOtsATask >> args.bits),
               [&](size_t first, size_t last) { kernels().transfer.lookup(args, first, last); });
}

std::pair<Out<u8>, Out<u64>> lookup_send(In<u64, 3> pads, In<u64, 1> delta, In<u64, 2> corrections, In<u64, 2> tables,
                                         int width, i64 first_tweak, bool boolean) {
    LookupArgs args = lookup_args(pads, tables.shape(1), width, first_tweak, boolean);
    require(delta.shape(0) == 2 && tables.shape(0) == size_t{1} << args.bits && corrections.shape(0) == args.bits &&
                corrections.shape(1) == words_of(args.n),
            "lookup: delta must be [2], tables [2^w, n], corrections [w, ceil(n/64)]");
    args.delta = aligned(delta);
    args.corrections = aligned(corrections);
    args.tables = aligned(tables);
    Out<u8> message = allocate<u8>({lookup_bytes(args)});
    Out<u64> shares = allocate<u64>({args.n});
    args.message = message.data();
    args.shares = shares.data();
    {
        nb::gil_scoped_release release;
        lookup_all(args);
    }
    return {message, shares};
}

Out<u64> lookup_receive(In<u64, 3> pads, In<u64, 1> index, In<u8, 1> message, int width, i64 first_tweak,
                        bool boolean) {
    LookupArgs args = lookup_args(pads, index.shape(0), width, first_tweak, boolean);
    require(message.shape(0) == lookup_bytes(args),
            "lookup: message must hold ceil(n*width/8) bytes an entry but the first");
    args.index = aligned(index);
    args.message = const_cast<u8*>(message.data());
    Out<u64> shares = allocate<u64>({args.n});
    args.shares = shares.data();
    nb::gil_scoped_release release;
    lookup_all(args);
    return shares;
}

}  // namespace

void bind_transfer(nb::module_& m) {
    using nb::arg;
    m.def("double_seeds", double_seeds, array("seeds"));
    m.def("softspoken_receive", softspoken_receive, array("seeds"), arg("bits"), arg("first_chunk"), arg("words"));
    m.def("softspoken_send", softspoken_send, array("seeds"), arg("bits"), array("delta"), array("corrections"),
          arg("first_chunk"));
    m.def("transfer_send", transfer_send, array("pads"), array("delta"), array("corrections"), array("values"),
          arg("widths"), arg("first_tweak"), arg("boolean"), array("shares"), array("negated").none() = nb::none());
    m.def("transfer_receive", transfer_receive, array("pads"), array("choices"), array("message"), arg("widths"),
          arg("first_tweak"), arg("boolean"), array("shares"));
    m.def("transfer_send_bits", transfer_send_bits, array("pads"), array("delta"), array("corrections"), array("bits"),
          arg("first_tweak"));
    m.def("transfer_receive_bits", transfer_receive_bits, array("pads"), array("choices"), array("message"),
          arg("first_tweak"));
    m.def("lookup_send", lookup_send, array("pads"), array("delta"), array("corrections"), array("tables"),
          arg("width"), arg("first_tweak"), arg("boolean"));
    m.def("lookup_receive", lookup_receive, array("pads"), array("index"), array("message"), arg("width"),
          arg("first_tweak"), arg("boolean"));
}
