#include "bench/layer_kernel.h"

#include <algorithm>

#include "experiment/feeding.h"

namespace attnlab::bench {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr int kSteadySteps = 4096;  // where the number of rows stays

class LayerKernel final : public Kernel {
 public:
  LayerKernel(const Registry& registry, const Entry& entry)
      : layer_(registry, entry.parts, entry.size(), kSeed),
        has_projections_(entry.subject == Subject::attention),
        is_of_cache_(entry.subject == Subject::cache),
        decodes_(entry.decodes),
        context_(entry.context),
        tokens_(entry.decodes ? 1 : std::min(entry.context, experiment::kPrefillChunk)) {
    reset();
    // The first step takes memory and wakes threads; in it the pairs of a prefill are counted.
    if (has_projections_)
      step();
    else
      pairs_ = layer_.feed_rows_counting(tokens_, phase());
    if (has_projections_) {
      const double first = context_ - tokens_;
      pairs_ = (static_cast<double>(context_) * (context_ + 1) - first * (first + 1)) / 2 * layer_.size().heads;
    }
    const double growth = decodes_ ? (layer_.live_rows() - first_rows_) * kGrowingSteps / 2 : 0;
    kept_rows_ = decodes_ ? first_rows_ + growth : layer_.live_rows();
  }

  void reset() override {
    if (decodes_)
      layer_.fill(context_ - kGrowingSteps, context_ - kGrowingSteps);
    else
      layer_.fill(context_ - tokens_, context_);
    steps_ = 0;
    first_rows_ = layer_.live_rows();
  }

  void step() override {
    if (has_projections_)
      layer_.feed_hidden(tokens_, phase());
    else
      layer_.feed_rows(tokens_, phase());
    ++steps_;
  }

  bool is_worn() const noexcept override {
    if (!decodes_) return steps_ > 0;
    if (steps_ % kGrowingSteps != 0 || steps_ == 0) return false;
    const bool grows = layer_.live_rows() > first_rows_ + layer_.shape().kv_heads * (kGrowingSteps / 2);
    return grows || steps_ >= kSteadySteps;
  }

  Work work() const override {
    Work work;
    if (has_projections_) {
      work.operations = 2.0 * static_cast<double>(layer_.parameters().matrix_elements()) * tokens_;
      work.bytes = static_cast<double>(layer_.parameters().bytes());
    }
    if (layer_.shape().kv_heads == 0) {
      // A state: what is added to it and what is read from it, for every token.
      work.operations += 4.0 * static_cast<double>(layer_.state_floats()) * tokens_;
      work.bytes += 2.0 * sizeof(float) * static_cast<double>(layer_.state_floats());
      return work;
    }
    if (chooses_rows()) return {};
    const KvShape& shape = layer_.shape();
    work.operations += 2.0 * pairs() * (shape.key_dim + shape.value_dim);
    work.bytes += read_rows() * layer_.row_bytes();
    // Which of two forms a prefill over latent rows takes is the variant's own affair.
    if (shape.value_is_key_prefix && !decodes_) work.operations = 0;
    return work;
  }

  double footprint() const override {
    const double weights = has_projections_ ? static_cast<double>(layer_.parameters().bytes()) : 0;
    return weights + layer_.live_rows() * layer_.row_bytes() +
           sizeof(float) * static_cast<double>(layer_.state_floats());
  }
  int tokens() const noexcept override { return tokens_; }
  double kv_bytes() const override {
    return static_cast<double>(layer_.cache().bytes()) + sizeof(float) * static_cast<double>(layer_.state_floats());
  }
  double kept_rows() const override { return is_of_cache_ ? kept_rows_ / layer_.shape().kv_heads : 0; }
  double kv_bytes_per_token() const override { return layer_.shape().kv_heads * layer_.row_bytes(); }

 private:
  [[nodiscard]] Phase phase() const noexcept { return decodes_ ? Phase::decode : Phase::last_prefill; }
  // Queries that read some of the rows only, by a choice that shapes do not tell.
  [[nodiscard]] bool chooses_rows() const {
    const bool by_cache = decodes_ && layer_.cache().selector() != nullptr;
    return by_cache || layer_.attention_traits().provides.has(Feature::windowed);
  }
  // Rows of all kv heads that a step reads once.
  [[nodiscard]] double read_rows() const {
    if (!decodes_) return first_rows_ + static_cast<double>(tokens_) * layer_.shape().kv_heads;
    return (first_rows_ + layer_.live_rows()) / 2;
  }
  [[nodiscard]] double pairs() const {
    return decodes_ ? read_rows() * layer_.size().heads / layer_.shape().kv_heads : pairs_;
  }

  experiment::LayerRun layer_;
  bool has_projections_;
  bool is_of_cache_;
  bool decodes_;
  int context_;
  int tokens_;
  int steps_ = 0;          // since the reset
  double first_rows_ = 0;  // that lived then
  double kept_rows_ = 0;   // of all kv heads, between two resets
  double pairs_ = 0;       // of a query head and a row, in a prefill
};

}  // namespace

std::unique_ptr<Kernel> make_layer_kernel(const Registry& registry, const Entry& entry) {
  return std::make_unique<LayerKernel>(registry, entry);
}

}  // namespace attnlab::bench
