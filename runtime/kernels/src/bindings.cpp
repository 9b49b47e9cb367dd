// The Python face: checks shapes, allocates results, releases the interpreter lock. Documentation is in ../twin.py.
// Here: key streams, bit streams, matrix products, planes; the other kernels are in bindings_*.cpp.
#include "bindings.hpp"

#include <malloc.h>
#include <sys/mman.h>

#include <new>

#include "parallel.hpp"
#include "pool.hpp"

// Not aligned by the allocator: glibc looks for more than it then uses, so that freed memory does not fit its successor.
// Large memory asks for huge pages, as NumPy's own does: page faults cost more than most kernels.
Memory allocate_bytes(size_t bytes) {
    constexpr size_t kAlignment = 64, kPage = 4096, kLarge = size_t{4} << 20;
    size_t size;
    if (__builtin_add_overflow(bytes, kAlignment, &size)) throw std::bad_alloc();
    void* const memory = ::operator new(size);
    const auto up = [](std::uintptr_t address, size_t step) { return (address + step - 1) / step * step; };
    const auto start = reinterpret_cast<std::uintptr_t>(memory), page = up(start, kPage);
    if (bytes >= kLarge) madvise(reinterpret_cast<void*>(page), start + size - page, MADV_HUGEPAGE);
    return {reinterpret_cast<void*>(up(start, kAlignment)),
            nb::capsule(memory, [](void* p) noexcept { ::operator delete(p); })};
}

namespace {

// glibc gives freed memory of some megabytes back at once, and taking it anew costs a page fault for each 4 KiB.
void keep_memory() {
#ifdef __GLIBC__
    constexpr int kMegabyte = 1 << 20;
    mallopt(M_MMAP_THRESHOLD, 32 * kMegabyte);  // the most that every version takes
    mallopt(M_TRIM_THRESHOLD, 1024 * kMegabyte);
#endif
}

void return_memory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
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
    Out<u8> out = allocate<u8>({packed_bytes(values.shape(0), bits)});
    nb::gil_scoped_release release;
    pack_all(data, values.shape(0), bits, out.data());
    return out;
}

Out<u64> unpack(In<u8, 1> data, i64 count, int bits) {
    require_bits(bits);
    require(count >= 0 && count <= (i64{1} << 56) &&
                data.shape(0) == packed_bytes(static_cast<size_t>(count), bits),
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

Out<u8> planes_unpack(In<u64, 2> words, i64 count) {
    require(count >= 0 && words.shape(1) == words_of(static_cast<size_t>(count)),
            "planes_unpack: words must be [planes, ceil(count/64)]");
    const u64* data = aligned(words);
    Out<u8> out = allocate<u8>({words.shape(0), static_cast<size_t>(count)});
    nb::gil_scoped_release release;
    planes_unpack_all(data, words.shape(0), static_cast<size_t>(count), out.data());
    return out;
}

Out<u64> planes_split(In<u64, 1> values, int first_bit, int count) {
    require(first_bit >= 0 && count >= 0 && count <= 64 && first_bit + count <= 64,
            "planes_split: bits from first_bit on, of 64");
    const size_t n = values.shape(0), planes = static_cast<size_t>(count);
    const u64* data = aligned(values);
    Out<u64> out = allocate<u64>({planes, words_of(n)});
    nb::gil_scoped_release release;
    planes_split_all({data, out.data(), n, planes, first_bit});
    return out;
}

Out<u64> planes_join(In<u64, 2> words, i64 count) {
    require(count >= 0 && words.shape(1) == words_of(static_cast<size_t>(count)) && words.shape(0) <= 64,
            "planes_join: words must be [planes, ceil(count/64)], planes at most 64");
    const u64* data = aligned(words);
    const size_t n = static_cast<size_t>(count);
    Out<u64> out = allocate<u64>({n});
    nb::gil_scoped_release release;
    planes_join_all({data, out.data(), n, words.shape(0), 0});
    return out;
}

}  // namespace

NB_MODULE(_native, m) {
    kernels();  // a wrong MPCC_ISA or MPCC_THREADS fails the import
    thread_count();
    using nb::arg;
    m.def("isa", [] { return kernels().name; });
    m.def("keep_memory", keep_memory);
    m.def("return_memory", return_memory, nb::call_guard<nb::gil_scoped_release>());
    m.def("expand", expand, arg("key"), arg("stream"), arg("count"), arg("bits"), arg("first") = 0);
    m.def("pack", pack, array("values"), arg("bits"));
    m.def("unpack", unpack, array("data"), arg("count"), arg("bits"));
    m.def("matmul", matmul<u64>, array("a"), array("b"), arg("bits"));
    m.def("matmul", matmul<i32>, array("a"), array("b"), arg("bits"));
    m.def("matmul_add", matmul_add<u64>, array("c"), array("a"), array("b"), arg("bits"));
    m.def("matmul_add", matmul_add<i32>, array("c"), array("a"), array("b"), arg("bits"));
    m.def("planes_pack", planes_pack, array("bits"));
    m.def("planes_unpack", planes_unpack, array("words"), arg("count"));
    m.def("planes_split", planes_split, array("values"), arg("first_bit"), arg("count"));
    m.def("planes_join", planes_join, array("words"), arg("count"));
    bind_compare(m);
    bind_openings(m);
    bind_polynomial(m);
    bind_rlwe(m);
    bind_rows(m);
    bind_silent(m);
    bind_tables(m);
    bind_transfer(m);
}
