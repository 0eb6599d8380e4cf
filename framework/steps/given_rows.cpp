#include "steps/given_rows.h"

#include <algorithm>
#include <cmath>

namespace attnlab {

GivenRows::~GivenRows() = default;

void GivenRows::give(TensorView<const float, 3> queries, TensorView<const float, 3> keys,
                     TensorView<const float, 3> values) {
  queries_ = queries;
  keys_ = keys;
  values_ = values;
}

void GivenRows::forward(const LayerContext& layer, TensorView<const float, 2>, TensorView<float, 2> out) {
  // A copy, since append may rotate them, and the caller may pass the same rows again.
  const TensorView<float, 3> keys = layer.steps.rows(keys_.extent(0), keys_.extent(1), keys_.extent(2));
  std::copy_n(keys_.data(), keys_.extent(0) * keys_.extent(1) * keys_.extent(2), keys.data());
  // Marks have no meaning here: zeros.
  const std::span<float> marks = layer.steps.floats(keys_.extent(0) * keys_.extent(1) * shape_.marks);
  std::ranges::fill(marks, 0.0F);
  layer.steps.append(keys, values_, marks);
  QuerySink* const query_sink = layer.cache.query_sink();
  if (attends_ == Attends::never) {
    if (query_sink != nullptr) query_sink->add(layer.chunk, queries_);
    return;
  }
  if (attends_ == Attends::where_watched && query_sink == nullptr && layer.cache.mass_sink() == nullptr) return;
  layer.steps.attend(
      {.queries = queries_, .scale = 1.0F / std::sqrt(static_cast<float>(shape_.key_dim)), .mask = mask_},
      {out.data(), {layer.chunk.tokens(), heads_, shape_.value_dim}});
}

}  // namespace attnlab
