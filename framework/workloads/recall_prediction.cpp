#include "workloads/recall_prediction.h"

namespace attnlab::experiment {
namespace {

bool is_seen(const MaskRule& rule, Position query, Position key) {
  const MaskRule::Cover cover = rule.cover({.queries = {query, query}, .keys = {key, key}});
  if (cover != MaskRule::Cover::partial) return cover == MaskRule::Cover::full;
  float score = 0;
  ScoreTile one{.scores = {&score, {1, 1, 1}}, .query_positions = {&query, 1}, .key_positions = {&key, 1}};
  rule.mask(one);
  return score == 0;
}

// Every row that is left to the query is newer than every row that is not.
bool leaves_only_newest(const MaskRule& rule, Position query) {
  bool is_left = false;
  for (Position key = 0; key <= query; ++key) {
    const bool seen = is_seen(rule, query, key);
    if (is_left && !seen) return false;
    is_left = seen;
  }
  return true;
}

}  // namespace

bool RecallPrediction::sees(int layer, Position query, Position key) const {
  const int window = windows_[static_cast<std::size_t>(layer)];
  if (window > 0 && query - key >= window) return false;
  const MaskRule* left = session_->cache(layer).visibility(0);
  return left == nullptr || is_seen(*left, query, key);
}

bool RecallPrediction::answers(const tasks::RecallQuery& query) const {
  return sees(0, query.position, query.value_position);
}

std::optional<RecallPrediction> predict_recall(const model::Decoder& decoder, int length,
                                               const std::optional<Compression>& compression) {
  RecallPrediction prediction;
  prediction.session_ = std::make_unique<model::Session>(decoder.make_session(1, length));
  const int layers = prediction.session_->layers();
  for (int layer = 0; layer < layers; ++layer) {
    const LayerCache& cache = prediction.session_->cache(layer);
    const bool drops = (compression && compression->drops_rows) || cache.row_limit(0, length) < length;
    if (cache.selector() != nullptr || (drops && cache.visibility(0) == nullptr)) return std::nullopt;
    const int window = decoder.attention(layer).visible_window();
    // Old rows that are kept may count at other positions, and so come into the window.
    const MaskRule* left = cache.visibility(0);
    if (window > 0 && left != nullptr && !leaves_only_newest(*left, length - 1)) return std::nullopt;
    prediction.windows_.push_back(window);
  }
  for (int layer = 1; layer < layers; ++layer)
    for (Position key = 0; key < length; ++key)
      if (prediction.sees(layer, length - 1, key) != prediction.sees(0, length - 1, key)) return std::nullopt;
  return prediction;
}

}  // namespace attnlab::experiment
