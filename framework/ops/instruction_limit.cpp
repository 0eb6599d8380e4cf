// Read once, when the library is loaded: kernels choose at their first call.
#include "ops/instruction_limit.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <hwy/targets.h>
#include <dnnl.hpp>

namespace attnlab {
namespace {

struct Limit {
  const char* name;
  std::int64_t disabled;  // of Highway's targets
  dnnl::cpu_isa products;
};

constexpr std::int64_t kBetterThanAvx2 = HWY_AVX2 - 1;  // of x86 targets the lower bit is the better one
constexpr Limit kLimits[] = {{"avx2", kBetterThanAvx2, dnnl::cpu_isa::avx2},
                             {"avx512", 0, dnnl::cpu_isa::avx512_core},
                             {"avx512_bf16", 0, dnnl::cpu_isa::avx512_core_bf16}};

std::string limit_instructions() {
  const char* const value = std::getenv("ATTNLAB_MAX_ISA");
  if (value == nullptr || *value == '\0') return {};
  for (const Limit& limit : kLimits) {
    if (std::string_view(value) != limit.name) continue;
    hwy::DisableTargets(limit.disabled);
    if (dnnl::set_max_cpu_isa(limit.products) == dnnl::status::success) return value;
    std::fprintf(stderr, "attnlab: ATTNLAB_MAX_ISA: oneDNN does not take the limit %s\n", value);
    std::_Exit(2);
  }
  std::fprintf(
      stderr,
      "attnlab: ATTNLAB_MAX_ISA: \"%s\" is no limit of instructions; use avx2, avx512 (without those for bf16) "
      "or avx512_bf16 (without AMX)\n",
      value);
  std::_Exit(2);
}

const std::string kLimit = limit_instructions();

}  // namespace

const std::string& instruction_limit() {
  return kLimit;
}

}  // namespace attnlab
