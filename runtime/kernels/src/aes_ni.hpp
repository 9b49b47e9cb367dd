// AES-128 key stream and block encryption with the AES instructions, 8 blocks in flight.
#pragma once
#include <immintrin.h>

#include "kernels.hpp"

namespace {

template <int RoundConstant>
__m128i next_round_key(__m128i key) {
    const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, RoundConstant), 0xff);
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
    return _mm_xor_si128(key, word);
}

void aes_schedule(const u8* key, u8* schedule) {
    __m128i* out = reinterpret_cast<__m128i*>(schedule);
    __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key));
    _mm_storeu_si128(out, k);
    _mm_storeu_si128(out + 1, k = next_round_key<0x01>(k));
    _mm_storeu_si128(out + 2, k = next_round_key<0x02>(k));
    _mm_storeu_si128(out + 3, k = next_round_key<0x04>(k));
    _mm_storeu_si128(out + 4, k = next_round_key<0x08>(k));
    _mm_storeu_si128(out + 5, k = next_round_key<0x10>(k));
    _mm_storeu_si128(out + 6, k = next_round_key<0x20>(k));
    _mm_storeu_si128(out + 7, k = next_round_key<0x40>(k));
    _mm_storeu_si128(out + 8, k = next_round_key<0x80>(k));
    _mm_storeu_si128(out + 9, k = next_round_key<0x1b>(k));
    _mm_storeu_si128(out + 10, k = next_round_key<0x36>(k));
}

#ifndef __VAES__

void keystream(const u8* schedule, u64 stream, u64 first_block, size_t blocks, u8* out) {
    __m128i keys[11];
    for (int i = 0; i < 11; ++i) keys[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(schedule) + i);
    const i64 prefix = static_cast<i64>(__builtin_bswap64(stream));
    constexpr size_t kFlight = 8;
    for (size_t done = 0; done < blocks; done += kFlight) {
        __m128i s[kFlight];
        for (size_t i = 0; i < kFlight; ++i)
            s[i] = _mm_xor_si128(
                _mm_set_epi64x(static_cast<i64>(__builtin_bswap64(first_block + done + i)), prefix), keys[0]);
        for (int round = 1; round < 10; ++round)
            for (size_t i = 0; i < kFlight; ++i) s[i] = _mm_aesenc_si128(s[i], keys[round]);
        const size_t count = blocks - done < kFlight ? blocks - done : kFlight;
        for (size_t i = 0; i < count; ++i)
            _mm_storeu_si128(reinterpret_cast<__m128i*>(out) + done + i, _mm_aesenclast_si128(s[i], keys[10]));
    }
}

// In place.
void encrypt_blocks(const u8* schedule, u8* blocks, size_t count) {
    __m128i keys[11];
    for (int i = 0; i < 11; ++i) keys[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(schedule) + i);
    __m128i* const at = reinterpret_cast<__m128i*>(blocks);
    constexpr size_t kFlight = 8;
    size_t done = 0;
    for (; count - done >= kFlight; done += kFlight) {
        __m128i s[kFlight];
        for (size_t i = 0; i < kFlight; ++i) s[i] = _mm_xor_si128(_mm_loadu_si128(at + done + i), keys[0]);
        for (int round = 1; round < 10; ++round)
            for (size_t i = 0; i < kFlight; ++i) s[i] = _mm_aesenc_si128(s[i], keys[round]);
        for (size_t i = 0; i < kFlight; ++i) _mm_storeu_si128(at + done + i, _mm_aesenclast_si128(s[i], keys[10]));
    }
    for (; done < count; ++done) {
        __m128i s = _mm_xor_si128(_mm_loadu_si128(at + done), keys[0]);
        for (int round = 1; round < 10; ++round) s = _mm_aesenc_si128(s, keys[round]);
        _mm_storeu_si128(at + done, _mm_aesenclast_si128(s, keys[10]));
    }
}

#else

// Four blocks to a vector, 32 in flight.
void keystream(const u8* schedule, u64 stream, u64 first_block, size_t blocks, u8* out) {
    __m512i keys[11];
    for (int i = 0; i < 11; ++i)
        keys[i] = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(schedule) + i));
    const __m512i swap_counter = _mm512_broadcast_i32x4(
        _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0));
    const i64 prefix = static_cast<i64>(__builtin_bswap64(stream));
    const i64 first = static_cast<i64>(first_block);
    const __m512i start = _mm512_set_epi64(first + 3, prefix, first + 2, prefix, first + 1, prefix, first, prefix);
    const __m512i one = _mm512_set_epi64(1, 0, 1, 0, 1, 0, 1, 0);
    constexpr size_t kFlight = 8;
    for (size_t done = 0; done < blocks; done += 4 * kFlight) {
        __m512i s[kFlight];
        const __m512i done_lanes = _mm512_maskz_set1_epi64(0xAA, static_cast<i64>(done));
        for (size_t i = 0; i < kFlight; ++i) {
            const __m512i steps = _mm512_slli_epi64(one, 2);
            __m512i counter = _mm512_add_epi64(start, done_lanes);
            for (size_t k = 0; k < i; ++k) counter = _mm512_add_epi64(counter, steps);
            s[i] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, swap_counter), keys[0]);
        }
        for (int round = 1; round < 10; ++round)
            for (size_t i = 0; i < kFlight; ++i) s[i] = _mm512_aesenc_epi128(s[i], keys[round]);
        for (size_t i = 0; i < kFlight; ++i) {
            const size_t left = blocks - done > 4 * i ? blocks - done - 4 * i : 0;
            const __mmask8 mask = static_cast<__mmask8>(left >= 4 ? 0xff : (1u << (2 * left)) - 1);
            _mm512_mask_storeu_epi64(out + 16 * (done + 4 * i), mask, _mm512_aesenclast_epi128(s[i], keys[10]));
        }
    }
}

// In place.
void encrypt_blocks(const u8* schedule, u8* blocks, size_t count) {
    __m512i keys[11];
    for (int i = 0; i < 11; ++i)
        keys[i] = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(schedule) + i));
    constexpr size_t kFlight = 8;
    for (size_t done = 0; done < count; done += 4 * kFlight) {
        __m512i s[kFlight];
        __mmask8 masks[kFlight];
        for (size_t i = 0; i < kFlight; ++i) {
            const size_t left = count - done > 4 * i ? count - done - 4 * i : 0;
            masks[i] = static_cast<__mmask8>(left >= 4 ? 0xff : (1u << (2 * left)) - 1);
            s[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi64(masks[i], blocks + 16 * (done + 4 * i)), keys[0]);
        }
        for (int round = 1; round < 10; ++round)
            for (size_t i = 0; i < kFlight; ++i) s[i] = _mm512_aesenc_epi128(s[i], keys[round]);
        for (size_t i = 0; i < kFlight; ++i)
            _mm512_mask_storeu_epi64(blocks + 16 * (done + 4 * i), masks[i], _mm512_aesenclast_epi128(s[i], keys[10]));
    }
}

#endif

}  // namespace
