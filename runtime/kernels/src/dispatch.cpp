// Choice of the instruction set: the best that the processor has, or the one named by MPCC_ISA.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.hpp"

namespace {

std::vector<const Kernels*> available() {
    std::vector<const Kernels*> found{&kPortable};
#ifdef MPCC_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("aes"))
        return found;
    found.push_back(&kAvx2);
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return found;
    found.push_back(&kAvx512);
    if (__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vpopcntdq") &&
        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("vaes"))
        found.push_back(&kAvx512Ifma);
#endif
    return found;
}

const Kernels& choose() {
    const std::vector<const Kernels*> found = available();
    const char* wanted = std::getenv("MPCC_ISA");
    if (wanted == nullptr || *wanted == '\0') return *found.back();
    std::string names;
    for (const Kernels* table : found) {
        if (std::string(wanted) == table->name) return *table;
        names += std::string(" ") + table->name;
    }
    throw std::runtime_error("MPCC_ISA=" + std::string(wanted) + " is not available here; these are:" + names);
}

}  // namespace

const Kernels& kernels() {
    static const Kernels& table = choose();
    return table;
}
