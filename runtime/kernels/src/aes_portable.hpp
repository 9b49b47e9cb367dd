// AES-128 key stream and block encryption without tables and without AES instructions: 64 blocks at a time, one bit of
// each block in a word (bitslicing; Matsui and Nakajima, CHES 2007), so that neither time nor addresses depend on key
// or data.
// Included by isa_portable.cpp only.
#pragma once
#include <cstring>

#include "kernels.hpp"

namespace {

typedef u64 Pair __attribute__((vector_size(16)));  // the same bit of two byte positions

// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, bit by bit (bit i in a[i]).
template <class T>
void gf_mul(T* out, const T* a, const T* b) {
    T product[15] = {};
    for (int i = 0; i < 8; ++i)
        for (int k = 0; k < 8; ++k) product[i + k] ^= a[i] & b[k];
    for (int i = 14; i >= 8; --i) {
        product[i - 8] ^= product[i];
        product[i - 7] ^= product[i];
        product[i - 5] ^= product[i];
        product[i - 4] ^= product[i];
    }
    for (int i = 0; i < 8; ++i) out[i] = product[i];
}

template <class T>
void gf_square(T* out, const T* a) {
    T r[8] = {a[0] ^ a[4] ^ a[6], a[4] ^ a[6] ^ a[7], a[1] ^ a[5], a[4] ^ a[5] ^ a[6] ^ a[7],
              a[2] ^ a[4] ^ a[7], a[5] ^ a[6],        a[3] ^ a[5], a[6] ^ a[7]};
    for (int i = 0; i < 8; ++i) out[i] = r[i];
}

// FIPS 197, section 5.1.1: inverse (as x^254), then the affine map.
template <class T>
void sub_bytes(T* s, T ones) {
    T x2[8], x3[8], x12[8], x240[8], y[8];
    gf_square(x2, s);
    gf_mul(x3, x2, s);
    gf_square(x12, x3);
    gf_square(x12, x12);
    gf_mul(x240, x12, x3);
    for (int i = 0; i < 4; ++i) gf_square(x240, x240);
    gf_mul(y, x240, x12);
    gf_mul(y, y, x2);
    for (int i = 0; i < 8; ++i) {
        s[i] = y[i] ^ y[(i + 4) % 8] ^ y[(i + 5) % 8] ^ y[(i + 6) % 8] ^ y[(i + 7) % 8];
        if (0x63 >> i & 1) s[i] ^= ones;
    }
}

u8 sub_byte(u8 value) {
    u64 bits[8], out = 0;
    for (int i = 0; i < 8; ++i) bits[i] = value >> i & 1;
    sub_bytes<u64>(bits, 1);
    for (int i = 0; i < 8; ++i) out |= bits[i] << i;
    return static_cast<u8>(out);
}

void aes_schedule(const u8* key, u8* schedule) {
    std::memcpy(schedule, key, 16);
    u8 round_constant = 1;
    for (size_t i = 16; i < kAesScheduleBytes; i += 4) {
        u8 word[4];
        std::memcpy(word, schedule + i - 4, 4);
        if (i % 16 == 0) {
            const u8 first = word[0];
            for (int k = 0; k < 3; ++k) word[k] = sub_byte(word[k + 1]);
            word[3] = sub_byte(first);
            word[0] ^= round_constant;
            round_constant = static_cast<u8>(round_constant << 1 ^ (round_constant >> 7) * 0x1b);
        }
        for (int k = 0; k < 4; ++k) schedule[i + k] = schedule[i - 16 + k] ^ word[k];
    }
}

void transpose_64(u64* rows) {
    u64 mask = 0x00000000FFFFFFFF;
    for (int step = 32; step != 0; step >>= 1, mask ^= mask << step)
        for (int i = 0; i < 64; i = (i + step + 1) & ~step) {
            const u64 swapped = (rows[i] >> step ^ rows[i + step]) & mask;
            rows[i] ^= swapped << step;
            rows[i + step] ^= swapped;
        }
}

class Bitsliced {
  public:
    explicit Bitsliced(const u8* schedule) : schedule_(schedule) {}

    // The 64 blocks of the key stream from block number `first`, a multiple of 64, as 1024 bytes.
    void counters(u64 stream, u64 first, u8* out) {
        load_counters(stream, first);
        rounds();
        store(out);
    }

    // 64 blocks, in place.
    void encrypt(u8* blocks) {
        for (int half = 0; half < 2; ++half) {
            u64 rows[64];
            for (int block = 0; block < 64; ++block) std::memcpy(rows + block, blocks + 16 * block + 8 * half, 8);
            transpose_64(rows);
            for (int i = 0; i < 64; ++i) set(i % 8, 8 * half + i / 8, rows[i]);
        }
        rounds();
        store(blocks);
    }

