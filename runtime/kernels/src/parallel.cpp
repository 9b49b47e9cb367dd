#include "parallel.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <new>

#include "pool.hpp"

namespace {

// Ranges of [0, count) that begin at multiples of `step`, each of at least `grain`.
void run_ranges(size_t count, size_t step, size_t grain, const std::function<void(size_t, size_t)>& range) {
    if (count == 0) return;
    const size_t wanted = std::max(grain, ceil_div(count, 8 * thread_count()));
    const size_t length = ceil_div(wanted, step) * step;
    run_tasks(ceil_div(count, length),
              [&](size_t task) { range(task * length, std::min(count, (task + 1) * length)); });
}

struct Free {
    void operator()(u64* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};

// Memory of this thread for one packed panel, kept between calls.
u64* panel_workspace(size_t words) {
    thread_local std::unique_ptr<u64[], Free> memory;
    thread_local size_t size = 0;
    if (size < words) {
        memory.reset(new (std::align_val_t{64}) u64[words]);
        size = words;
    }
    return memory.get();
}

// 8 bytes of 0 or 1 to 8 bits: the product moves bit 8*i to bit 56+i without carries.
u64 gather_bits(const u8* bytes) {
    u64 eight;
    std::memcpy(&eight, bytes, 8);
    return (eight & 0x0101010101010101) * 0x0102040810204080 >> 56;
}

// The inverse: byte i keeps bit i of its copy of the eight, and any bit left becomes a one.
void spread_bits(u64 eight, u8* bytes) {
    const u64 kept = (eight & 0xff) * 0x0101010101010101 & 0x8040201008040201;
    const u64 ones = (kept + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101;
    std::memcpy(bytes, &ones, 8);
}

}  // namespace

void expand_all(const u8* key, u64 stream, size_t first, size_t count, int bits, u64* out) {
    alignas(64) u8 schedule[kAesScheduleBytes];
    kernels().aes_schedule(key, schedule);
    run_ranges(count, kKeystreamChunk, 1 << 15, [&](size_t begin, size_t end) {
        kernels().expand(schedule, stream, first + begin, end - begin, bits, out + begin);
    });
    volatile u8* wiped = schedule;
    for (size_t i = 0; i < kAesScheduleBytes; ++i) wiped[i] = 0;
}

void pack_all(const u64* values, size_t count, int bits, u8* out) {
    run_ranges(count, 64, 1 << 15, [&](size_t first, size_t last) {
        kernels().pack(values + first, last - first, bits, out + first / 8 * static_cast<size_t>(bits));
    });
}

void unpack_all(const u8* data, size_t count, int bits, u64* out) {
    run_ranges(count, 64, 1 << 15, [&](size_t first, size_t last) {
        kernels().unpack(data + first / 8 * static_cast<size_t>(bits), last - first, bits, out + first);
    });
}

void matmul_all(MatmulShape shape, const u64* a, Factor b, int bits, bool add, u64* c) {
    if (shape.shared_b) {
        shape.m *= shape.batch;
        shape.batch = 1;
    }
    if (shape.batch * shape.m * shape.n == 0) return;
    if (shape.k == 0) {
        if (!add) std::memset(c, 0, 8 * shape.batch * shape.m * shape.n);
        return;
    }
    const Kernels& table = kernels();
    // Rows: a block of a stays in the second-level cache. Columns: few, for many tasks; more when there is little else.
    size_t rows = std::min<size_t>(shape.m, 256), columns = std::min(shape.n, 4 * table.tile_columns);
    const auto tasks = [&] { return shape.batch * ceil_div(shape.m, rows) * ceil_div(shape.n, columns); };
    constexpr size_t kSmallestTask = 1 << 16;  // multiply-adds; less is not worth a thread
    while (tasks() < 4 * thread_count() && rows * columns * shape.k > 2 * kSmallestTask) {
        if (rows > 4 * table.tile_rows)
            rows = ceil_div(ceil_div(rows, 2), table.tile_rows) * table.tile_rows;
        else if (columns > table.tile_columns)
            columns = ceil_div(ceil_div(columns, 2), table.tile_columns) * table.tile_columns;
        else
            break;
    }
    const size_t row_blocks = ceil_div(shape.m, rows), column_blocks = ceil_div(shape.n, columns);
    const auto run = [&](size_t task) {
        const size_t row = task % row_blocks * rows, column = task / row_blocks % column_blocks * columns;
        const size_t item = task / (row_blocks * column_blocks);
        table.matmul({.a = a + (item * shape.m + row) * shape.k,
                      .b = b.from(item * shape.k * shape.n + column),
                      .c = c + (item * shape.m + row) * shape.n + column,
                      .m = std::min(rows, shape.m - row),
                      .n = std::min(columns, shape.n - column),
                      .k = shape.k,
                      .lda = shape.k,
                      .ldb = shape.n,
                      .ldc = shape.n,
                      .bits = bits,
                      .add = add,
                      .workspace = panel_workspace(kMatmulDepth * table.tile_columns)});
    };
    const size_t count = tasks();
    if (shape.batch * shape.m * shape.n * shape.k <= 2 * kSmallestTask)
        for (size_t task = 0; task < count; ++task) run(task);
    else
        run_tasks(count, run);
}

void compare_leaves_all(const CompareArgs& args) {
    run_ranges(words_of(args.n), 1, 64,
               [&](size_t first, size_t last) { kernels().compare_leaves(args, first, last); });
}

void carry_node_all(const CarryArgs& args) {
    run_ranges(args.words, 8, 256, [&](size_t first, size_t last) { kernels().carry_node(args, first, last); });
}

void segmented_polynomial_all(const PolynomialArgs& args) {
    run_ranges(args.n, 128, 1 << 10,
               [&](size_t first, size_t last) { kernels().segmented_polynomial(args, first, last); });
}

void sine_series_all(const SineArgs& args) {
    run_ranges(args.n, 64, 1 << 10, [&](size_t first, size_t last) { kernels().sine_series(args, first, last); });
}

void planes_pack_all(const u8* bits, size_t count, u64* words) {
    run_ranges(count, 64, 1 << 18, [&](size_t first, size_t last) {
        for (size_t i = first; i < last; i += 64) {
            u64 word = 0;
            if (last - i >= 64)
                for (size_t k = 0; k < 64; k += 8) word |= gather_bits(bits + i + k) << k;
            else
                for (size_t k = 0; k < last - i; ++k) word |= static_cast<u64>(bits[i + k] & 1) << k;
            words[i / 64] = word;
        }
    });
}

void planes_unpack_all(const u64* words, size_t count, u8* bits) {
    run_ranges(count, 64, 1 << 18, [&](size_t first, size_t last) {
        const size_t whole = last / 8 * 8;
        for (size_t i = first; i < whole; i += 8) spread_bits(words[i / 64] >> (i % 64), bits + i);
        for (size_t i = whole; i < last; ++i) bits[i] = static_cast<u8>(words[i / 64] >> (i % 64) & 1);
    });
}
