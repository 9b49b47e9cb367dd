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
    for (size_t done = 0; done < count;) {
        const size_t skipped = (first + done) % per_chunk;  // not 0 in the first chunk only
        const size_t n = count - done < per_chunk - skipped ? count - done : per_chunk - skipped;
        keystream(schedule, stream, (first + done - skipped) * width / 16, ceil_div((skipped + n) * width, 16), buffer);
        const u8* bytes = buffer + skipped * width;
        switch (width) {
            case 1: widen<u8>(bytes, n, mask, out + done); break;
            case 2: widen<std::uint16_t>(bytes, n, mask, out + done); break;
            case 4: widen<std::uint32_t>(bytes, n, mask, out + done); break;
            default: widen<u64>(bytes, n, mask, out + done);
        }
        done += n;
    }
}

}  // namespace
