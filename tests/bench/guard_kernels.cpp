// Three fixed kernels for the guard on instruction counts, one a run: guard_kernels decode_f32 | decode_int8 | project.
// Everything is set up, and done once, before `measured_kernel`, which is all that callgrind counts. One thread.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <attnlab/cache_policy.h>

#include "core/attend.h"
#include "ops/products.h"
#include "parallel/parallel.h"
#include "reference/storage_spec.h"

namespace attnlab {
namespace {

// Numbers in -1 .. 1 that no library and no machine chooses.
std::vector<float> numbers(std::size_t count, std::uint32_t seed) {
  std::vector<float> all(count);
  std::uint32_t state = seed;
  for (float& one : all) {
    state = state * 1664525U + 1013904223U;
    one = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1.0F;
  }
  return all;
}

class HeldRows final : public KvSource {
 public:
  HeldRows(const KvShape& shape, const std::string& storage, int count)
      : shape_(shape), rows_(make_rows({.keys = storage, .values = storage}, shape, 1, count)) {
    std::vector<Position> positions(count);
    std::iota(positions.begin(), positions.end(), 0);
    const std::vector<float> keys = numbers(static_cast<std::size_t>(count) * shape.kv_heads * shape.key_dim, 1);
    const std::vector<float> values = numbers(static_cast<std::size_t>(count) * shape.kv_heads * shape.value_dim, 2);
    rows_->append(0, positions, {keys.data(), {count, shape.kv_heads, shape.key_dim}},
                  {values.data(), {count, shape.kv_heads, shape.value_dim}});
  }
  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return KeyForm::rotated; }
  int tiles(int sequence, int kv_head) const noexcept override { return rows_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return rows_->tile(sequence, kv_head, index, scratch);
  }

 private:
  KvShape shape_;
  std::unique_ptr<KvRows> rows_;
};

// One decode step of 4 query heads on one kv head of 1024 rows, head_dim 64.
std::function<void()> decode(const std::string& storage) {
  constexpr int kRows = 1024, kHeads = 4, kWidth = 64;
  struct State {
    HeldRows rows;
    std::vector<float> queries = numbers(kHeads * kWidth, 3);
    std::vector<float> out = std::vector<float>(kHeads * kWidth);
    std::vector<std::int32_t> offsets{0, 1};
    std::vector<Position> positions{kRows - 1}, lengths{kRows};
    std::vector<Phase> phases{Phase::decode};
    CausalMask mask{0};
  };
  const KvShape shape{.kv_heads = 1, .key_dim = kWidth, .value_dim = kWidth};
  const auto state = std::make_shared<State>(State{.rows = HeldRows(shape, storage, kRows)});
  return [state] {
    const ChunkView chunk{state->offsets, state->positions, state->phases, state->lengths};
    attend({.queries = {state->queries.data(), {1, kHeads, kWidth}},
            .chunk = chunk,
            .source = state->rows,
            .scale = 1.0F / std::sqrt(static_cast<float>(kWidth)),
            .mask = state->mask},
           {state->out.data(), {1, kHeads, kWidth}});
  };
}

// Four tokens through a matrix of 512 x 512.
std::function<void()> projection() {
  constexpr int kTokens = 4, kDim = 512;
  struct State {
    Matrix weight{kDim, kDim, ElementType::f32};
    std::vector<float> input = numbers(kTokens * kDim, 4);
    std::vector<float> out = std::vector<float>(kTokens * kDim);
  };
  const auto state = std::make_shared<State>();
  state->weight.pack(0, numbers(kDim * kDim, 5));
  return [state] {
    project({state->input.data(), {kTokens, kDim}},
            Projection{.weight = state->weight, .out = {state->out.data(), {kTokens, kDim}}});
  };
}

}  // namespace
}  // namespace attnlab

// Highway's library reads the cycle counter while it is loaded, by an instruction that callgrind refuses where the host
// does not announce it. No code here uses a timer, so the answer does not matter.
namespace hwy::platform {
__attribute__((visibility("default"))) std::uint64_t TimerResolution() {
  return 1;
}
}  // namespace hwy::platform

// Ten times, so that what surrounds a kernel does not count. Named without mangling for --toggle-collect.
extern "C" __attribute__((noinline, used)) void measured_kernel(const std::function<void()>& kernel) {
  for (int i = 0; i < 10; ++i) kernel();
}

int main(int argc, char** argv) {
  attnlab::set_threads(1);
  const std::map<std::string, std::function<std::function<void()>()>> kernels{
      {"decode_f32", [] { return attnlab::decode("f32"); }},
      {"decode_int8", [] { return attnlab::decode("int8"); }},
      {"project", [] { return attnlab::projection(); }}};
  const auto found = argc == 2 ? kernels.find(argv[1]) : kernels.end();
  if (found == kernels.end()) {
    std::fprintf(stderr, "usage: guard_kernels decode_f32 | decode_int8 | project\n");
    return 2;
  }
  const std::function<void()> kernel = found->second();
  kernel();  // threads, buffers and the choice of an instruction set are there afterwards
  measured_kernel(kernel);
  return 0;
}
