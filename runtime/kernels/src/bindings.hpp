// What the Python face of every kernel needs: array types, checks, new arrays.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>

#include "kernels.hpp"

namespace nb = nanobind;

template <class T, int Dimensions>
using In = nb::ndarray<const T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <class T, int Dimensions>
using InOut = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<nb::numpy, T>;

inline void require(bool condition, const char* message) {
    if (!condition) throw nb::value_error(message);
}

inline void require_bits(i64 bits) { require(bits >= 1 && bits <= 64, "bits must be 1 to 64"); }
inline void require_party(int party) { require(party == 0 || party == 1, "party must be 0 or 1"); }

// Of the bit stream of `count` elements.
inline size_t packed_bytes(size_t count, int bits) { return ceil_div(count * static_cast<size_t>(bits), 8); }

template <class Array>
auto aligned(const Array& array) {
    if (reinterpret_cast<std::uintptr_t>(array.data()) % sizeof(*array.data()) != 0)
        throw nb::type_error("the array is not aligned to its element size");
    return array.data();
}

struct Memory {
    void* data;
    nb::capsule owner;
};

// `bytes` of new memory for an array.
Memory allocate_bytes(size_t bytes);

template <class T>
Out<T> allocate(std::initializer_list<size_t> shape) {
    size_t bytes = sizeof(T);
    for (size_t extent : shape)
        if (__builtin_mul_overflow(bytes, extent, &bytes)) throw std::bad_alloc();
    const Memory memory = allocate_bytes(bytes);
    return Out<T>(memory.data, shape.size(), shape.begin(), memory.owner);
}

// An argument that takes an array as it is, or nothing.
inline auto array(const char* name) { return nb::arg(name).noconvert(); }

// Each adds the kernels of one file to the module.
void bind_compare(nb::module_& m);
void bind_openings(nb::module_& m);
void bind_polynomial(nb::module_& m);
void bind_rlwe(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_silent(nb::module_& m);
void bind_tables(nb::module_& m);
void bind_transfer(nb::module_& m);
