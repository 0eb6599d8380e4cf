// One layer without the model around it: the components of an arm, made and bound as in a decoder and fed with numbers
// from a seed. Used by kernel benchmarks; the calls are those of a decoder's forward pass. Not here: norms, the MLP,
// the residual stream, and taking times.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/attention_variant.h>

#include "assembly/arm_model.h"
#include "assembly/compose.h"
#include "model/parameters.h"
#include "steps/counting_steps.h"
#include "steps/direct_steps.h"
#include "steps/given_attention.h"

namespace attnlab::experiment {

struct LayerSize {
  int hidden_dim = 768;
  int heads = 12;
  int kv_heads = 4;  // as a checkpoint would have them
  int head_dim = 64;
  int context = 512;  // rows that a cache may reach
};

class ATTNLAB_API LayerRun {
 public:
  /// Error where the parts do not fit together, or one of them cannot be made. The registry must outlive this.
  LayerRun(const Registry& registry, const Composition& parts, const LayerSize& size, std::uint64_t seed);
  ~LayerRun();
  LayerRun(const LayerRun&) = delete;
  LayerRun& operator=(const LayerRun&) = delete;

  /// Empties the layer, then brings its cache to `tokens` rows of a prompt of `prompt_tokens`, past the attention but
  /// through the cache policy; only the last token goes through the attention. Where they are all, the policy does what
  /// it does at the end of a prompt.
  void fill(int tokens, int prompt_tokens);
  /// The whole block, projections included, for the next `tokens` tokens (at most kPrefillChunk).
  void feed_hidden(int tokens, Phase phase);
  /// The part of a pass that concerns the cache: appends, attends, lets the policy act.
  void feed_rows(int tokens, Phase phase);
  /// As feed_hidden and feed_rows; returns what was executed.
  StepCounts count_hidden(int tokens, Phase phase);
  StepCounts count_rows(int tokens, Phase phase);

  [[nodiscard]] const PositionScheme& position() const noexcept { return *components_.position; }

  [[nodiscard]] const KvShape& shape() const noexcept { return shape_; }
  [[nodiscard]] const LayerSize& size() const noexcept { return size_; }
  [[nodiscard]] const LayerCache& cache() const noexcept { return *cache_; }
  /// Rows that live, summed over kv heads.
  [[nodiscard]] double live_rows() const noexcept;
  /// Of one row of one kv head, as the storage holds it.
  [[nodiscard]] double row_bytes() const { return components_.row_bytes(shape_); }
  [[nodiscard]] const model::BoundParameters& parameters() const noexcept { return *parameters_; }
  [[nodiscard]] std::int64_t state_floats() const noexcept { return static_cast<std::int64_t>(state_.size()); }

 private:
  // The next tokens, not fed yet; valid until the next call.
  [[nodiscard]] const ChunkView& next_chunk(int tokens, Phase phase);
  // Feeds the chunk to an attention; its own, or the given rows.
  void run(ModelSteps& steps, AttentionVariant& attention, const ChunkView& chunk, std::int64_t out_width);
  void run_hidden(ModelSteps& steps, int tokens, Phase phase);
  void run_rows(ModelSteps& steps, const ChunkView& chunk);

  LayerSize size_;
  model::LayerComponents components_;
  std::unique_ptr<model::BoundParameters> parameters_;
  KvShape shape_;
  std::unique_ptr<LayerCache> cache_;
  std::unique_ptr<GivenAttention> given_;
  Scratch scratch_;
  DirectSteps steps_{scratch_};
  std::vector<float> state_;
  int length_ = 0;
  // Of one chunk, numbers from the seed.
  std::vector<float> hidden_;                   // [kPrefillChunk, hidden_dim]
  std::vector<float> queries_, keys_, values_;  // [kPrefillChunk, heads or kv_heads, width]
  std::vector<float> out_;                      // [kPrefillChunk, hidden_dim or heads * value_dim]
  std::vector<std::int32_t> offsets_ = {0, 0};
  std::vector<Position> positions_;
  Phase phase_ = Phase::prefill;
  Position chunk_length_ = 0;
  ChunkView chunk_;
};

}  // namespace attnlab::experiment
