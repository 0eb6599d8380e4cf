#include "bench/core_kernel.h"

#include <cmath>
#include <numeric>

#include <attnlab/cache_policy.h>

#include "core/attend_backward.h"
#include "model/random_weights.h"
#include "rows/f32_rows.h"

namespace attnlab::bench {
namespace {

constexpr std::uint64_t kSeed = 1;

class HeldRows final : public KvSource {
 public:
  explicit HeldRows(const KvShape& shape, int capacity) : shape_(shape), rows_(f32_rows(shape, 1, capacity)) {}
  [[nodiscard]] KvRows& rows() noexcept { return *rows_; }

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

// Of parameters, which this call has none of.
class NoGradients final : public Gradients {
 public:
  std::span<float> of_parameter(std::span<const float>) override { return {}; }

 protected:
  float* of_buffer(const float*) override { return nullptr; }
};

class CoreKernel final : public Kernel {
 public:
  explicit CoreKernel(const Entry& entry)
      : size_(entry.size()),
        is_backward_(entry.pass == Pass::backward),
        source_({.kv_heads = size_.kv_heads, .key_dim = size_.head_dim, .value_dim = size_.head_dim}, size_.context),
        positions_(static_cast<std::size_t>(size_.context)),
        queries_(numbers("queries", size_.heads)),
        keys_(numbers("keys", size_.kv_heads)),
        values_(numbers("values", size_.kv_heads)),
        out_(queries_.size()),
        log_sum_(static_cast<std::size_t>(size_.context) * size_.heads) {
    std::iota(positions_.begin(), positions_.end(), 0);
    source_.rows().append(0, positions_, TensorView<const float, 3>(rows_of(keys_)), rows_of(values_));
    if (!is_backward_) return;
    of_out_ = numbers("gradients", size_.heads);
    of_queries_.resize(queries_.size());
    of_keys_.resize(keys_.size());
    of_values_.resize(values_.size());
    attend(args(), rows_of(out_), log_sums());
  }

  void reset() override {}  // gradients are added to: what stands there does not matter to the time
  void step() override {
    if (!is_backward_) return attend(args(), rows_of(out_), log_sums());
    attend_backward(args(), rows_of(out_), log_sums(),
                    {.out = rows_of(of_out_),
                     .queries = rows_of(of_queries_),
                     .rows = {.chunk = chunk_, .keys = rows_of(of_keys_), .values = rows_of(of_values_), .marks = {}},
                     .others = none_});
  }
  bool is_worn() const noexcept override { return false; }

  // Two products of the pairs that are seen, and their four derivatives.
  Work work() const override {
    const double context = size_.context;
    const double pairs = size_.heads * context * (context + 1) / 2;
    const double products = is_backward_ ? 4 : 2;
    const double passes = is_backward_ ? 2 : 1;
    return {.operations = 2 * products * pairs * size_.head_dim,
            .bytes = passes * sizeof(float) * static_cast<double>(queries_.size() + keys_.size() + values_.size())};
  }
  double footprint() const override { return work().bytes; }
  int tokens() const noexcept override { return size_.context; }
  double kv_bytes() const override { return 0; }
  double kept_rows() const override { return 0; }
  double kv_bytes_per_token() const override { return 0; }

 private:
  [[nodiscard]] std::vector<float> numbers(const char* name, int heads) const {
    std::vector<float> all(static_cast<std::size_t>(size_.context) * heads * size_.head_dim);
    model::random_values(kSeed, name, 0, all, 1.0F);
    return all;
  }
  [[nodiscard]] std::int64_t heads_of(const std::vector<float>& all) const {
    return static_cast<std::int64_t>(all.size()) / size_.context / size_.head_dim;
  }
  [[nodiscard]] TensorView<const float, 3> rows_of(const std::vector<float>& all) const {
    return {all.data(), {size_.context, heads_of(all), size_.head_dim}};
  }
  [[nodiscard]] TensorView<float, 3> rows_of(std::vector<float>& all) const {
    return {all.data(), {size_.context, heads_of(all), size_.head_dim}};
  }
  [[nodiscard]] TensorView<float, 2> log_sums() { return {log_sum_.data(), {size_.context, size_.heads}}; }
  [[nodiscard]] AttendArgs args() const {
    return {.queries = rows_of(queries_),
            .chunk = chunk_,
            .source = source_,
            .scale = 1.0F / std::sqrt(static_cast<float>(size_.head_dim)),
            .mask = mask_};
  }

  experiment::LayerSize size_;
  bool is_backward_;
  HeldRows source_;
  std::vector<std::int32_t> offsets_{0, size_.context};
  std::vector<Position> positions_, lengths_{size_.context};
  std::vector<Phase> phases_{Phase::last_prefill};
  ChunkView chunk_{offsets_, positions_, phases_, lengths_};
  CausalMask mask_{0};
  std::vector<float> queries_, keys_, values_;  // [context, heads or kv_heads, head_dim]
  std::vector<float> out_, log_sum_;            // [context, heads, head_dim], [context, heads]
  std::vector<float> of_out_, of_queries_, of_keys_, of_values_;
  NoGradients none_;
};

}  // namespace

std::unique_ptr<Kernel> make_core_kernel(const Entry& entry) {
  return std::make_unique<CoreKernel>(entry);
}

}  // namespace attnlab::bench
