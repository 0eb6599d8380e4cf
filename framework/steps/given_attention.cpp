#include "steps/given_attention.h"

#include <algorithm>
#include <cmath>

namespace attnlab {

namespace {

// A source without rows whose queries the cache is shown.
class QueriesOnly final : public KvSource {
 public:
  explicit QueriesOnly(const LayerCache& cache) : cache_(cache) {}
  KvShape shape() const noexcept override { return cache_.shape(); }
  KeyForm key_form() const noexcept override { return cache_.key_form(); }
  int tiles(int, int) const noexcept override { return 0; }
  KvTile tile(int, int, int, TileScratch&) const noexcept override { return {}; }
  QuerySink* query_sink() const noexcept override { return cache_.query_sink(); }

 private:
  const LayerCache& cache_;
};

}  // namespace

GivenAttention::~GivenAttention() = default;

void GivenAttention::give(TensorView<const float, 3> queries, TensorView<const float, 3> keys,
                          TensorView<const float, 3> values) {
  queries_ = queries;
  keys_ = keys;
  values_ = values;
}

void GivenAttention::forward(const LayerContext& layer, TensorView<const float, 2>, TensorView<float, 2> out) {
  // A copy, since append may rotate them, and the caller may pass the same rows again.
  const TensorView<float, 3> keys = layer.steps.rows(keys_.extent(0), keys_.extent(1), keys_.extent(2));
  std::copy_n(keys_.data(), keys_.extent(0) * keys_.extent(1) * keys_.extent(2), keys.data());
  // Marks have no meaning here: zeros.
  const std::span<float> marks = layer.steps.floats(keys_.extent(0) * keys_.extent(1) * shape_.marks);
  std::ranges::fill(marks, 0.0F);
  layer.steps.append(keys, values_, marks);
  const bool shows_queries = layer.cache.query_sink() != nullptr;
  const bool attends = attends_ == Attends::always ||
                       (attends_ == Attends::where_watched && (shows_queries || layer.cache.mass_sink() != nullptr));
  if (!attends && !shows_queries) return;
  const QueriesOnly queries_only(layer.cache);
  const int tokens = layer.chunk.tokens();
  layer.steps.attend({.queries = queries_,
                      .scale = 1.0F / std::sqrt(static_cast<float>(shape_.key_dim)),
                      .mask = mask_,
                      .source = attends ? nullptr : &queries_only},
                     attends ? TensorView<float, 3>(out.data(), {tokens, heads_, shape_.value_dim})
                             : layer.steps.rows(tokens, heads_, shape_.value_dim));
}

}  // namespace attnlab
