// What the constructed recall model answers in an arm, known before it runs: a query is answered exactly if the row of
// its value is still there. So a cache that keeps rows by position can be compared with its definition for every
// query. Not here: policies that keep rows by scores; these rows are not known beforehand.
#pragma once

#include <memory>
#include <optional>

#include <attnlab/api.h>

#include "assembly/compression.h"
#include "model/decoder.h"
#include "tasks/recall_data.h"

namespace attnlab::experiment {

class ATTNLAB_API RecallPrediction {
 public:
  [[nodiscard]] bool answers(const tasks::RecallQuery& query) const;

 private:
  friend std::optional<RecallPrediction> predict_recall(const model::Decoder& decoder, int length,
                                                        const std::optional<Compression>& compression);
  RecallPrediction() = default;
  [[nodiscard]] bool sees(int layer, Position query, Position key) const;

  std::unique_ptr<model::Session> session_;  // whose caches say which rows of a position are left
  std::vector<int> windows_;                 // [layers] of the attention; 0: all
};

/// For sequences of up to `length` tokens. None where the layers differ in what they see, or where a cache drops rows
/// or reads only some of them and does not say which by their positions. `compression`: what the caches do to rows.
[[nodiscard]] ATTNLAB_API std::optional<RecallPrediction> predict_recall(const model::Decoder& decoder, int length,
                                                                         const std::optional<Compression>& compression);

}  // namespace attnlab::experiment
