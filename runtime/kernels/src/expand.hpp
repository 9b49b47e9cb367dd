// Key stream to ring elements. Needs keystream() of the including instruction set.
#pragma once
#include "kernels.hpp"

namespace {

template <class T>
void widen(const u8* bytes, size_t count, u64 mask, u64* out) {
    const T* values = reinterpret_cast<const T*>(bytes);
    for (size_t i = 0; i < count; ++i) out[i] = values[i] & mask;
}

void expand(const u8* schedule, u64 stream, size_t first, size_t count, int bits, u64* out) {
    const size_t width = bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
    const size_t per_chunk = kKeystreamChunk / width;
    const u64 mask = low_mask(bits);
    alignas(64) u8 buffer[kKeystreamChunk];
    for (size_t done = 0; done < count; done += per_chunk) {
        const size_t n = count - done < per_chunk ? count - done : per_chunk;
        keystream(schedule, stream, (first + done) * width / 16, ceil_div(n * width, 16), buffer);
        switch (width) {
            case 1: widen<u8>(buffer, n, mask, out + done); break;
            case 2: widen<std::uint16_t>(buffer, n, mask, out + done); break;
            case 4: widen<std::uint32_t>(buffer, n, mask, out + done); break;
            default: widen<u64>(buffer, n, mask, out + done);
        }
    }
}

}  // namespace