  private:
    static u64 spread(u64 word, int bit) { return 0 - (word >> bit & 1); }

    u64 at(int bit, int position) const { return state_[bit][position / 2][position % 2]; }
    void set(int bit, int position, u64 value) { state_[bit][position / 2][position % 2] = value; }

    void rounds() {
        add_round_key(0);
        for (int round = 1; round <= 10; ++round) {
            for (int pair = 0; pair < 8; ++pair) {
                Pair s[8];
                for (int bit = 0; bit < 8; ++bit) s[bit] = state_[bit][pair];
                sub_bytes<Pair>(s, Pair{~u64{0}, ~u64{0}});
                for (int bit = 0; bit < 8; ++bit) state_[bit][pair] = s[bit];
            }
            shift_rows();
            if (round != 10) mix_columns();
            add_round_key(round);
        }
    }

    void store(u8* out) const {
        for (int half = 0; half < 2; ++half) {
            u64 rows[64];
            for (int i = 0; i < 64; ++i) rows[i] = at(i % 8, 8 * half + i / 8);
            transpose_64(rows);
            for (int block = 0; block < 64; ++block) std::memcpy(out + 16 * block + 8 * half, rows + block, 8);
        }
    }

    void load_counters(u64 stream, u64 first) {
        static constexpr u64 kLow[6] = {0xAAAAAAAAAAAAAAAA, 0xCCCCCCCCCCCCCCCC, 0xF0F0F0F0F0F0F0F0,
                                        0xFF00FF00FF00FF00, 0xFFFF0000FFFF0000, 0xFFFFFFFF00000000};
        for (int i = 0; i < 64; ++i) {
            set(i % 8, 7 - i / 8, spread(stream, i));
            set(i % 8, 15 - i / 8, i < 6 ? kLow[i] : spread(first, i));
        }
    }

    void add_round_key(int round) {
        for (int bit = 0; bit < 8; ++bit)
            for (int position = 0; position < 16; ++position)
                state_[bit][position / 2][position % 2] ^= spread(schedule_[16 * round + position], bit);
    }

    void shift_rows() {
        for (int bit = 0; bit < 8; ++bit) {
            u64 row[16];
            for (int position = 0; position < 16; ++position) row[position] = at(bit, (position * 5) % 16);
            for (int position = 0; position < 16; ++position) set(bit, position, row[position]);
        }
    }

    void mix_columns() {
        for (int column = 0; column < 16; column += 4) {
            u64 a[4][8], sum[8];
            for (int bit = 0; bit < 8; ++bit) {
                for (int row = 0; row < 4; ++row) a[row][bit] = at(bit, column + row);
                sum[bit] = a[0][bit] ^ a[1][bit] ^ a[2][bit] ^ a[3][bit];
            }
            for (int row = 0; row < 4; ++row) {
                u64 t[8];
                for (int bit = 0; bit < 8; ++bit) t[bit] = a[row][bit] ^ a[(row + 1) % 4][bit];
                for (int bit = 0; bit < 8; ++bit) {  // a ^ sum ^ x * t
                    u64 doubled = bit == 0 ? t[7] : t[bit - 1];
                    if (bit == 1 || bit == 3 || bit == 4) doubled ^= t[7];
                    set(bit, column + row, a[row][bit] ^ sum[bit] ^ doubled);
                }
            }
        }
    }

    const u8* schedule_;
    Pair state_[8][8];  // [bit][byte position / 2]
};

void keystream(const u8* schedule, u64 stream, u64 first_block, size_t blocks, u8* out) {
    Bitsliced cipher(schedule);
    for (size_t done = 0; done < blocks; done += 64) {
        if (blocks - done >= 64) {
            cipher.counters(stream, first_block + done, out + 16 * done);
        } else {
            u8 last[1024];
            cipher.counters(stream, first_block + done, last);
            std::memcpy(out + 16 * done, last, 16 * (blocks - done));
        }
    }
}

void encrypt_blocks(const u8* schedule, u8* blocks, size_t count) {
    Bitsliced cipher(schedule);
    for (size_t done = 0; done < count; done += 64) {
        if (count - done >= 64) {
            cipher.encrypt(blocks + 16 * done);
        } else {
            u8 last[1024] = {};
            std::memcpy(last, blocks + 16 * done, 16 * (count - done));
            cipher.encrypt(last);
            std::memcpy(blocks + 16 * done, last, 16 * (count - done));
        }
    }
}

}  // namespace
