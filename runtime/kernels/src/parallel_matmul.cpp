// Matrix products, cut into tasks for the pool.
#include <algorithm>
#include <cstring>

#include "parallel.hpp"
#include "pool.hpp"
#include "workspace.hpp"

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
    constexpr size_t kSmallestTask = 1 << 19;  // multiply-adds; less is not worth a thread
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
                      .workspace = workspace(kMatmulDepth * table.tile_columns)});
    };
    const size_t count = tasks();
    if (shape.batch * shape.m * shape.n * shape.k <= 2 * kSmallestTask)
        for (size_t task = 0; task < count; ++task) run(task);
    else
        run_tasks(count, run);
}
