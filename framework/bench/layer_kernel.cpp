#include "bench/layer_kernel.h"

#include <algorithm>

#include "assembly/feeding.h"

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
    // The first step takes memory and wakes threads; in it is counted what every step of this length executes.
    counts_ = has_projections_ ? layer_.count_hidden(tokens_, phase()) : layer_.count_rows(tokens_, phase());
    counted_rows_ = layer_.live_rows();
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
    // A cache that grew since the count is read as far as it has grown on average.
    const double grown = counted_rows_ > 0 ? (first_rows_ + layer_.live_rows()) / 2 / counted_rows_ : 1;
    const double growth = decodes_ && layer_.cache().selector() == nullptr ? grown : 1;
    return {.operations = 2 * (counts_.weight_multiply_adds + counts_.attention_multiply_adds * growth),
            .bytes = counts_.weight_bytes + counts_.cached_bytes * growth + counts_.state_bytes};
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
  experiment::LayerRun layer_;
  bool has_projections_;
  bool is_of_cache_;
  bool decodes_;
  int context_;
  int tokens_;
  int steps_ = 0;            // since the reset
  double first_rows_ = 0;    // that lived then
  double kept_rows_ = 0;     // of all kv heads, between two resets
  StepCounts counts_;        // of the first step
  double counted_rows_ = 0;  // that lived after it
};

}  // namespace

std::unique_ptr<Kernel> make_layer_kernel(const Registry& registry, const Entry& entry) {
  return std::make_unique<LayerKernel>(registry, entry);
}

}  // namespace attnlab::bench
