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
        decodes_(entry.decodes()),
        context_(entry.context),
        tokens_(entry.decodes() ? 1 : std::min(entry.context, experiment::kPrefillChunk)) {
    reset();
    // The first step takes memory and wakes threads; in it is counted what every step of this length executes.
    first_ = last_ = count();
    const double growth = decodes_ ? (layer_.live_rows() - first_rows_) * kGrowingSteps / 2 : 0;
    kept_rows_ = decodes_ ? first_rows_ + growth : layer_.live_rows();
    if (!decodes_) return;
    while (steps_ < kGrowingSteps - 2) step();
    last_ = count();
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
    // Steps over a cache that grows are on the line between the first and the last; afterwards they are like the last.
    const double growing = std::min(steps_, kGrowingSteps);
    const double way = growing > 1 ? (growing - 1) / 2 / (kGrowingSteps - 1) : 0;
    const double share = steps_ > 0 ? (growing * way + (steps_ - growing)) / steps_ : 0;
    const auto mean = [&](double first, double last) { return first + (last - first) * share; };
    return {.operations = mean(first_.operations(), last_.operations()), .bytes = mean(first_.bytes(), last_.bytes())};
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
  [[nodiscard]] StepCounts count() {
    return has_projections_ ? layer_.count_hidden(tokens_, phase()) : layer_.count_rows(tokens_, phase());
  }
  experiment::LayerRun layer_;
  bool has_projections_;
  bool is_of_cache_;
  bool decodes_;
  int context_;
  int tokens_;
  int steps_ = 0;            // since the reset
  double first_rows_ = 0;    // that lived then
  double kept_rows_ = 0;     // of all kv heads, between two resets
  StepCounts first_, last_;  // of the first step after a reset and of the last over a cache that grows
};

}  // namespace

std::unique_ptr<Kernel> make_layer_kernel(const Registry& registry, const Entry& entry) {
  return std::make_unique<LayerKernel>(registry, entry);
}

}  // namespace attnlab::bench
