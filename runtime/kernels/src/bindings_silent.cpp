// The Python face of silent oblivious transfer.
#include <vector>

#include "bindings.hpp"
#include "ranges.hpp"

namespace {

constexpr size_t kLeavesATask = 4096;  // about 50 microseconds with the code

struct Trees {
    const u64* keys;
    size_t count, leaves, grain;
    int depth;

    Tree operator()(size_t tree, const u64* delta) const {
        return {reinterpret_cast<const u8*>(keys + 2 * tree), delta, depth};
    }
    void run(const std::function<void(size_t)>& each) const {
        run_ranges(count, 1, grain, [&](size_t first, size_t last) {
            for (size_t tree = first; tree < last; ++tree) each(tree);
        });
    }
};

Trees trees_of(const In<u64, 2>& keys, int depth) {
    require(depth >= 1 && depth <= kMaxTreeDepth, "silent: depth 1 to 16");
    require(keys.shape(1) == 2, "silent: keys must be [t, 2]");
    const size_t leaves = size_t{1} << depth;
    return {aligned(keys), keys.shape(0), leaves, ceil_div(kLeavesATask, leaves), depth};
}

const u64* checked_roots(const In<u64, 2>& roots, const Trees& trees) {
    require(roots.shape(0) == trees.count && roots.shape(1) == 2, "silent: roots must be [t, 2]");
    return aligned(roots);
}

const u64* checked_delta(const In<u64, 1>& delta) {
    require(delta.shape(0) == 2, "silent: delta must be [2]");
    return aligned(delta);
}

// The public code times a table, and the outputs it is added to. Not copied: `args` points to its schedule.
struct Code {
    Code(const Code&) = delete;

    u64* out;
    size_t first;
    alignas(64) u8 schedule[kAesScheduleBytes];
    CodeArgs args;

    Code(const InOut<u64, 2>& outputs, const In<u64, 2>& table, const nb::bytes& seed, i64 first_tree,
         const Trees& trees)
        : out(aligned(outputs)), first(static_cast<size_t>(first_tree) * trees.leaves) {
        require(seed.size() == 16, "silent: the seed has 16 bytes");
        require(table.shape(0) >= 1 && table.shape(0) < size_t{1} << 32 && table.shape(1) == 2,
                "silent: the table must be [k, 2], 1 to 2^32 - 1 entries");
        require(first_tree >= 0 && first_tree < i64{1} << 32, "silent: first_tree is 0 to 2^32 - 1");
        require(outputs.shape(0) == trees.count * trees.leaves && outputs.shape(1) == 2,
                "silent: out must be [t 2^depth, 2]");
        kernels().aes_schedule(reinterpret_cast<const u8*>(seed.c_str()), schedule);
        args = {aligned(table), table.shape(0), schedule};
    }
    u64* leaves(size_t tree, const Trees& trees) const { return out + 2 * tree * trees.leaves; }
    void add(size_t tree, const Trees& trees) const {
        kernels().silent.encode(args, first + tree * trees.leaves, trees.leaves, leaves(tree, trees));
    }
};

Out<u64> tree_sums(In<u64, 2> keys, In<u64, 2> roots, In<u64, 1> delta, int depth) {
    const Trees trees = trees_of(keys, depth);
    const u64 *root = checked_roots(roots, trees), *difference = checked_delta(delta);
    const size_t levels = static_cast<size_t>(depth);
    Out<u64> sums = allocate<u64>({trees.count, levels, 2});
    nb::gil_scoped_release release;
    run_ranges(trees.count, 1, trees.grain, [&](size_t first, size_t last) {
        std::vector<u64> nodes(2 * trees.leaves);
        for (size_t tree = first; tree < last; ++tree)
            kernels().silent.full_tree(trees(tree, difference), root + 2 * tree, sums.data() + 2 * tree * levels,
                                       nodes.data());
    });
    return sums;
}

void silent_send(InOut<u64, 2> out, In<u64, 2> table, nb::bytes seed, i64 first_tree, In<u64, 2> keys,
                 In<u64, 2> roots, In<u64, 1> delta, int depth) {
    const Trees trees = trees_of(keys, depth);
    const u64 *root = checked_roots(roots, trees), *difference = checked_delta(delta);
    const Code code(out, table, seed, first_tree, trees);
    nb::gil_scoped_release release;
    trees.run([&](size_t tree) {
        kernels().silent.full_tree(trees(tree, difference), root + 2 * tree, nullptr, code.leaves(tree, trees));
        code.add(tree, trees);
    });
}

void silent_receive(InOut<u64, 2> out, In<u64, 2> table, nb::bytes seed, i64 first_tree, In<u64, 2> keys,
                    In<u64, 3> sums, In<u64, 1> points, int depth) {
    const Trees trees = trees_of(keys, depth);
    const size_t levels = static_cast<size_t>(depth);
    require(sums.shape(0) == trees.count && sums.shape(1) == levels && sums.shape(2) == 2 &&
                points.shape(0) == trees.count,
            "silent_receive: sums must be [t, depth, 2], points [t]");
    const u64 *sum = aligned(sums), *point = aligned(points);
    const Code code(out, table, seed, first_tree, trees);
    nb::gil_scoped_release release;
    trees.run([&](size_t tree) {
        kernels().silent.punctured_tree(trees(tree, nullptr), sum + 2 * tree * levels, point[tree],
                                        code.leaves(tree, trees));
        code.add(tree, trees);
    });
}

Out<u64> lowest_bits(In<u64, 2> blocks) {
    require(blocks.shape(1) == 2, "lowest_bits: blocks must be [n, 2]");
    const u64* data = aligned(blocks);
    const size_t count = blocks.shape(0);
    Out<u64> plane = allocate<u64>({words_of(count)});
    nb::gil_scoped_release release;
    run_ranges(count, 64, 1 << 16, [&](size_t first, size_t last) {
        for (size_t i = first; i < last; i += 64) {
            u64 word = 0;
            for (size_t bit = 0; bit < 64 && i + bit < last; ++bit) word |= (data[2 * (i + bit)] & 1) << bit;
            plane.data()[i / 64] = word;
        }
    });
    return plane;
}

}  // namespace

void bind_silent(nb::module_& m) {
    using nb::arg;
    m.def("tree_sums", tree_sums, array("keys"), array("roots"), array("delta"), arg("depth"));
    m.def("silent_send", silent_send, array("out"), array("table"), arg("seed"), arg("first_tree"), array("keys"),
          array("roots"), array("delta"), arg("depth"));
    m.def("silent_receive", silent_receive, array("out"), array("table"), arg("seed"), arg("first_tree"),
          array("keys"), array("sums"), array("points"), arg("depth"));
    m.def("lowest_bits", lowest_bits, array("blocks"));
}
